"""Pictures of what a model leans on and what it costs, in the size of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ml_assets.reports.figure_style import picture_figure, png_of
from ml_assets.reports.pictures import draw_intervals
from ml_assets.reports.plain_text import label_text
from ml_assets.stats.metric import Metric

_MOST = 15


def importance_png(rises: Mapping[str, NDArray[np.float64]], label: str) -> bytes:
    """Draw the most important names, each with a dot a repeat and a bar to its mean; the greatest on top."""
    shown = sorted(rises, key=lambda name: -float(rises[name].mean()))[:_MOST][::-1]
    with picture_figure() as (figure, axes):
        for place, name in enumerate(shown):
            axes.barh(place, float(rises[name].mean()), color="C0", height=0.6, alpha=0.5)
            axes.scatter(rises[name], np.full(rises[name].size, place), s=6, color="0.3", zorder=3)
        axes.set_yticks(range(len(shown)), [label_text(name) for name in shown], fontsize=6)
        axes.axvline(0, color="0.6", linewidth=0.8)
        axes.set(xlabel=label)
        return png_of(figure)


def size_and_loss_png(measure: Metric, points: Sequence[tuple[str, float, float]]) -> bytes:
    """Draw the loss against kilobytes, on a logarithmic axis, one numbered dot a variant: (name, bytes, loss)."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    with picture_figure() as (figure, axes):
        for number, (name, size, loss) in enumerate(points):
            colour, place = "C3" if number == 0 else "C0", (size / 1000, loss)
            axes.scatter(*place, s=70, color=colour, label=f"{number}  {label_text(name, 42)}", zorder=2)
            axes.annotate(str(number), place, fontsize=6, color="white", ha="center", va="center", zorder=3)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="kB of all files", ylabel=f"{measure} ahead")
        figure.legend(*axes.get_legend_handles_labels(), fontsize=5, loc="outside upper center", ncols=2,
                      markerscale=0.3)  # fmt: skip
        return png_of(figure)


def gains_png(measure: Metric, gains: Sequence[tuple[str, float, float, float]]) -> bytes:
    """Draw gains with their intervals, the lowest on top: (name, estimate, lower, upper), as shares of the loss."""
    shown = sorted(gains, key=lambda each: -each[1])[-2 * _MOST :]
    with picture_figure() as (figure, axes):
        in_percent = [(name, value * 100, lower * 100, upper * 100) for name, value, lower, upper in shown]
        draw_intervals(axes, in_percent, font_size=5)
        axes.axvline(0, color="0.6", linewidth=0.8)
        axes.set(xlabel=f"{measure} saved without it, %")
        return png_of(figure)
