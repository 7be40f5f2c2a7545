"""Replays history from the terminal: progress while it goes on, and what came of it as tables, page or JSON."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_assets.cli.console import console, errors, fail, next_steps, print_json, say
from ml_assets.cli.progress import progress_bar
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.demo.flights import SOURCES, land_flights
from ml_assets.pipeline.monitoring.replay_summary import summarize_replay
from ml_assets.pipeline.runs.replay_steps import ReplayStoppedError, StepOutcome, replay_steps
from ml_assets.reports.plain_text import counted
from ml_assets.reports.replay_page import ROLE_NAMES, gain_of, month_cells, outcome, replay_page, shares_of, verdict_of
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.landing import write_whole
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.write_lock import write_lock


@dataclass(frozen=True)
class ReplayOptions:
    """What the options of the command ask for: drops a step, and retraining every so many steps."""

    first: DropKey
    last: DropKey
    every: int | None = None
    schedule: int | None = None
    as_json: bool = False


def run_replay(spec: UseCaseSpec, paths: StatePaths, asked: ReplayOptions) -> None:
    """Replay the drops asked for, say what came of it, and what to look at next."""
    replay_and_show(spec, paths, asked)
    if asked.as_json:
        return
    name = spec.name
    next_steps(
        {
            f"ml-assets alerts {name} --all": "every incident, and what was said about it",
            f"ml-assets sql \"SELECT * FROM {name}.decisions WHERE action <> 'nothing' ORDER BY batch_date\"":
                "what was decided, drop by drop, and why",
            "ml-assets ui": "the runs, their checks and plots",
        }
    )  # fmt: skip


def replay_and_show(spec: UseCaseSpec, paths: StatePaths, asked: ReplayOptions) -> None:
    """Replay the drops asked for, write the page, and say what came of it."""
    steps = replay_steps(spec, asked.first, asked.last, asked.every)
    outcomes = _replay_with_progress(spec, paths, steps, asked)
    scheduled = [step[-1] for number, step in enumerate(steps, 1) if asked.schedule and not number % asked.schedule]
    summary = summarize_replay(
        spec, paths, steps, seconds=[each.seconds for each in outcomes], scheduled=frozenset(scheduled)
    )
    page = page_path(paths, spec.name, asked.first, asked.last)
    write_whole(page, replay_page(summary).encode())
    if asked.as_json:
        print_json(summary)
    else:
        show_summary(summary, page)


def page_path(paths: StatePaths, use_case: str, first: DropKey, last: DropKey) -> Path:
    """Name the page of a replay."""
    return paths.reports / use_case / f"replay_{first}_{last}.html"


def land_absent(spec: UseCaseSpec, paths: StatePaths, drops: Sequence[DropKey]) -> list[DropKey]:
    """Land the bundled data of the drops of which nothing has landed; give those drops.

    What is there stays as it is: somebody may have changed it to see what happens. A drop appears whole, so that a
    killed replay leaves no half of one.
    """
    landing = paths.landing / spec.name
    with write_lock(paths.locks, f"{spec.name}_landing"):
        names = [source.file_name for source in spec.sources]
        absent = [drop for drop in drops if not _has_files(landing / str(drop), names)]
        if not absent:
            return []
        unfinished = paths.landing / f".{spec.name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            for drop in absent:
                land_flights(unfinished, spec.calendar, drop, drop, use_case=spec.name)
                landing.mkdir(parents=True, exist_ok=True)
                (unfinished / str(drop)).rename(landing / str(drop))
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return absent


def _has_files(folder: Path, names: Sequence[str]) -> bool:
    return any((folder / name).exists() for name in names)


def _replay_with_progress(
    spec: UseCaseSpec, paths: StatePaths, steps: Sequence[Sequence[DropKey]], asked: ReplayOptions
) -> list[StepOutcome]:
    from ml_assets.graph.runs.replay import replay

    with _explained_stops(spec, paths, asked), progress_bar() as progress:
        task = progress.add_task(f"replay {spec.name}", total=sum(map(len, steps)), now="loading")

        def land(drops: Sequence[DropKey]) -> None:
            named = f"{drops[0]} to {drops[-1]}"
            if spec.name in SOURCES:
                progress.update(task, now=f"{named}: landing")
                land_absent(spec, paths, drops)
            progress.update(task, now=f"{named}: batch, then what the sensors ask for")

        def on_step(done: StepOutcome) -> None:
            progress.update(task, advance=len(done.drops), now=f"{done.drops[-1]}: {done.decision}")
            lines = [f"{drop} retrain: {reason}" for drop, reason in done.acted]
            if done.seconds.get("batch") and done.decision != "nothing":
                lines.append(f"{done.drops[-1]} {done.decision}: {done.reason}")
            for line in lines:
                progress.console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)

        def on_wait(_: str) -> None:
            progress.update(task, now="another replay of this use case is running; waiting for it")

        # a second replay would take the runs of the first for what a killed one left, and cancel them
        with write_lock(paths.locks, f"{spec.name}_replay", on_wait):
            return replay(spec, paths, steps, land=land, retrain_after=asked.schedule, on_step=on_step)


@contextmanager
def _explained_stops(spec: UseCaseSpec, paths: StatePaths, asked: ReplayOptions) -> Iterator[None]:
    """End the command when the replay stops, saying why, and how it goes on."""
    from ml_assets.ingestion.ledger import DropsNotFinalError
    from ml_assets.stores.alert_file import AlertOutboxError
    from ml_assets.stores.lake import MissingTableError
    from ml_assets.stores.model_store import TamperedModelError

    try:
        yield
    except (ReplayStoppedError, DropsNotFinalError, AlertOutboxError, MissingTableError, TamperedModelError) as error:
        ended = fail(str(error))
    except KeyboardInterrupt:
        ended = fail("interrupted")
    else:
        return
    for line in _what_to_do(spec, paths, asked):
        errors.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    raise ended


def _what_to_do(spec: UseCaseSpec, paths: StatePaths, asked: ReplayOptions) -> list[str]:
    return [
        f"ml-assets status {spec.name}  what landed, what is missing",
        f"what is missing goes into {paths.landing / spec.name}/<drop>/, for every drop since "
        f"{spec.calendar.first_drop}",
        f"{command_of(spec.name, asked)}  goes on where this one stopped: what was done stays",
    ]


def command_of(use_case: str, asked: ReplayOptions) -> str:
    """Write the command that was asked for."""
    options = [f"--every {asked.every}"] * bool(asked.every) + [f"--schedule {asked.schedule}"] * bool(asked.schedule)
    return " ".join([f"ml-assets replay {use_case} --from {asked.first} --to {asked.last}", *options])


def show_summary(summary: dict[str, Any], page: Path) -> None:
    """Print what came of a replay."""
    say(outcome(summary), hanging=0)
    if summary["months"]:
        _show_months(summary)
    if summary["retrainings"]:
        cells = [
            [row["drop"], row["asked_by"]["trigger"], row["asked_by"]["reason"], verdict_of(row), gain_of(row)]
            for row in summary["retrainings"]
        ]  # fmt: skip
        columns = ["drop", "asked by", TableColumn("reason", is_text=True), "verdict", TableColumn("gain", 1)]
        print_table("retrainings", columns, cells, see="--json")
    closed = sum(row["closed_at"] is not None for row in summary["incidents"])
    console.print(f"{counted(len(summary['incidents']), 'incident')} opened, {closed} of them closed", highlight=False)
    seconds = summary["seconds"]
    if seconds:
        parts = ", ".join(f"{name} {spent:,.0f}" for name, spent in seconds.items() if name != "total")
        console.print(f"{seconds['total']:,.0f} s: {parts}", highlight=False)
    else:
        console.print("every step was done before: nothing was run again")
    console.print(f"page {page}", markup=False, highlight=False, soft_wrap=True)


def _show_months(summary: dict[str, Any]) -> None:
    """Print the months; the champion's measures stay longest where not all fit."""
    heads, rows = month_cells(summary)
    n_roles = len(ROLE_NAMES)
    ranks = [0, 4, 3, *range(n_roles), *range(n_roles), 3, 3]
    shares = shares_of(summary, heads)
    cells = [[_percent(value) if position in shares else value for position, value in enumerate(row)] for row in rows]
    columns = [TableColumn(head, rank) for head, rank in zip(heads, ranks, strict=True)]
    print_table("by month of prediction", columns, cells, see="--json")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
