"""The page of a replay: one file that opens offline, made of its summary alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from typing import Any

from ml_assets.reports.html_page import html_page, table
from ml_assets.reports.line_chart import Line, Mark, line_chart

Summary = Mapping[str, Any]

ROLE_NAMES = {"champion": "champion", "first_champion": "first champion", "baseline": "heuristic"}
_FAMILY_NAMES = {"feed": "feeds", "before": "features, against the weeks before",
                 "training": "features, against what the champion was trained on"}  # fmt: skip
_HIGHEST_RATIO = 4.0  # a broken feed goes to hundreds, and would leave the other lines on the floor


def replay_page(summary: Summary) -> str:
    """Write the page."""
    first, last = date.fromisoformat(summary["first"]), date.fromisoformat(summary["last"])
    title = f"{summary['use_case']}: replay of {first} to {last}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(outcome(summary))}</p>",
        "<h2>Log loss by week of prediction</h2>",
        '<p class="dim">In nats, lower is better. The first champion is the model without any retraining.</p>',
        _losses(summary, (first, last)),
        "<h2>Drift by week</h2>",
        '<p class="dim">The largest distance from the usual of any monitor, as a share of its own threshold. Above '
        f"{_HIGHEST_RATIO:g} the number stands at the edge.</p>",
        _drift(summary, (first, last)),
        "<h2>Months</h2>", _months(summary),
        "<h2>Retrainings</h2>", _retrainings(summary["retrainings"]),
        "<h2>Incidents</h2>", _incidents(summary["incidents"]),
        "<h2>Time</h2>", _seconds(summary["seconds"]),
    ]  # fmt: skip
    return html_page(title, "\n".join(parts))


def outcome(summary: Summary) -> str:
    """Say in a sentence or two what came of a replay."""
    mine = [row for row in summary["retrainings"] if row["as_of"] >= summary["first"]]
    promoted = sum(row["verdict"] == "promoted" for row in mine)
    opened = len(summary["incidents"])
    closed = sum(row["closed_at"] is not None for row in summary["incidents"])
    said = (
        f"{sum(summary['decisions'].values())} drops in {counted(summary['steps'], 'step')}: "
        f"{counted(len(mine), 'retraining')}, {promoted} promoted and {len(mine) - promoted} refused; "
        f"{counted(opened, 'incident')} opened, {closed} of them closed."
    )
    mean = summary["mean"]
    if not mean["n_months"]:
        return f"{said} No month has matured predictions of a champion yet."
    champion, heuristic = mean["champion"], mean["baseline"]
    return (
        f"{said} Mean AUC over {counted(mean['n_months'], 'month')}: {champion['auc']:.4f}, "
        f"{mean['auc_above_first_champion']:+.4f} beside the first champion and "
        f"{champion['auc'] - heuristic['auc']:+.4f} beside the heuristic; mean log loss {champion['log_loss']:.4f}, "
        f"theirs {mean['first_champion']['log_loss']:.4f} and {heuristic['log_loss']:.4f}."
    )


def counted(n: int, noun: str) -> str:
    """Count things in words.

    >>> counted(1, "step"), counted(3, "step")
    ('1 step', '3 steps')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _losses(summary: Summary, days: tuple[date, date]) -> str:
    lines: dict[str, Line] = {
        name: [(date.fromisoformat(week["week"]), week[role]["log_loss"]) for week in summary["weeks"]]
        for role, name in ROLE_NAMES.items()
    }
    marks = [
        Mark(
            date.fromisoformat(row["as_of"]),
            f"{row['as_of']} {row['verdict']}: {row['asked_by']['reason'] or row['asked_by']['trigger']}",
            is_dashed=row["verdict"] != "promoted",
        )
        for row in summary["retrainings"]
    ]
    return line_chart(lines, days, marks=marks) + _legend(
        {**{f"k{number}": name for number, name in enumerate(ROLE_NAMES.values())},
         "kp": "retrained and promoted", "kd": "retrained and refused"}
    )  # fmt: skip


def _drift(summary: Summary, days: tuple[date, date]) -> str:
    weeks = sorted({row["week"] for row in summary["drift"]})
    found = {(row["family"], row["week"]): row["ratio"] for row in summary["drift"]}
    lines: dict[str, Line] = {
        name: [(date.fromisoformat(week), found.get((family, week))) for week in weeks]
        for family, name in _FAMILY_NAMES.items()
    }
    names = {f"k{number}": name for number, name in enumerate(_FAMILY_NAMES.values())}
    return line_chart(lines, days, level=1.0, cap=_HIGHEST_RATIO) + _legend(names | {"kl": "threshold"}) + _highest(
        summary["drift"]
    )  # fmt: skip


def _highest(rows: Sequence[Mapping[str, Any]]) -> str:
    """Name the monitors of the weeks that were over, the furthest first."""
    over = sorted((row for row in rows if row["ratio"] > 1), key=lambda row: -row["ratio"])[:8]
    if not over:
        return ""
    cells = [
        (row["week"], row["monitor"], _number(row["ratio"], 2), _number(row["value"]), row["batch_date"], row["alarms"])
        for row in over
    ]
    heads = ("week of", "furthest monitor", "share of threshold", "value", "in drop", "alarms of the week")
    return table(heads, cells, numbers={2, 3, 5}, days={0, 4})


def _legend(names: Mapping[str, str]) -> str:
    return '<div class="legend">' + "".join(
        f'<span><i class="{key}"></i>{escape(name)}</span>' for key, name in names.items()
    ) + "</div>"  # fmt: skip


def month_cells(summary: Summary) -> tuple[list[str], list[list[Any]]]:
    """Give the heads and the rows of the table of months; a share is a number between 0 and 1."""
    heads = ["month", "labelled", "positive share"]
    heads += [f"{measure} {name}" for measure in ("log loss", "AUC") for name in ROLE_NAMES.values()]
    heads += [f"top {summary['capacity']} {ROLE_NAMES[role]}" for role in ("champion", "baseline")]
    rows = [
        [month["month"], month["n"], month["label_share"],
         *(month[role][measure] for measure in ("log_loss", "auc") for role in ROLE_NAMES),
         *(month[role]["precision_at_capacity"] for role in ("champion", "baseline"))]
        for month in summary["months"]
    ]  # fmt: skip
    mean = summary["mean"]
    if mean["n_months"] > 1:
        measured = [mean[role][measure] for measure in ("log_loss", "auc") for role in ROLE_NAMES]
        rows.append(["mean", None, None, *measured, None, None])
    return heads, rows


def _months(summary: Summary) -> str:
    heads, rows = month_cells(summary)
    if not rows:
        return '<p class="empty">no prediction yet: no champion serves</p>'
    shares = {2, len(heads) - 2, len(heads) - 1}
    cells = [
        [_percent(value) if place in shares else _number(value) for place, value in enumerate(row)] for row in rows
    ]
    return table(heads, cells, numbers=set(range(1, len(heads))), days={0})


def _retrainings(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return '<p class="empty">none</p>'
    cells = [
        [row["as_of"], row["model_version"], row["asked_by"]["trigger"], row["asked_by"]["reason"] or "",
         _measured(row["asked_by"]), verdict_of(row), gain_of(row), "; ".join(row["broken"])]
        for row in rows
    ]  # fmt: skip
    heads = [
        "as of",
        "candidate",
        "asked by",
        "reason",
        "measured",
        "verdict",
        "gain over the champion",
        "rules broken",
    ]
    return table(
        heads,
        cells,
        days={0},
        classes={5: [row["verdict"] for row in rows], **dict.fromkeys((3, 7), ["text"] * len(rows))},
    )


def verdict_of(row: Mapping[str, Any]) -> str:
    """Say a verdict, and when no gate stood behind it."""
    return row["verdict"] if row["gate"] == "enabled" else f"{row['verdict']} (gate {row['gate']})"


def gain_of(row: Mapping[str, Any]) -> str:
    """Say the relative gain in log loss with its interval; empty for a first champion.

    >>> gain_of({"gain": 0.021, "gain_lower": -0.004, "gain_upper": 0.05})
    '+2.1% (-0.4% to +5.0%)'
    """
    if row["gain"] is None:
        return ""
    if row["gain_lower"] is None or row["gain_upper"] is None:
        return f"{row['gain']:+.1%}"
    return f"{row['gain']:+.1%} ({row['gain_lower']:+.1%} to {row['gain_upper']:+.1%})"


def _measured(asked_by: Mapping[str, Any]) -> str:
    if asked_by["measurement"] is None or asked_by["threshold"] is None:
        return ""
    return f"{asked_by['monitor']}: {asked_by['measurement']:.4g}, threshold {asked_by['threshold']:.4g}"


def _incidents(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return '<p class="empty">none</p>'
    cells = [
        [row["opened_at"], row["closed_at"] or "open", row["severity"], row["kind"].replace("_", " "), row["monitor"],
         row["message"]]
        for row in rows
    ]  # fmt: skip
    heads = ["opened", "closed", "severity", "kind", "monitor", "what"]
    return table(heads, cells, days={0, 1}, classes={2: [row["severity"] for row in rows], 5: ["text"] * len(rows)})


def _seconds(seconds: Mapping[str, float]) -> str:
    if not seconds:
        return '<p class="empty">nothing was run: every step was done before</p>'
    said = '<p class="dim">Of what was run to make this page; a step that was done before took none.</p>'
    return said + table(["part", "seconds"], [[name, f"{spent:,.1f}"] for name, spent in seconds.items()], numbers={1})


def _number(value: Any, digits: int = 4) -> str:
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
