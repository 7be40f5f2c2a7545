"""Small pictures for the UI: they live in the event log, so about 360 px wide and 30 KB."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.reports.figure_style import picture_figure, png_of
from ml_assets.reports.markdown import markdown_text
from ml_assets.reports.plain_text import label_text
from ml_assets.stats.classification import equal_count_bin, reliability_curve
from ml_assets.stats.decision_costs import CostCurve
from ml_assets.stats.metric import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_SLICES = 18
_GROUPS = 10
_MOST_DAYS = 90  # beyond, lines of days are one thicket

WithInterval = tuple[str, float, float | None, float | None]


@dataclass(frozen=True)
class Picture:
    """A small PNG and what it shows."""

    png: bytes
    caption: str

    @property
    def data_uri(self) -> str:
        """The picture as an address that holds all of it."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"

    @property
    def inline(self) -> str:
        """The picture as Markdown that holds all of it."""
        return f"![{markdown_text(self.caption)}]({self.data_uri})"

    def to_markdown(self) -> str:
        """Give it inline, as the UI shows pictures in metadata, with its caption below."""
        return f"{self.inline}\n\n{markdown_text(self.caption)}"


def reliability_png(labels: NDArray[np.float64], scores: Mapping[str, NDArray[np.float64]]) -> bytes:
    """Draw observed share against mean score, one line a model; the diagonal is perfect calibration.

    Each point stands for a tenth of the examples, and the axes end where the points do.
    """
    top = 0.0
    with picture_figure() as (figure, axes):
        for name, values in scores.items():
            curve = reliability_curve(labels, values)
            filled = np.asarray(curve.n) > 0
            axes.plot(curve.mean_score[filled], curve.observed_share[filled], marker="o", markersize=3,
                      label=label_text(name))  # fmt: skip
            top = max([top, *curve.mean_score[filled], *curve.observed_share[filled]])
        end = min(1.0, 1.1 * top) or 1.0
        axes.plot([0, end], [0, end], color="0.7", linewidth=1, linestyle="--")
        axes.set(xlabel="mean score", ylabel="observed share", xlim=(0, end), ylim=(0, end))
        axes.legend()
        return png_of(figure)


def means_png(labels: NDArray[np.float64], scores: Mapping[str, NDArray[np.float64]]) -> bytes:
    """Draw the mean label against the mean score of ten groups of equal count, one line a model."""
    with picture_figure() as (figure, axes):
        ends: list[float] = []
        for name, values in scores.items():
            group = equal_count_bin(values, _GROUPS)
            rows = np.maximum(np.bincount(group, minlength=_GROUPS), 1)
            means = [np.bincount(group, each, _GROUPS) / rows for each in (values, labels)]
            filled = np.bincount(group, minlength=_GROUPS) > 0
            axes.plot(means[0][filled], means[1][filled], marker="o", markersize=3, label=label_text(name))
            ends += [*means[0][filled].tolist(), *means[1][filled].tolist()]
        bounds = [min(ends, default=0.0), max(ends, default=1.0)]
        axes.plot(bounds, bounds, color="0.7", linewidth=1, linestyle="--")
        axes.set(xlabel="mean score", ylabel="mean label")
        axes.legend()
        return png_of(figure)


def score_histogram_png(scores: Mapping[str, NDArray[np.float64]], *, are_shares: bool = True) -> bytes:
    """Draw how scores are distributed, one outline a column of scores; shares lie between 0 and 1."""
    with picture_figure() as (figure, axes):
        known = [values for values in scores.values() if values.size]
        low, high = (0.0, 1.0) if are_shares or not known else (
            float(min(values.min() for values in known)), float(max(values.max() for values in known))
        )  # fmt: skip
        for name, values in scores.items():
            axes.hist(values, bins=list(np.linspace(low, high, 41)), histtype="step", label=label_text(name))
        axes.set(xlabel="score", ylabel="examples", xlim=(low, high))
        axes.legend()
        return png_of(figure)


def cost_curve_png(curve: CostCurve) -> bytes:
    """Draw mean cost by the threshold acted on; the implied threshold is dashed, the cheapest one dotted."""
    with picture_figure() as (figure, axes):
        axes.plot(curve.thresholds, curve.costs, linewidth=1)
        axes.axvline(curve.implied_threshold, color="0.5", linewidth=1, linestyle="--", label="implied by costs")
        axes.axvline(curve.best_threshold, color="0.5", linewidth=1, linestyle=":", label="cheapest here")
        axes.set(xlabel="threshold", ylabel="mean cost an example", xlim=(0, 1))
        axes.legend()
        return png_of(figure)


def slice_losses_png(loss: Metric, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw the loss of each slice with its interval, the largest slices where there are many."""
    shown = sorted(rows, key=lambda row: -row["n"])[:_MOST_SLICES]
    shown = sorted(shown, key=lambda row: (row["column"], row[loss.name]))
    return _losses_png(
        tuple(
            (f"{row['column']} {row['value']}", row[loss.name], row["loss_lower"], row["loss_upper"]) for row in shown
        ),
        _in_units(loss),
    )


@lru_cache(maxsize=1)
def _losses_png(shown: tuple[WithInterval, ...], title: str) -> bytes:
    with picture_figure() as (figure, axes):
        draw_intervals(axes, shown, font_size=6)
        axes.set(xlabel=title)
        return png_of(figure)


def _in_units(loss: Metric) -> str:
    return f"{loss}, {loss.unit}" if loss.unit else str(loss)


def draw_intervals(axes: Axes, shown: Sequence[WithInterval], font_size: int) -> None:
    """Draw a row a name, the first at the bottom: a dot at its value and a line over its interval, if it has one."""
    for place, (_, value, lower, upper) in enumerate(shown):
        if lower is not None and upper is not None:
            axes.plot([lower, upper], [place, place], color="0.6", linewidth=1)
        axes.plot([value], [place], marker="o", markersize=3, color="C0")
    axes.set_yticks(range(len(shown)), [label_text(name) for name, *_ in shown], fontsize=font_size)


def loss_by_day_png(loss: Metric, lines: Mapping[str, tuple[NDArray[np.datetime64], NDArray[np.float64]]]) -> bytes:
    """Draw the loss by day, one line a model; of many days the mean of each week."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    is_long = max((days.size for days, _ in lines.values()), default=0) > _MOST_DAYS
    with picture_figure() as (figure, axes):
        for name, line in lines.items():
            days, losses = _weekly(*line) if is_long else line
            axes.plot(days, losses, linewidth=0.9, marker=".", markersize=2, label=label_text(name))
        locator = AutoDateLocator(minticks=3, maxticks=7)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.xaxis.get_offset_text().set_fontsize(7)
        axes.set(ylabel=f"{_in_units(loss)}, mean of each week" if is_long else _in_units(loss))
        axes.legend()
        return _with_few_colours(png_of(figure))


@dataclass(frozen=True)
class PlaceboStrip:
    """One measure: in placebo windows, in the window of today, and its threshold."""

    name: str
    placebos: NDArray[np.float64]
    today: float
    threshold: float


def placebo_strips_png(strips: Sequence[PlaceboStrip]) -> bytes:
    """Draw each measure as a share of its threshold: dots are placebo windows, the diamond is today."""
    with picture_figure() as (figure, axes):
        for place, strip in enumerate(reversed(strips)):
            axes.scatter(strip.placebos / strip.threshold, np.full(strip.placebos.size, place), s=9, color="0.6")
            is_over = strip.today > strip.threshold
            axes.scatter([strip.today / strip.threshold], [place], s=36, marker="D", color="C3" if is_over else "C0")
        axes.axvline(1.0, color="0.2", linewidth=1)
        names = [label_text(strip.name).replace(": ", ":\n") for strip in reversed(strips)]
        axes.set_yticks(range(len(strips)), names, fontsize=7)
        axes.set(xlabel="share of the threshold", ylim=(-0.6, len(strips) - 0.4))
        return png_of(figure)


def _weekly(
    days: NDArray[np.datetime64], values: NDArray[np.float64]
) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    weeks, place = np.unique(days.astype("datetime64[W]"), return_inverse=True)
    return weeks.astype("datetime64[D]"), np.bincount(place, weights=values) / np.bincount(place)


def _with_few_colours(png: bytes) -> bytes:
    """Keep 32 colours: the shades along a jagged line's edge take 50 KB more than anybody sees."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(32).save(buffer, format="png", optimize=True)
    return buffer.getvalue()
