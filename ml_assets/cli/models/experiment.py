"""Experiments from the terminal: plan and start one, show its status, conclude it."""

from __future__ import annotations

from typing import Any

import typer

from ml_assets.cli.console import console, fail, next_steps, print_json, read_drops, say, state_of
from ml_assets.cli.tables import print_table
from ml_assets.pipeline.champion.decisions import PersonDecision, newest_drop
from ml_assets.pipeline.experiments.people import (
    ExperimentPlan,
    conclude_experiment,
    plan_start,
    start_experiment,
)
from ml_assets.pipeline.experiments.status import ExperimentStatus, experiment_statuses
from ml_assets.pipeline.experiments.whatif import PolicyChange, what_if
from ml_assets.reports.experiment_page import write_experiment_pages
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.use_case_state import UseCaseState

CONCLUSIONS = ("promote", "reject", "stop")
_OF_REPORT = ("measure", "challenger", "champion", "worse_by", "lower", "upper", "p_value", "n", "n_units")


def run_start(
    spec: UseCaseSpec, state: UseCaseState, name: str, model: str, asked: PersonDecision, *, is_sure: bool
) -> None:
    """Show what an experiment would do and what it can find, ask, and start it."""
    plan = plan_start(spec, state, name, model, asked)
    _show_plan(spec, plan)
    if not is_sure and not typer.confirm("start?"):
        raise fail("nothing was changed")
    started = start_experiment(spec, state, name, plan.experiment.challenger, asked)
    first = spec.calendar.next_drop(started.experiment.after)
    console.print(f"{name} takes the drops from {first} on, started by {asked.by}", markup=False, highlight=False)
    next_steps({f"ml-assets experiment {spec.name} status": "its status, after each drop"})


def run_conclude(spec: UseCaseSpec, state: UseCaseState, name: str, conclusion: str, asked: PersonDecision) -> None:
    """End an experiment as a person decides."""
    if conclusion not in CONCLUSIONS:
        raise fail(f"--as: found {conclusion!r}; allowed: {', '.join(CONCLUSIONS)}")
    experiment = conclude_experiment(spec, state, name, conclusion, asked)
    said = {
        "promote": f"{experiment.challenger} serves all units of the next drops",
        "reject": f"{experiment.challenger} is refused; {experiment.champion} serves all units of the next drops",
        "stop": f"{experiment.champion} serves all units of the next drops; {experiment.challenger} was not judged",
    }[conclusion]
    console.print(f"{name} is concluded: {said}", markup=False, highlight=False)
    next_steps({f"ml-assets champion {spec.name}": "what serves, and every decision"})


def run_status(spec: UseCaseSpec, state: UseCaseState, name: str, *, as_json: bool) -> None:
    """Print the status of each experiment, or of one with its measures, and write its page."""
    found = [each for each in experiment_statuses(spec, state) if name in ("", each.name)]
    started = {each.name for each in found}
    waiting = [each for each in spec.experiments if each.name not in started and name in ("", each.name)]
    if name and not found and not waiting:
        names = [each.name for each in spec.experiments]
        raise fail(f"found {name!r}; allowed: {', '.join(names) or 'no experiment is declared'}")
    if as_json:
        print_json([*map(_plain, found), *({"name": each.name, "state": "not started"} for each in waiting)])
        return
    pages = write_experiment_pages(spec, state) if found else {}
    rows = [[each.name, each.design["kind"], each.state, each.n_drops, each.verdict] for each in found]
    rows += [[each.name, each.kind, "not started", 0, ""] for each in waiting]
    print_table(f"experiments of {spec.name}", ["experiment", "kind", "state", "drops", "verdict"], rows)
    for each in found:
        say(f"{each.name}: {each.reason}")
        newest = [row for row in each.rows if row["batch_date"] == each.last]
        if newest:
            heads = ["measure", "challenger", "champion", "worse by", "lower", "upper", "p", "examples", "pieces"]
            print_table(
                f"{each.name} after drop {each.last}", heads, [[row[key] for key in _OF_REPORT] for row in newest]
            )
        say(f"page: {pages[f'page of {each.name}']}", style="dim")
    next_steps(
        {f"ml-assets experiment {spec.name} start {each.name}": "shows first what it can find" for each in waiting}
        | {f"ml-assets experiment {spec.name} conclude {each.name} --as promote": "or reject, or stop"
           for each in found if each.state in ("running", "passed")}
        or {f"ml-assets champion {spec.name}": "what serves, and every decision"}
    )  # fmt: skip


def read_range(spec: UseCaseSpec, text: str) -> tuple[DropKey, DropKey]:
    """Read FIRST:LAST, by default the newest thirty drops that were predicted, or end the command."""
    if text:
        first, colon, last = text.partition(":")
        if not colon:
            first_drop = spec.calendar.first_drop
            raise fail(f"--drops: found {text!r}; allowed: FIRST:LAST, as {first_drop}:{first_drop}")
        drops = read_drops(spec, first, last)
        return drops[0], drops[-1]
    state = state_of(spec).pinned()
    with state.connect() as connection:
        newest = newest_drop(connection, state.lake)
    if newest is None:
        raise fail(f"{spec.name} has no predictions yet; allowed: to run a drop after its first champion")
    return max(spec.calendar.first_drop, spec.calendar.shift(newest, -29)), newest


def run_whatif(spec: UseCaseSpec, state: UseCaseState, change: PolicyChange, drops: tuple[DropKey, DropKey]) -> None:
    """Print what another policy would have done, and what the log does not tell."""
    if change == PolicyChange(reacts=change.reacts):
        raise fail("nothing would be otherwise; allowed: --model, --threshold or --capacity")
    if spec.task != "binary":
        said = f"{spec.name} predicts a {task_of(spec.task).scale.score}"
        raise fail(f"{said}; whatif answers about outcomes that come or do not: task binary")
    found = what_if(spec, state, change, drops)
    say(f"{found.n:,} matured examples with a label of {found.n_drops} drops, {drops[0]} to {drops[1]}")
    if found.measures:
        rows = [[each.measure, each.actual, each.other, each.difference.estimate, each.difference.lower,
                 each.difference.upper] for each in found.measures]  # fmt: skip
        heads = ["measure", "as it was", "otherwise", "difference", "lower", "upper"]
        print_table("by drop; the bounds hold at all looks together", heads, rows)
    if found.value is not None:
        about = found.value.diagnostics
        pieces = f"{about.effective_units:.0f} effective pieces of evidence, of {about.n_units}"
        say(f"had {change.model} served every unit: {pieces}")
        rows = [[name, each.estimate, each.lower, each.upper] for name, each in found.value.values.items()]
        if rows:
            print_table("share of positives", ["estimate by", "estimate", "lower", "upper"], rows)
        for why in found.value.refused:
            say(f"refused: {why}")
    for each in found.not_identified:
        say(f"not identified: {each}")


def _show_plan(spec: UseCaseSpec, plan: ExperimentPlan) -> None:
    design, started = plan.experiment.design, plan.experiment
    first, length = spec.calendar.next_drop(started.after), design["length"]
    say(f"{started.challenger} would serve {design['share']:.0%} of units ({design['unit']}), and {started.champion} "
        f"the rest, from drop {first} on, for {length}")  # fmt: skip
    if plan.plan is None or plan.detectable is None or plan.design is None:
        say(f"what it can find is not known: {plan.n_reference} matured drops that neither model was fitted on")
        return
    piece = "drop" if design["evidence"] == "drop" else "unit"
    say(f"on {plan.n_reference} drops before, the champion lost {plan.champion_loss:.4f} an example, and one {piece} "
        f"said of the difference within {plan.design.spread:.4f}")  # fmt: skip
    every = spec.calendar.step_text
    needed = (
        f"{plan.plan.drops} drops (every {every})" if plan.plan.drops else f"more than {plan.plan.curve.size} drops"
    )
    cost = plan.plan.cost_of_looking(plan.design)
    looks = f", {cost:.1f} times what one look at the end would take" if cost == cost else ""  # noqa: PLR0124 - NaN
    say(f"a difference of {design['effect']:.0%} of that is found with probability 80 % after {needed}{looks}")
    say(f"the planned length finds differences from {plan.detectable:.1%} on")


def _plain(found: ExperimentStatus) -> dict[str, Any]:
    newest = [row for row in found.rows if row["batch_date"] == found.last]
    ratio = found.sample_ratio
    return {
        "name": found.name,
        "state": found.state,
        "challenger": found.challenger,
        "champion": found.champion,
        "design": dict(found.design),
        "first": found.first,
        "last": found.last,
        "drops": found.n_drops,
        "verdict": found.verdict,
        "reason": found.reason,
        "measures": [{key: row[key] for key in _OF_REPORT} for row in newest],
        "units": dict(ratio.counts) if ratio else {},
        "events": [{key: row[key] for key in ("event", "after", "decided_by", "note")} for row in found.events],
    }
