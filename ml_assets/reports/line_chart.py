"""Lines over days, as a chart of a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.reports.figure_style import BAD, SERIES, TEXT, Chart, chart_figure, svg_of
from ml_assets.spec.drop import DropKey
from ml_assets.spec.key_arrays import key_moment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 310
_STYLES = ("-", "--", "-")  # the second line differs by more than its colour
_MOST_TICKS = 12

Line = Sequence[tuple[date, float | None]]


@dataclass(frozen=True)
class DayMark:
    """A vertical line at a day; marks of one name share an entry of the legend."""

    day: date
    name: str
    is_dashed: bool
    is_dotted: bool = False


@dataclass(frozen=True)
class Threshold:
    """A horizontal line at `value`; the chart then begins with 0, and a line above `cap` is cut off there.

    A value above the cap is drawn at the upper edge, with its number.
    """

    value: float
    cap: float = math.inf


def line_chart(
    label: str,
    lines: Mapping[str, Line],
    days: tuple[date, date],
    marks: Sequence[DayMark] = (),
    threshold: Threshold | None = None,
) -> Chart | None:
    """Draw one line a name from `days[0]` to `days[1]`; a value that is None leaves a gap. None without any value."""
    known = [value for line in lines.values() for _, value in line if value is not None]
    if not known:
        return None
    with chart_figure(_HEIGHT) as (figure, axes):
        low, high = _limits(known, threshold)
        for number, (name, line) in enumerate(lines.items()):
            _draw_line(axes, number, name, line, high)
        if threshold is not None:
            axes.axhline(threshold.value, color=BAD, linewidth=1.4, label="threshold", gid="threshold")
        _draw_marks(axes, [mark for mark in marks if days[0] <= mark.day <= days[1]])
        axes.set_ylim(low, high)
        show_days(axes, days[0], max(days[1], days[0] + timedelta(days=1)))
        legend_below(figure, axes)
        return svg_of(figure, label)


def show_days(axes: Axes, first: DropKey, last: DropKey) -> None:
    """Show the days from first to last on the x axis, with at most a dozen of them named."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=max(1, min(4, int(day_number(last) - day_number(first)))), maxticks=_MOST_TICKS)
    axes.xaxis.set_major_locator(locator)
    # one format for years, months, days, …; the second list is for the first month of a year, the first day of a month
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, formats=["%Y", "%b", "%d %b", "", "", ""],
                                                        zero_formats=["", "%b %Y", "%d %b", "", "", ""],
                                                        offset_formats=["", "%Y", "%Y", "%Y", "%Y", "%Y"]))  # fmt: skip
    axes.set_xlim(day_number(first), day_number(last))


def day_number(day: DropKey) -> float:
    """Give the place of a day or drop on the x axis: days since 1970."""
    from matplotlib.dates import date2num

    return float(date2num(key_moment(day)))


def legend_below(figure: Figure, axes: Axes) -> None:
    """Put the legend under the chart, left, with one entry a name."""
    handles, names = axes.get_legend_handles_labels()
    by_name = dict(zip(names[::-1], handles[::-1], strict=True))
    names = list(dict.fromkeys(names))
    if names:
        figure.legend([by_name[name] for name in names], names, loc="outside lower left", ncols=len(names))


def _limits(known: Sequence[float], threshold: Threshold | None) -> tuple[float, float]:
    low, high = min(known), max(known)
    if threshold is not None:
        return 0.0, max(min(high, threshold.cap), threshold.value) * 1.1
    margin = (high - low) * 0.08 or abs(high) * 0.08 or 1.0
    return low - margin, high + margin


def _draw_line(axes: Axes, number: int, name: str, line: Line, high: float) -> None:
    days = np.array([day_number(day) for day, _ in line])
    values = np.array([np.nan if value is None else value for _, value in line], dtype=float)
    axes.plot(days, np.minimum(values, high), color=SERIES[number], linestyle=_STYLES[number], marker="o",
              markeredgewidth=0, label=name, gid=f"line-{number}", clip_on=False)  # fmt: skip
    for day, value in zip(days[values > high], values[values > high], strict=True):
        axes.annotate(f"{value:.2g}", (day, high), (0, 5), textcoords="offset points", ha="center", color=TEXT,
                      fontsize=10, annotation_clip=False)  # fmt: skip


def _draw_marks(axes: Axes, marks: Sequence[DayMark]) -> None:
    for mark in marks:
        style, kind = ("--", "mark-dashed") if mark.is_dashed else ("-", "mark")
        style = ":" if mark.is_dotted else style
        axes.axvline(day_number(mark.day), color=TEXT, linewidth=1.4, linestyle=style, label=mark.name, gid=kind)
