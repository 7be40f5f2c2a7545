"""The page of the labels of a use case: which are used and why, what each function does, and what they are worth."""

from __future__ import annotations

import math
from pathlib import Path

from ml_assets.labeling.gold_worth import GoldWorth
from ml_assets.pipeline.labeling.label_report import LabelReport
from ml_assets.reports.figure_style import BAD, DIM, SERIES, Chart, chart_figure, svg_of
from ml_assets.reports.page import ColouredCell, PageColumn, PageTable, render_page
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.landing import write_whole
from ml_assets.stores.use_case_state import UseCaseState

_HEIGHT = 300


def write_label_page(
    spec: UseCaseSpec, state: UseCaseState, report: LabelReport, worth: GoldWorth | None = None
) -> Path:
    """Write the page of what is stored, and give its path."""
    page = state.paths.label_page(spec.name)
    write_whole(page, label_page(spec, report, worth).encode())
    return page


def label_page(spec: UseCaseSpec, report: LabelReport, worth: GoldWorth | None = None) -> str:
    """Write the page of a label model."""
    return render_page(
        "labels.html.j2",
        title=f"{spec.name}: labels",
        as_of=str(report.as_of),
        chosen=report.chosen,
        reason=report.reason,
        counts=report.counts_in_words,
        models=_models(report),
        functions=_functions(report),
        correlated=_correlated(report),
        worth=None if worth is None else worth_in_words(worth),
        curve=None if worth is None else worth_chart(worth),
    )


def worth_in_words(worth: GoldWorth) -> str:
    """Say how many gold labels the weak ones are worth.

    >>> worth_in_words(GoldWorth((), 0.9, 0.8, 0.95, 40.4, 21.0, math.inf, 0.9, 60))
    'worth 40 gold labels, 90 % interval 21 to more than were tried (AUC 0.900, 0.800 to 0.950, on 60 held out)'
    """
    low, high = _number(worth.worth_low), _number(worth.worth_high)
    return (
        f"worth {_number(worth.worth)} gold labels, {worth.level * 100:.0f} % interval {low} to {high} (AUC "
        f"{worth.quality:.3f}, {worth.quality_low:.3f} to {worth.quality_high:.3f}, on {worth.n_test} held out)"
    )


def worth_chart(worth: GoldWorth) -> Chart:
    """Draw quality against gold labels, with the weak labels as a line across."""
    gold = [point.gold for point in worth.curve]
    with chart_figure(_HEIGHT) as (figure, axes):
        axes.fill_between(gold, [each.low for each in worth.curve], [each.high for each in worth.curve],
                          color=SERIES[0], alpha=0.15, linewidth=0)  # fmt: skip
        axes.plot(gold, [each.quality for each in worth.curve], color=SERIES[0], marker="o", label="gold labels alone")
        axes.axhline(worth.quality, color=BAD, label="weak labels alone")
        axes.axhspan(worth.quality_low, worth.quality_high, color=BAD, alpha=0.08, linewidth=0)
        if 0 < worth.worth < math.inf:
            axes.axvline(worth.worth, color=DIM, linestyle=":", label=f"worth {_number(worth.worth)}")
        axes.set_xscale("log")
        axes.set_xticks(gold, [str(each) for each in gold])
        axes.minorticks_off()
        axes.set_xlabel("gold labels")
        axes.set_ylabel("AUC on held-out gold labels")
        axes.legend(loc="lower right")
        return svg_of(figure, "Quality of a model against the number of gold labels, and of the weak labels")


def _number(value: float) -> str:
    return "more than were tried" if math.isinf(value) else "fewer than were tried" if value == 0 else f"{value:.0f}"


def _models(report: LabelReport) -> PageTable:
    rows = [
        [ColouredCell(row["model"], "good" if row["is_chosen"] else ""), _share(row["accuracy"]),
         f"{_share(row['low'])} to {_share(row['high'])}"]
        for row in report.models
    ]  # fmt: skip
    return PageTable([PageColumn("model"), PageColumn("accuracy", "number"), PageColumn("90 % interval")], rows)


def _functions(report: LabelReport) -> PageTable:
    rows = [
        [row["function"], row["version"], row["owner"] or "", ", ".join(row["classes"]), _share(row["coverage"]),
         _share(row["overlap"]), _share(row["conflict"]), row["gold"], _share(row["accuracy"]),
         f"{_share(row['low'])} to {_share(row['high'])}" if row["gold"] else "", row["description"]]
        for row in report.functions
    ]  # fmt: skip
    numbers = ("coverage", "overlap", "conflict", "gold", "accuracy")
    columns = [PageColumn(name) for name in ("function", "version", "owner", "classes")]
    columns += [PageColumn(name, "number") for name in numbers]
    return PageTable([*columns, PageColumn("90 % interval"), PageColumn("looks for", "sentence")], rows)


def _correlated(report: LabelReport) -> PageTable:
    rows = [[row["first"], row["second"], f"{row['correlation']:.2f}", row["common"]] for row in report.correlated]
    columns = [PageColumn("function"), PageColumn("and"), PageColumn("correlation", "number"),
               PageColumn("examples both vote on", "number")]  # fmt: skip
    return PageTable(columns, rows)


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
