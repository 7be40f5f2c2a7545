"""The page of learning curves: quality by number of labels for each strategy of asking people."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ml_assets.labeling.active_learning import ENOUGH, SIMULATED, LearningCurves
from ml_assets.reports.figure_style import BAD, DIM, SERIES, Chart, chart_figure, svg_of
from ml_assets.reports.page import ColouredCell, PageColumn, PageTable, render_page
from ml_assets.spec.review import RANDOM
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.landing import write_whole
from ml_assets.stores.use_case_state import UseCaseState

_HEIGHT = 360


def write_learning_curve_page(spec: UseCaseSpec, state: UseCaseState, curves: LearningCurves) -> Path:
    """Write the page, and give its path."""
    page = state.paths.learning_curve_page(spec.name)
    write_whole(page, learning_curve_page(spec, curves).encode())
    return page


def learning_curve_page(spec: UseCaseSpec, curves: LearningCurves) -> str:
    """Write the page of curves."""
    return render_page(
        "learning_curve.html.j2",
        title=f"{spec.name}: what asking people is worth",
        full=f"{curves.full:.4f}",
        n_full=f"{curves.n_full:,}",
        n_test=f"{curves.n_test:,}",
        seeds=curves.seeds,
        level=f"{curves.level:.0%}",
        chart=_chart(curves),
        reached=[f"{name}: {enough_in_words(curves, name)}" for name in SIMULATED],
        points=_points(curves),
    )


def enough_in_words(curves: LearningCurves, strategy: str) -> str:
    """Say from which share of the labels on a strategy keeps 99 % of the AUC of all.

    >>> from ml_assets.labeling.active_learning import LearningPoint
    >>> point = LearningPoint("random", 0.2, 40, 0.899, 0.89, 0.91, 0.0, 0.0, 0.0)
    >>> enough_in_words(LearningCurves((point,), 0.9, 200, 100, 20), "random")
    '99 % of the AUC of all labels with 20 % of them (40)'
    """
    share = curves.enough_at(strategy)
    said = f"{ENOUGH:.0%} of the AUC of all labels".replace("%", " %")
    if share is None:
        most = max(each.share for each in curves.of(strategy))
        return f"less than {said} with up to {most * 100:.0f} % of them"
    labels = next(each.labels for each in curves.of(strategy) if each.share == share)
    return f"{said} with {share * 100:.0f} % of them ({labels})"


def _chart(curves: LearningCurves) -> Chart:
    colours = dict(zip((name for name in SIMULATED if name != RANDOM), SERIES, strict=True))
    with chart_figure(_HEIGHT) as (figure, axes):
        base = curves.of(RANDOM)
        labels = [each.labels for each in base]
        axes.fill_between(labels, [each.low for each in base], [each.high for each in base], color=DIM, alpha=0.15,
                          linewidth=0)  # fmt: skip
        axes.plot(labels, [each.quality for each in base], color=DIM, marker="o", linestyle="--", label=RANDOM)
        for name, colour in colours.items():
            points = curves.of(name)
            axes.plot([each.labels for each in points], [each.quality for each in points], color=colour, marker="o",
                      label=name)  # fmt: skip
        axes.axhline(curves.full, color=BAD, linewidth=1, label="all labels")
        axes.axhline(ENOUGH * curves.full, color=BAD, linewidth=1, linestyle=":", label="99 % of it")
        axes.set_xscale("log")
        axes.set_xticks(labels, [f"{each:,}" for each in labels])
        axes.minorticks_off()
        axes.set_xlabel("labels bought")
        axes.set_ylabel("AUC on newer examples")
        axes.legend(loc="lower right", ncols=2)
        return svg_of(figure, "AUC by number of labels bought, by strategy; the band is the interval of random")


def _points(curves: LearningCurves) -> PageTable:
    rows = [
        [name, f"{each.share:.0%}", f"{each.labels:,}", f"{each.quality:.4f}", f"{each.low:.4f} to {each.high:.4f}",
         "" if name == RANDOM else ColouredCell(f"{each.gain:+.4f}", _colour(each.gain_low, each.gain_high)),
         "" if name == RANDOM else f"{each.gain_low:+.4f} to {each.gain_high:+.4f}"]
        for name in SIMULATED for each in curves.of(name)
    ]  # fmt: skip
    columns = [PageColumn("strategy"), *(PageColumn(name, "number") for name in ("share", "labels", "AUC"))]
    columns += [PageColumn("interval"), PageColumn("above random", "number"), PageColumn("interval")]
    return PageTable(columns, rows)


def _colour(low: float, high: float) -> Literal["", "good", "bad"]:
    return "good" if low > 0 else "bad" if high < 0 else ""
