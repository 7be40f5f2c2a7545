"""Quality over time in a terminal: the newest verdict in a sentence, a chart, the weeks, and what happened in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.text import Text

from ml_assets.cli.console import console, next_steps, print_json, printable, say
from ml_assets.cli.operate.quality_chart import loss_chart
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.decisions.alert_precision import precision_sentence
from ml_assets.monitoring.acted_examples import ActedComparison, acted_sentence
from ml_assets.pipeline.features.closed_drops import refuse_drop_not_run
from ml_assets.pipeline.monitoring.acted_examples import compare_with_not_acted
from ml_assets.pipeline.monitoring.incident_judgements import plain_usefulness, usefulness
from ml_assets.pipeline.monitoring.quality_over_time import quality_over_time
from ml_assets.reports.quality_text import (
    baseline_sentence,
    fallback_sentence,
    first_sentence,
    gate_sentence,
    worse_sentence,
)
from ml_assets.reports.replay_page import ROLE_NAMES
from ml_assets.spec.drop import DropKey, day_of_key, read_key
from ml_assets.spec.feedback import feedback_paths
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.task import Task
from ml_assets.stats.tasks import task_of
from ml_assets.stores.use_case_state import UseCaseState

_KIND_COLOURS = {"promotion": "green", "refusal": "yellow", "awaiting approval": "yellow"}


@dataclass(frozen=True)
class PerformanceOptions:
    """What the command was asked for. `first` and `last` are None for all drops."""

    first: DropKey | None
    last: DropKey | None
    as_json: bool


def run_performance(spec: UseCaseSpec, state: UseCaseState, asked: PerformanceOptions) -> None:
    """Print the quality of a use case by week of prediction, and how the champion did in the last matured window."""
    run = state.lake.files("decisions").drops() if state.lake.has("decisions") else set[DropKey]()
    for option, drop in (("--from", asked.first), ("--to", asked.last)):
        if drop is not None and run:
            refuse_drop_not_run(spec, run, drop, option)
    facts = quality_over_time(spec, state, asked.first, asked.last)
    useful, paths = usefulness(state.paths, spec.name), feedback_paths(spec)
    acted = compare_with_not_acted(spec, state, read_key(facts["last"])) if facts["last"] else None
    if asked.as_json:
        feedback = {"paths": paths, "acted": asdict(acted) if acted else None}
        print_json({**facts, "alerts": plain_usefulness(useful), "feedback": feedback})
        return
    for line in headline(task_of(spec.task), facts):
        say(line, hanging=2)
    weeks, task = facts["weeks"], task_of(spec.task)
    promoted = [day_of_key(each["drop"]) for each in facts["events"] if each["kind"] == "promotion"]
    chart = [] if console.options.ascii_only else loss_chart(task, weeks, promoted, console.width)
    if chart:
        console.print(f"\n[bold]{task.loss_metric} by week of prediction[/]")
        for line in chart:
            console.print(line, soft_wrap=True, highlight=False)
        console.print()
    if weeks:
        _show_weeks(task, weeks)
    if facts["events"]:
        _show_events(facts["events"])
    if useful["all"].judged:
        _show_usefulness(useful)
    _show_feedback(paths, acted)
    next_steps(_next(spec.name, facts))


def headline(task: Task, facts: Mapping[str, Any]) -> list[Text]:
    """Say how the champion did in the last matured window, and since when it is worse, a sentence a line."""
    name, now = facts["use_case"], facts["now"]
    if facts["last"] is None:
        return [Text.assemble((name, "bold"), ": no drop has been run yet")]
    title = f", drop {facts['last']}"
    if now is None or now["model_version"] is None:
        return [Text.assemble((name, "bold"), title, ": no champion serves yet")]
    style = "bold red" if now["state"] == "failed" else "bold"
    lines = [
        Text.assemble((name, "bold"), title, f": champion {now['model_version']}, performance ", (now["state"], style)),
        Text(f"against the gate: {gate_sentence(task, now)}"),
    ]  # fmt: skip
    if now["loss_now"] is not None:
        lines += [
            Text(f"against the baseline: {baseline_sentence(task, now)}"),
            Text(f"against the first champion: {first_sentence(task, now)}"),
        ]
    if facts["fallback"] is not None:
        lines.append(Text(f"fallback: {fallback_sentence(facts['fallback'])}", "red"))
    lines.append(Text(worse_sentence(task, facts["worse_weeks"], sum(week["n"] > 0 for week in facts["weeks"]))))
    return lines


def _show_weeks(task: Task, weeks: Sequence[Mapping[str, Any]]) -> None:
    """Print the weeks; where not all fits, the losses stay longest."""
    columns = [TableColumn("week of"), TableColumn("rows", 1)]
    columns += [TableColumn(f"{task.loss_metric} {name}") for name in ROLE_NAMES.values()]
    columns += [TableColumn(f"{task.headline} {name}", rank) for rank, name in enumerate(ROLE_NAMES.values(), 2)]
    rows = [
        [
            week["week"],
            week["n"],
            *(week[role][measure.name] for measure in (task.loss_metric, task.headline) for role in ROLE_NAMES),
        ]
        for week in weeks
    ]
    print_table("by week of prediction", columns, rows, see="--json")


def _show_events(events: Sequence[Mapping[str, Any]]) -> None:
    """Print what happened in each week, in the order of drops."""
    console.print("\n[bold]promotions, refusals, fallbacks and incidents, by week[/]")
    shown = ""
    for each in events:
        if each["week"] != shown:
            say(f"week of {each['week']}")
            shown = each["week"]
        until = f" (until {each['until']})" if each["until"] else ""
        kind = Text(each["kind"].replace("_", " "), _KIND_COLOURS.get(each["kind"], "red"))
        say(Text.assemble(f"{each['drop']} ", kind, printable(f"{until}: {_told(each)}")), indent=2, hanging=6)


def _show_feedback(paths: Sequence[str], acted: ActedComparison | None) -> None:
    """Print how predictions reach training data, and what acting on them seems to change."""
    for path in paths:
        say(f"feedback: {path}", hanging=2)
    if acted is not None:
        say(acted_sentence(acted), style="red" if acted.is_changed else "", hanging=2)


def _show_usefulness(useful: Mapping[str, Any]) -> None:
    """Print which alerts people found useful, by the month in which they opened, and by kind."""
    for part, title in (("by_month", "useful alerts, by month"), ("by_kind", "useful alerts, by kind")):
        rows = [
            [each.name.replace("_", " "), each.opened, each.judged, each.useful,
             "" if each.share is None else f"{each.share:.0%} ({each.lower:.0%} to {each.upper:.0%})"]
            for each in useful[part]
        ]  # fmt: skip
        names = (part.removeprefix("by_"), "alerts", "judged", "useful", "share, 90 % interval")
        print_table(title, [TableColumn(name, rank) for name, rank in zip(names, (0, 1, 2, 2, 0), strict=True)], rows)
    say(precision_sentence(useful["all"]))


def _told(event: Mapping[str, Any]) -> str:
    version, message = event["model_version"], event["message"]
    return message if version is None or version in message else f"{version}: {message}"


def _next(name: str, facts: Mapping[str, Any]) -> dict[str, str]:
    if facts["last"] is None or facts["now"] is None:
        return {f"ml-assets status {name}": "what landed, what is missing, what to do first"}
    return {
        f"ml-assets drift {name} --drop {facts['last']}": "what moved in the newest drop, and what was decided",
        f"ml-assets champion {name}": "every verdict and decision, and what serves",
    }
