"""The page of four layers: is it running, are the data whole, does the model earn its keep, and what is it worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from ml_assets.decisions.alert_precision import precision_sentence
from ml_assets.pipeline.monitoring.four_layers import FourLayers, monitors_in_alarm, quarantined_rows
from ml_assets.reports.drop_chart import DropBar, bar_chart
from ml_assets.reports.figure_style import Chart
from ml_assets.reports.line_chart import DayMark, Line, line_chart
from ml_assets.reports.page import ColouredCell, PageColumn, PageTable, render_page
from ml_assets.reports.plain_text import counted
from ml_assets.reports.quality_text import baseline_sentence, fallback_sentence, gate_sentence
from ml_assets.reports.replay_page import ROLE_NAMES
from ml_assets.spec.drop import day_of_key
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.task import Task
from ml_assets.stats.tasks import task_of

_MOST_MONITORS, _MOST_EVENTS = 8, 20
Colour = Literal["", "good", "bad"]


@dataclass(frozen=True)
class Answer:
    """One question of a person who opens the page, with what is known; `colour` where that is good or bad news."""

    question: str
    said: str
    colour: Colour = ""


def layers_page(spec: UseCaseSpec, found: FourLayers) -> str:
    """Write the page."""
    task = task_of(spec.task)
    loss = task.loss_metric
    bars = [DropBar(each.drop, each.validated, each.quarantined, bool(each.refused or each.missing))
            for each in found.drops]  # fmt: skip
    return render_page(
        "layers.html.j2",
        title=f"{spec.name}: four layers, {found.first} to {found.last or found.first}",
        description=spec.description,
        answers=answers(spec, found),
        events=_events(found),
        incidents=_incidents(found),
        useful=precision_sentence(found.alerts) if found.alerts.opened else "",
        rows=bar_chart(bars, spec.calendar) if bars else None,
        feeds=_monitors(found, "feed_alarms"),
        losses=_losses(task, found),
        loss=str(loss).capitalize(),
        unit=f"In {loss.unit}, l" if loss.unit else "L",
        drift=_monitors(found, "drift_alarms"),
        worth=worth_table(task, found),
        worth_note=_worth_note(spec, task),
    )


def answers(spec: UseCaseSpec, found: FourLayers) -> list[Answer]:
    """Answer in a sentence each: is it broken, is the world different, does the model earn its keep, what next."""
    return [_is_running(found), _are_data_whole(found), _is_world_the_same(found), _earns_its_keep(spec, found),
            _is_worth(task_of(spec.task), found), _what_next(found)]  # fmt: skip


def _is_running(found: FourLayers) -> Answer:
    question = "Is it running?"
    if not found.drops:
        return Answer(question, "No drop has been run yet.")
    decided = sum(each.action is not None for each in found.drops)
    said = f"{decided} of {len(found.drops)} drops ran to a decision"
    errors = [each for each in found.incidents if each["severity"] == "error"]
    if found.incidents:
        said += f"; {counted(len(found.incidents), 'incident')} open, {counted(len(errors), 'error')} among them"
    else:
        said += "; no incident is open"
    fallback = found.quality.get("fallback")
    if fallback is not None:
        said += f"; {fallback_sentence(fallback)}"
    is_bad = bool(errors) or fallback is not None or decided < len(found.drops)
    return Answer(question, f"{said}.", "bad" if is_bad else "good")


def _are_data_whole(found: FourLayers) -> Answer:
    question = "Are the data whole?"
    quarantined, rows = quarantined_rows(found.drops)
    if not rows:
        return Answer(question, "Nothing has landed yet.")
    refused, missing = found.count("refused"), found.count("missing")
    newest = found.drops[-1].feed_alarms
    said = f"{quarantined:,} of {rows:,} rows are in quarantine; "
    said += (
        f"{counted(refused, 'file')} refused, {missing} missing; "
        if refused or missing
        else "no file was refused or missing; "
    )
    said += _alarms_now(newest, "feed")
    return Answer(question, f"{said}.", "bad" if newest or found.drops[-1].refused or found.drops[-1].missing else "")


def _is_world_the_same(found: FourLayers) -> Answer:
    question = "Is the world as the model knows it?"
    if not found.drops:
        return Answer(question, "Nothing was compared yet.")
    newest = found.drops[-1].drift_alarms
    ever = sum(bool(each.drift_alarms) for each in found.drops)
    said = f"{_alarms_now(newest, 'feature').capitalize()}; in {ever} of {counted(len(found.drops), 'drop')} some did"
    return Answer(question, f"{said}.", "bad" if newest else "")


def _alarms_now(alarms: tuple[str, ...] | None, what: str) -> str:
    if alarms is None:
        return f"there is too little to judge a {what} by in the newest drop"
    if not alarms:
        return f"no {what} alarms in the newest drop"
    more = f" and {len(alarms) - 3} more" if len(alarms) > 3 else ""
    return f"in the newest drop alarm {', '.join(alarms[:3])}{more}"


def _earns_its_keep(spec: UseCaseSpec, found: FourLayers) -> Answer:
    question, now, task = "Does the model earn its keep?", found.quality.get("now"), task_of(spec.task)
    if now is None or now["model_version"] is None:
        return Answer(question, "No champion serves yet.")
    if now["loss_now"] is None:
        return Answer(question, f"{gate_sentence(task, now).capitalize()}.")
    said = f"{gate_sentence(task, now)}; {baseline_sentence(task, now)}"
    gained = now["gain_lower"] is not None and now["gain_lower"] > 0 and now["state"] == "ok"
    return Answer(question, f"{said[0].upper()}{said[1:]}.", "bad" if now["state"] == "failed" else "good" * gained)  # pyright: ignore[reportArgumentType] - "good" or nothing


def _is_worth(task: Task, found: FourLayers) -> Answer:
    question = "What is it worth?"
    if not found.by_model:
        return Answer(question, "No outcome of a served prediction has matured yet.")
    newest = found.by_model[-1]
    served, simple = newest["champion"], newest["baseline"]
    said: list[str] = []
    if served["at_capacity"] is not None and simple["at_capacity"] is not None:
        said.append(f"{_measure_name(task)} {served['at_capacity']:.4g}, by the baseline {simple['at_capacity']:.4g}")
    if served["cost"] is not None and simple["cost"] is not None:
        said.append(f"cost an example {served['cost']:.4g}, by the baseline {simple['cost']:.4g}")
    if not said:
        return Answer(question, f"{newest['model_version']}: nothing was measured yet.")
    return Answer(question, f"{newest['model_version']}, on {newest['n']:,} outcomes: {'; '.join(said)}.")


def _what_next(found: FourLayers) -> Answer:
    decided = [each for each in found.drops if each.action is not None]
    if not decided:
        return Answer("What happens next?", "Nothing was decided yet.")
    newest = decided[-1]
    action = str(newest.action).replace("_", " ")
    return Answer("What happens next?", f"{action.capitalize()}, as of drop {newest.drop}: {newest.reason}.",
                  "" if newest.action == "nothing" else "bad")  # fmt: skip


def _events(found: FourLayers) -> PageTable:
    events: Sequence[Mapping[str, Any]] = found.quality["events"][-_MOST_EVENTS:]
    rows = [[each["drop"], each["kind"].replace("_", " "), each["model_version"] or "", each["message"]]
            for each in events]  # fmt: skip
    columns = [PageColumn("drop", "day"), PageColumn("what"), PageColumn("model"), PageColumn("why", "sentence")]
    return PageTable(columns, rows)


def _incidents(found: FourLayers) -> PageTable:
    rows = [
        [each["since"], ColouredCell(each["severity"], "bad" if each["severity"] == "error" else ""),
         each["kind"].replace("_", " "), each["message"]]
        for each in found.incidents
    ]  # fmt: skip
    columns = [
        PageColumn("since", "day"),
        PageColumn("severity"),
        PageColumn("kind"),
        PageColumn("message", "sentence"),
    ]
    return PageTable(columns, rows)


def _monitors(found: FourLayers, which: str) -> PageTable:
    newest = (getattr(found.drops[-1], which) or ()) if found.drops else ()
    rows = [[name, drops, ColouredCell("yes", "bad") if name in newest else "no"]
            for name, drops in monitors_in_alarm(found.drops, which).most_common(_MOST_MONITORS)]  # fmt: skip
    columns = [PageColumn("monitor"), PageColumn("drops in alarm", "number"), PageColumn("in the newest drop")]
    return PageTable(columns, rows)


def _losses(task: Task, found: FourLayers) -> Chart | None:
    weeks = found.quality["weeks"]
    if not weeks or found.last is None:
        return None
    loss = task.loss_metric.name
    lines: dict[str, Line] = {
        name: [(date.fromisoformat(week["week"]), week[role][loss]) for week in weeks]
        for role, name in ROLE_NAMES.items()
    }
    marks = [DayMark(date.fromisoformat(each["drop"][:10]), "promotion", is_dashed=False)
             for each in found.quality["events"] if each["kind"] == "promotion"]  # fmt: skip
    days = date.fromisoformat(weeks[0]["week"]), day_of_key(found.last)
    return line_chart(f"{str(task.loss_metric).capitalize()} by week of prediction", lines, days, marks)


def worth_table(task: Task, found: FourLayers) -> PageTable:
    """Give a row for each model version: when it served, and what it was worth beside the baseline."""
    measures = [("loss", str(task.loss_metric), False), ("at_capacity", _measure_name(task), True)]
    if any(each["champion"]["cost"] is not None for each in found.by_model):
        measures.append(("cost", "cost an example", False))
    columns = [PageColumn("model"), PageColumn("first drop", "day"), PageColumn("last drop", "day"),
               PageColumn("outcomes", "number")]  # fmt: skip
    columns += [PageColumn(f"{name}{of}", "number") for _, name, _ in measures for of in ("", " of the baseline")]
    rows: list[list[Any]] = []
    for each in found.by_model:
        cells: list[Any] = [each["model_version"], each["first"], each["last"], f"{each['n']:,}"]
        for key, _, is_higher_better in measures:
            served, simple = each["champion"][key], each["baseline"][key]
            cells += [_compared(served, simple, is_higher_better=is_higher_better), _number(simple)]
        rows.append(cells)
    return PageTable(columns, rows)


def _compared(served: float | None, simple: float | None, *, is_higher_better: bool) -> ColouredCell:
    if served is None or simple is None or served == simple:
        return ColouredCell(_number(served), "")
    return ColouredCell(_number(served), "good" if (served > simple) == is_higher_better else "bad")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _measure_name(task: Task) -> str:
    return task.at_capacity.replace("_", " ")


def _worth_note(spec: UseCaseSpec, task: Task) -> str:
    capacity = spec.worklist.capacity
    said = (
        f"Means over the examples that matured, {_measure_name(task)} over the {capacity} highest scores of each drop"
    )
    costs = spec.monitoring.costs
    if task.has_classes:
        said += (
            f", cost with {costs.false_alarm:g} for acting in vain and {costs.missed:g} for an outcome that was missed"
        )
    return f"{said}. The baseline is measured on the same examples."
