"""The page of what the machine decides: the curve of risk and coverage, and the examples of a drop by route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_assets.reports.figure_style import BAD, DIM, SERIES, Chart, chart_figure, svg_of
from ml_assets.reports.page import PageColumn, PageTable, render_page
from ml_assets.spec.drop import DropKey
from ml_assets.spec.routes import ABSTAINED, DECIDED, ESCALATED
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.landing import write_whole
from ml_assets.stores.use_case_state import UseCaseState

Rows = Sequence[Mapping[str, Any]]
_HEIGHT, _SHOWN = 320, 50


def write_routes_page(spec: UseCaseSpec, state: UseCaseState, drop: DropKey, rows: Rows, points: Rows) -> Path:
    """Write the page of a drop, and give its path."""
    page = state.paths.routes_page(spec.name)
    write_whole(page, routes_page(spec, drop, rows, points).encode())
    return page


def routes_page(spec: UseCaseSpec, drop: DropKey, rows: Rows, points: Rows) -> str:
    """Write the page from rows of `worklist_routes` and `risk_coverage`, the latter in order of coverage."""
    declared = spec.worklist.routes
    counts = {route: sum(row["route"] == route for row in rows) for route in (DECIDED, ESCALATED, ABSTAINED)}
    chosen = next((row for row in points if row["is_chosen"]), None)
    return render_page(
        "routes.html.j2",
        title=f"{spec.name}: what the machine decides",
        drop=str(drop),
        counts=", ".join(f"{n} {route}" for route, n in counts.items()),
        max_risk=f"{declared.max_risk:g}" if declared else "",
        level=f"{declared.level:.0%}" if declared else "",
        chosen=None if chosen is None else {name: _text(chosen[name]) for name in chosen},
        chart=_chart(points, declared.max_risk) if points and declared else None,
        points=_points(points),
        examples=_examples(rows),
        n_shown=min(len(rows), _SHOWN),
        n=len(rows),
    )


def _chart(points: Rows, max_risk: float) -> Chart:
    with chart_figure(_HEIGHT) as (figure, axes):
        coverage = [row["coverage"] for row in points]
        axes.fill_between(coverage, [row["risk"] for row in points], [row["upper"] for row in points], color=SERIES[0],
                          alpha=0.15, linewidth=0)  # fmt: skip
        axes.plot(coverage, [row["risk"] for row in points], color=SERIES[0], marker="o", label="wrong decisions")
        axes.axhline(max_risk, color=BAD, linewidth=1, label="allowed")
        for row in points:
            if row["is_chosen"]:
                axes.axvline(
                    row["coverage"], color=DIM, linestyle=":", label=f"from confidence {row['confidence']:.3f}"
                )
        axes.set_xlabel("share of the matured examples that the machine decides, the surest first")
        axes.set_ylabel("share of wrong decisions")
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper left")
        return svg_of(figure, "Share of wrong decisions by the share of examples that are decided")


def _points(points: Rows) -> PageTable:
    names = ("confidence", "coverage", "n", "errors", "risk", "upper")
    rows = [[*(_text(row[name]) for name in names), "chosen" if row["is_chosen"] else ""] for row in points]
    heads = ("confidence", "coverage", "decided", "wrong", "risk", "at most")
    return PageTable([*(PageColumn(name, "number") for name in heads), PageColumn("")], rows)


def _examples(rows: Rows) -> PageTable:
    shown = sorted(rows, key=lambda row: row["rank"])[:_SHOWN]
    cells = [[row["rank"], row["example_id"], _text(row["score"]), row["route"], row["reason"]] for row in shown]
    return PageTable(
        [PageColumn("rank", "number"), PageColumn("example"), PageColumn("score", "number"), PageColumn("route"),
         PageColumn("reason", "sentence")], cells
    )  # fmt: skip


def _text(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
