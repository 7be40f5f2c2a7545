"""Pictures of an experiment: its confidence sequence, and where its models disagree."""

from __future__ import annotations

from collections.abc import Sequence

from ml_assets.reports.figure_style import picture_figure, png_of
from ml_assets.reports.plain_text import label_text
from ml_assets.spec.drop import DropKey

_MOST = 15
Look = tuple[DropKey, float | None, float | None, float | None]


def sequence_png(looks: Sequence[Look]) -> bytes | None:
    """Draw an estimate with the bounds that hold at all looks; None where nothing is bounded yet."""
    known = [(day, value, low, high) for day, value, low, high in looks
             if value is not None and low is not None and high is not None]  # fmt: skip
    if not known:
        return None
    places = list(range(len(known)))
    with picture_figure() as (figure, axes):
        axes.fill_between(places, [each[2] for each in known], [each[3] for each in known], alpha=0.25, color="C0")
        axes.plot(places, [each[1] for each in known], color="C0", marker="o", markersize=3)
        axes.axhline(0, color="C3", linewidth=1)
        step = max(1, len(known) // 6)
        axes.set_xticks(places[::step], [str(each[0])[5:] for each in known[::step]], fontsize=6)
        axes.set(ylabel="worse by, nats")
        return png_of(figure)


def disagreement_png(slices: Sequence[tuple[str, float, int]]) -> bytes | None:
    """Draw how much two models differ in each slice, the greatest on top: (slice, mean difference, examples)."""
    shown = sorted(slices, key=lambda each: -each[1])[:_MOST][::-1]
    if not shown:
        return None
    with picture_figure() as (figure, axes):
        axes.barh(range(len(shown)), [each[1] for each in shown], height=0.6, color="C0")
        axes.set_yticks(range(len(shown)), [f"{label_text(each[0])} ({each[2]:,})" for each in shown], fontsize=6)
        axes.set(xlabel="mean absolute difference of the scores")
        return png_of(figure)
