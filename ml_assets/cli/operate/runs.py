"""Runs from the terminal: progress while they go on, failures with what to do about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.text import Text

from ml_assets.cli.console import console, fail, printable, say
from ml_assets.cli.progress import progress_bar
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.alert_file import AlertOutboxError
from ml_assets.stores.paths import StatePaths

if TYPE_CHECKING:
    from ml_assets.graph.runs.launch import OnEvent, RunOutcome
    from ml_assets.pipeline.training.retraining import Retraining

_TOLD_BY_VERDICT = "gate"
_DROPS_A_RUN = 100
_NAMED = 3  # steps that failed by one cause, named before the number of the others


def drops_a_run(calendar: Calendar) -> int:
    """Give how many drops one run takes where nobody says: 100, or those of a month where a day has several."""
    return max(_DROPS_A_RUN, calendar.drops_in(timedelta(days=31)))


def batch_with_progress(spec: UseCaseSpec, paths: StatePaths, drops: Sequence[DropKey], step: int) -> RunOutcome:
    """Run drops in order, `step` of them a run, and show the steps as they go by; give how the last run ended."""
    from ml_assets.graph.runs.launch import RunOutcome, run_batch

    starts, outcome = range(0, len(drops), step), RunOutcome("", succeeded=True, failures=())
    for number, start in enumerate(starts, 1):
        first, last = drops[start], drops[start : start + step][-1]
        counted = f", run {number} of {len(starts)}" if len(starts) > 1 else ""

        def work(on_event: OnEvent, first: DropKey = first, last: DropKey = last) -> RunOutcome:
            return run_batch(spec, paths, first, last, on_event)

        outcome = _watched(spec, f"batch {first} to {last}{counted}", 2 * len(spec.sources) + 16, work)
        if counted:
            console.print(f"[dim]{number} of {len(starts)}: {first} to {last}, run {outcome.run_id}[/]")
    return outcome


def retrain_with_progress(spec: UseCaseSpec, paths: StatePaths, asked: Retraining) -> RunOutcome:
    """Retrain and show the steps as they go by."""
    from ml_assets.graph.runs.launch import run_retrain

    def work(on_event: OnEvent) -> RunOutcome:
        return run_retrain(spec, paths, asked, on_event)

    return _watched(spec, f"retrain as of {asked.as_of or 'the newest drop'}", 4, work)


def print_warnings(outcome: RunOutcome) -> None:
    """Print what failed checks say of a run that went on, a line a part; the gate's verdict is told elsewhere."""
    for check, said in outcome.warned:
        if check == _TOLD_BY_VERDICT:
            continue
        first, *parts = said.split("; ")
        say(Text.assemble((check, "yellow"), " ", printable(first)))
        for part in parts:
            say(part, indent=2)


def _watched(spec: UseCaseSpec, title: str, steps: int, work: Callable[[OnEvent], RunOutcome]) -> RunOutcome:
    prefix = f"{spec.name}__"
    with progress_bar() as progress:
        task = progress.add_task(title, total=steps, now="loading")

        def on_event(step: str, what: str) -> None:
            shown = step.removeprefix(prefix).replace("__", "/")
            if what == "STEP_SUCCESS":
                progress.advance(task)
            elif not what.startswith("STEP_"):
                shown = f"{shown}: {what}"
            progress.update(task, now=shown)

        try:
            outcome = work(on_event)
        except AlertOutboxError as error:
            raise fail(f"{title} ended, and its incidents could not be written: {error}") from error
    if not outcome.succeeded:
        for message, stopped in list(outcome.causes().items())[:5]:
            named = [step.removeprefix(prefix).replace("__", "/") for step in stopped]
            more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
            console.print(f"[red]failed[/] {', '.join(named[:_NAMED])}{more}", soft_wrap=True, highlight=False)
            say(message, indent=2)
        print_warnings(outcome)
        raise fail(
            f"{title} failed; the last good state still serves. Run {outcome.run_id} in `ml-assets ui` has the log"
        )
    return outcome
