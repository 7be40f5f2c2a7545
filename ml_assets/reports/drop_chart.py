"""Rows per drop as stacked bars, and the drops of each reason as a row of marks: charts of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.reports.figure_style import BAD, GRID, SERIES, TEXT, Chart, chart_figure, svg_of
from ml_assets.reports.line_chart import day_number, legend_below, show_days
from ml_assets.reports.plain_text import counted, label_text
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.drop import DropKey

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR_CHART_HEIGHT, _REASON_HEIGHT, _AXIS_HEIGHT = 300, 44, 44
_SMALLEST = 0.008  # of the height: one quarantined row of a thousand is still seen
_LONGEST_REASON = 80  # characters
_FILLED = 0.85  # of the time of a drop


@dataclass(frozen=True)
class DropBar:
    """The rows of one drop; `is_marked` where it was refused or is missing."""

    drop: DropKey
    validated: int
    quarantined: int
    is_marked: bool


def bar_chart(bars: Sequence[DropBar], calendar: Calendar) -> Chart | None:
    """Draw a bar a drop, quarantined rows above validated ones, and a mark under each marked drop. None without rows.

    Parameters
    ----------
    every
        The time from a drop to the next one.
    """
    highest = max((bar.validated + bar.quarantined for bar in bars), default=0)
    if not highest:
        return None
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    least = highest * _SMALLEST
    validated, quarantined = ([max(rows, least) if rows else 0.0 for rows in column] for column in (
        [bar.validated for bar in bars], [bar.quarantined for bar in bars]))  # fmt: skip
    drops = [bar.drop for bar in bars]
    with chart_figure(_BAR_CHART_HEIGHT) as (figure, axes):
        _draw_bars(axes, "validated", SERIES[0], (drops, [0.0] * len(bars), validated), calendar)
        _draw_bars(axes, "quarantined", SERIES[1], (drops, validated, quarantined), calendar)
        marked = [bar.drop for bar in bars if bar.is_marked]
        under = ([-4 * least] * len(marked), [2.5 * least] * len(marked))
        _draw_bars(axes, "refused or missing", BAD, (marked, *under), calendar)
        axes.set_ylim(-5 * least, highest * 1.05)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda rows, _: f"{rows:,.0f}"))
        axes.grid(visible=False, axis="x")
        show_days(axes, drops[0], calendar.next_drop(drops[-1]))
        legend_below(figure, axes)
        return svg_of(figure, "Rows per drop")


def reason_chart(
    reasons: Mapping[str, Mapping[DropKey, int]], days: tuple[DropKey, DropKey], calendar: Calendar
) -> Chart | None:
    """Draw in which drops each reason was given: one row a reason, its name above its marks. None without reasons."""
    if not reasons:
        return None
    first, last = days[0], calendar.next_drop(days[1])
    with chart_figure(len(reasons) * _REASON_HEIGHT + _AXIS_HEIGHT) as (figure, axes):
        for place, (reason, drops) in enumerate(reasons.items()):
            count = f"{counted(sum(drops.values()), 'row')} in {counted(len(drops), 'drop')}"
            title = f"{label_text(reason, _LONGEST_REASON)} · {count}"
            axes.text(day_number(first), place + 0.4, title, color=TEXT, fontsize=12)
            axes.axhline(place + 0.85, color=GRID, linewidth=1)
            marks = (list(drops), [place + 0.5] * len(drops), [0.35] * len(drops))
            _draw_bars(axes, "reason", SERIES[1], marks, calendar)
        axes.set_ylim(len(reasons), 0)
        axes.set_yticks([])
        axes.grid(visible=False)
        show_days(axes, first, last)
        return svg_of(figure, "Reasons by drop")


def _draw_bars(
    axes: Axes,
    kind: str,
    colour: str,
    bars: tuple[Sequence[DropKey], Sequence[float], Sequence[float]],
    calendar: Calendar,
) -> None:
    """Draw (drops, bottoms, heights); a bar of no height is left out, a narrow one is widened by its edge."""
    days = np.array([day_number(drop) for drop in bars[0]])
    bottoms, heights = (np.asarray(column, dtype=float) for column in bars[1:])
    seen = heights > 0
    if seen.any():
        width = calendar.duration_of(1) / timedelta(days=1) * _FILLED
        drawn = axes.bar(days[seen], heights[seen], width, bottoms[seen], align="edge",
                         color=colour, edgecolor=colour, linewidth=0.4, label=kind)  # fmt: skip
        for patch in drawn.patches:
            patch.set_gid(kind.partition(" ")[0])
