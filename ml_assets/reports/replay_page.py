"""The page of a replay: one file that opens offline, made of its summary alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

from ml_assets.reports.figure_style import Chart
from ml_assets.reports.line_chart import DayMark, Line, Threshold, line_chart
from ml_assets.reports.page import ColouredCell, PageColumn, PageTable, render_page
from ml_assets.reports.plain_text import counted
from ml_assets.reports.quality_text import worse_sentence
from ml_assets.spec.drop import day_of_key
from ml_assets.stats.tasks import task_of

Summary = Mapping[str, Any]

ROLE_NAMES = {"champion": "champion", "first_champion": "first champion", "baseline": "baseline"}
_FAMILY_NAMES = {"feed": "feeds", "before": "features, against the weeks before",
                 "training": "features, against what the champion was trained on"}  # fmt: skip
_VERDICT_COLOURS: Mapping[str, Literal["good", "bad"]] = {"promoted": "good", "refused": "bad"}
_HIGHEST_RATIO = 4.0  # a broken feed goes to hundreds, and would leave the other lines on the floor


def replay_page(summary: Summary) -> str:
    """Write the page."""
    first, last = summary["first"], summary["last"]
    days = day_of_key(first), day_of_key(last)
    loss = task_of(summary["task"]).loss_metric
    return render_page(
        "replay.html.j2",
        title=f"{summary['use_case']}: replay of {first} to {last}",
        outcome=outcome(summary),
        losses=_losses(summary, days),
        loss=str(loss).capitalize(),
        unit=f"In {loss.unit}, l" if loss.unit else "L",
        drift=_drift(summary, days),
        highest_ratio=f"{_HIGHEST_RATIO:g}",
        over_threshold=_over_threshold(summary["drift"]),
        months=_months(summary),
        retrainings=_retrainings(summary["retrainings"]),
        incidents=_incidents(summary["incidents"]),
        seconds=_seconds(summary["seconds"]),
    )


def outcome(summary: Summary) -> str:
    """Summarise a replay in a few sentences."""
    mine = [row for row in summary["retrainings"] if row["drop"] >= summary["first"] and row["decided_by"] == "gate"]
    promoted = sum(row["verdict"] == "promoted" for row in mine)
    opened = len(summary["incidents"])
    closed = sum(row["closed_at"] is not None for row in summary["incidents"])
    steps = (
        f"{sum(summary['decisions'].values())} drops in {counted(summary['steps'], 'step')}: "
        f"{counted(len(mine), 'retraining')}, {promoted} promoted and {len(mine) - promoted} refused; "
        f"{counted(opened, 'incident')} opened, {closed} of them closed."
    )
    mean = summary["mean"]
    worse = worse_sentence(task_of(summary["task"]), summary["worse_weeks"], summary["compared_weeks"])
    if not mean["n_months"]:
        return f"{steps} No month has matured predictions of a champion yet. {worse}"
    champion, baseline = mean["champion"], mean["baseline"]
    task = task_of(summary["task"])
    headline, loss = task.headline.name, task.loss_metric.name
    return (
        f"{steps} Mean {task.headline} over {counted(mean['n_months'], 'month')}: {champion[headline]:.4f}, "
        f"{mean[f'{headline}_above_first_champion']:+.4f} compared with the first champion and "
        f"{champion[headline] - baseline[headline]:+.4f} compared with the baseline. Mean {task.loss_metric}: "
        f"{champion[loss]:.4f}, first champion {mean['first_champion'][loss]:.4f}, baseline "
        f"{baseline[loss]:.4f}. {worse}"
    )


def _losses(summary: Summary, days: tuple[date, date]) -> Chart | None:
    loss = task_of(summary["task"]).loss_metric
    lines: dict[str, Line] = {
        name: [(date.fromisoformat(week["week"]), week[role][loss.name]) for week in summary["weeks"]]
        for role, name in ROLE_NAMES.items()
    }
    marks: list[DayMark] = []
    for row in summary["retrainings"]:
        is_promoted, is_by_gate = row["verdict"] == "promoted", row["decided_by"] == "gate"
        name = "retrained and promoted" if is_promoted else "retrained and not promoted"
        if not is_by_gate:
            name = "the fallback serves" if row["decided_by"] == "fallback" else "decided by a person"
        marks.append(DayMark(day_of_key(row["drop"]), name, not is_promoted, is_dotted=not is_by_gate))
    return line_chart(f"{str(loss).capitalize()} by week of prediction", lines, days, marks)


def _drift(summary: Summary, days: tuple[date, date]) -> Chart | None:
    weeks = sorted({row["week"] for row in summary["drift"]})
    found = {(row["family"], row["week"]): row["ratio"] for row in summary["drift"]}
    lines: dict[str, Line] = {
        name: [(date.fromisoformat(week), found.get((family, week))) for week in weeks]
        for family, name in _FAMILY_NAMES.items()
    }
    return line_chart("Drift by week", lines, days, threshold=Threshold(1.0, cap=_HIGHEST_RATIO))


def _over_threshold(rows: Sequence[Mapping[str, Any]]) -> PageTable:
    """Name the monitors that were furthest over their thresholds, the furthest first."""
    over = sorted((row for row in rows if row["ratio"] > 1), key=lambda row: -row["ratio"])[:8]
    cells = [
        (row["week"], row["monitor"], _number(row["ratio"], 2), _number(row["value"]), row["batch_date"], row["alarms"])
        for row in over
    ]
    columns = [PageColumn("week of", "day"), PageColumn("furthest monitor"), PageColumn("share of threshold", "number"),
               PageColumn("value", "number"), PageColumn("in drop", "day"),
               PageColumn("alarms of the week", "number")]  # fmt: skip
    return PageTable(columns, cells)


def month_cells(summary: Summary) -> tuple[list[str], list[list[Any]]]:
    """Give the heads and the rows of the table of months; a share is a number between 0 and 1."""
    task = task_of(summary["task"])
    shown = (task.loss_metric, task.headline)
    heads = ["month", "labelled", task.label_title]
    heads += [f"{measure} {name}" for measure in shown for name in ROLE_NAMES.values()]
    heads += [f"top {summary['capacity']} {ROLE_NAMES[role]}" for role in ("champion", "baseline")]
    rows = [
        [month["month"], month["n"], month[task.mean_label],
         *(month[role][measure.name] for measure in shown for role in ROLE_NAMES),
         *(month[role][task.at_capacity] for role in ("champion", "baseline"))]
        for month in summary["months"]
    ]  # fmt: skip
    mean = summary["mean"]
    if mean["n_months"] > 1:
        measured = [mean[role][measure.name] for measure in shown for role in ROLE_NAMES]
        rows.append(["mean", None, None, *measured, None, None])
    return heads, rows


def shares_of(summary: Summary, heads: Sequence[str]) -> set[int]:
    """Give the places of the table of months that hold shares; means of numbers are none."""
    return {2, len(heads) - 2, len(heads) - 1} if task_of(summary["task"]).has_classes else set()


def _months(summary: Summary) -> PageTable:
    heads, rows = month_cells(summary)
    shares = shares_of(summary, heads)
    cells = [
        [_percent(value) if place in shares else _number(value) for place, value in enumerate(row)] for row in rows
    ]
    return PageTable([PageColumn(heads[0], "day"), *(PageColumn(name, "number") for name in heads[1:])], cells)


def _retrainings(rows: Sequence[Mapping[str, Any]]) -> PageTable:
    cells = [
        [row["drop"], row["model_version"], row["asked_by"]["trigger"], row["asked_by"]["reason"] or "",
         _measured(row["asked_by"]), ColouredCell(verdict_of(row), _VERDICT_COLOURS.get(row["verdict"], "")),
         gain_of(row), "; ".join(row["broken"])]
        for row in rows
    ]  # fmt: skip
    columns = [PageColumn("drop", "day"), PageColumn("candidate"), PageColumn("asked by"),
               PageColumn("reason", "sentence"), PageColumn("measured"), PageColumn("verdict"),
               PageColumn("gain over the champion"), PageColumn("rules broken", "sentence")]  # fmt: skip
    return PageTable(columns, cells)


def verdict_of(row: Mapping[str, Any]) -> str:
    """Say a verdict, and when no gate stood behind it; of a fallback, what serves."""
    if row["decided_by"] == "fallback":
        return "its baseline serves" if row["serves"] == "baseline" else "serves again"
    return row["verdict"] if row["gate"] == "enabled" else f"{row['verdict']} (gate {row['gate']})"


def gain_of(row: Mapping[str, Any]) -> str:
    """Say the relative gain in loss with its interval; empty for a first champion, and where no gate measured it.

    >>> gain_of({"decided_by": "gate", "gain": 0.021, "gain_lower": -0.004, "gain_upper": 0.05})
    '+2.1% (-0.4% to +5.0%)'
    """
    if row["gain"] is None or row["decided_by"] != "gate":
        return ""
    if row["gain_lower"] is None or row["gain_upper"] is None:
        return f"{row['gain']:+.1%}"
    return f"{row['gain']:+.1%} ({row['gain_lower']:+.1%} to {row['gain_upper']:+.1%})"


def _measured(asked_by: Mapping[str, Any]) -> str:
    if asked_by["measurement"] is None or asked_by["threshold"] is None:
        return ""
    return f"{asked_by['monitor']}: {asked_by['measurement']:.4g}, threshold {asked_by['threshold']:.4g}"


def _incidents(rows: Sequence[Mapping[str, Any]]) -> PageTable:
    cells = [
        [row["opened_at"], row["closed_at"] or "open",
         ColouredCell(row["severity"], "bad" if row["severity"] == "error" else ""), row["kind"].replace("_", " "),
         row["monitor"], row["message"]]
        for row in rows
    ]  # fmt: skip
    columns = [PageColumn("opened", "day"), PageColumn("closed", "day"), PageColumn("severity"), PageColumn("kind"),
               PageColumn("monitor"), PageColumn("what", "sentence")]  # fmt: skip
    return PageTable(columns, cells)


def _seconds(seconds: Mapping[str, float]) -> PageTable:
    columns = [PageColumn("part"), PageColumn("seconds", "number")]
    return PageTable(columns, [[name, f"{spent:,.1f}"] for name, spent in seconds.items()])


def _number(value: Any, digits: int = 4) -> str:
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
