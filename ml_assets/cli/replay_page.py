"""The page of a replay: one file that opens offline, made of its summary alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import date
from html import escape
from typing import Any

from ml_assets.cli.replay_chart import Line, Mark, line_chart

Summary = Mapping[str, Any]

ROLE_NAMES = {"champion": "champion", "first_champion": "first champion", "baseline": "heuristic"}
_FAMILY_NAMES = {"feed": "feeds", "before": "features, against the weeks before",
                 "training": "features, against what the champion was trained on"}  # fmt: skip
_HIGHEST_RATIO = 4.0  # a broken feed goes to hundreds, and would leave the other lines on the floor

_STYLE = """
:root { color-scheme: light dark; --text: #1f2328; --dim: #59636e; --back: #fff; --rule: #d1d9e0; --grid: #eaeef2;
  --c0: #0b62d6; --c1: #c2530a; --c2: #8250df; --good: #1a7f37; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --dim: #9198a1; --back: #0d1117; --rule: #3d444d;
  --grid: #21262d; --c0: #58a6ff; --c1: #f0883e; --c2: #bc8cff; --good: #3fb950; --bad: #ff7b72; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 1120px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .3rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem; }
p { margin: .4rem 0; } .dim, .empty { color: var(--dim); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
th { color: var(--dim); font-weight: 600; } .number { text-align: right; } td.number { white-space: nowrap; }
.text { min-width: 13rem; }
.day { white-space: nowrap; }
.promoted { color: var(--good); font-weight: 600; } .refused, .error { color: var(--bad); font-weight: 600; }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 11px; fill: var(--dim); }
svg line { stroke-width: 1; } svg polyline { fill: none; stroke-width: 1.8; }
.grid { stroke: var(--grid); } .mark { stroke: var(--text); stroke-width: 1.4 !important; }
.level { stroke: var(--bad); stroke-width: 1.4 !important; } svg .beyond { font-size: 10px; fill: var(--text); }
.line-0 { stroke: var(--c0); } .line-1 { stroke: var(--c1); } .line-2 { stroke: var(--c2); }
.line-1 { stroke-dasharray: 6 4; }
.dot-0 { fill: var(--c0); } .dot-1 { fill: var(--c1); } .dot-2 { fill: var(--c2); }
.legend { margin: .3rem 0 1rem; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .85rem;
  color: var(--dim); }
.legend i { display: inline-block; width: 1.3rem; height: 0; border-top: 3px solid; margin-right: .4rem;
  vertical-align: middle; }
.k0 { border-color: var(--c0) !important; }
.k1 { border-color: var(--c1) !important; border-top-style: dashed !important; }
.k2 { border-color: var(--c2) !important; } .kl { border-color: var(--bad) !important; border-width: 2px !important; }
.kp, .kd { border-top: 0 !important; border-left: 2px solid var(--text); width: 0 !important; height: 1em !important; }
.kd { border-left-style: dashed; }
"""


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
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


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
    return _table(heads, cells, numbers={2, 3, 5}, days={0, 4})


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
    return _table(heads, cells, numbers=set(range(1, len(heads))), days={0})


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
    return _table(
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
    return _table(heads, cells, days={0, 1}, classes={2: [row["severity"] for row in rows], 5: ["text"] * len(rows)})


def _seconds(seconds: Mapping[str, float]) -> str:
    if not seconds:
        return '<p class="empty">nothing was run: every step was done before</p>'
    said = '<p class="dim">Of what was run to make this page; a step that was done before took none.</p>'
    return said + _table(["part", "seconds"], [[name, f"{spent:,.1f}"] for name, spent in seconds.items()], numbers={1})


def _table(
    heads: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    numbers: Set[int] = frozenset(),
    days: Set[int] = frozenset(),
    classes: Mapping[int, Sequence[str]] | None = None,
) -> str:
    def styled(place: int, row: int | None = None) -> str:
        names = ["number"] * (place in numbers) + ["day"] * (place in days)
        if row is not None and classes and place in classes:
            names.append(classes[place][row])
        return f' class="{escape(" ".join(names))}"' if names else ""

    head = "".join(f"<th{styled(place)}>{escape(name)}</th>" for place, name in enumerate(heads))
    body = "\n".join(
        "<tr>" + "".join(f"<td{styled(place, number)}>{escape(str(value))}</td>" for place, value in enumerate(row))
        + "</tr>"
        for number, row in enumerate(rows)
    )  # fmt: skip
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _number(value: Any, digits: int = 4) -> str:
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
