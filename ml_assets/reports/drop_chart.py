"""Rows per drop as stacked bars, and reasons by drop as a row of marks each: inline SVG in the page's colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape

from ml_assets.reports.line_chart import Scale, axes, drawing

_ROW_HEIGHT, _TOP, _FOOT = 22, 16, 30
_SMALLEST = 2.0  # px: one quarantined row of a thousand is still seen


@dataclass(frozen=True)
class Bar:
    """One drop: rows from the ground up, one part a class, and what it says when it is pointed at."""

    drop: date
    parts: tuple[int, ...]
    label: str


def bar_chart(bars: Sequence[Bar], every: timedelta, marked: Mapping[date, str]) -> str:
    """Draw a bar a drop, its parts in classes `bar-0`, `bar-1`, …; `marked` drops have a line with what it says."""
    highest = max((sum(bar.parts) for bar in bars), default=0)
    if not highest:
        return '<p class="empty">no row yet</p>'
    scale = Scale(bars[0].drop, bars[-1].drop + every, 0.0, highest * 1.05)
    width = _width(scale, every)
    drawn = axes(scale)
    for bar in bars:
        level = 0
        for number, rows in enumerate(bar.parts):
            bottom, top = scale.y(level), scale.y(level + rows)
            height = max(bottom - top, _SMALLEST if rows else 0.0)
            if rows:
                drawn.append(_box(f"bar-{number}", scale.x(bar.drop), bottom - height, width, height, bar.label))
            level += rows
    drawn += [_box("bar-2", scale.x(drop), scale.y(0.0) + 1, width, 5.0, said) for drop, said in marked.items()]
    return drawing(drawn)


def reason_chart(reasons: Mapping[str, Mapping[date, int]], first: date, last: date, every: timedelta) -> str:
    """Draw in which drops each reason was given, one row a reason, the name above its marks."""
    if not reasons:
        return '<p class="empty">no row was quarantined, and no rule was broken</p>'
    scale = Scale(first, last + every, 0.0, 1.0)
    width = max(_width(scale, every), 2.5)
    drawn: list[str] = []
    for number, (reason, drops) in enumerate(reasons.items()):
        y = _TOP + number * 2 * _ROW_HEIGHT
        left, right = scale.x(first), scale.x(scale.last)
        total = f"{sum(drops.values()):,} rows in {len(drops):,} drop{'s' if len(drops) > 1 else ''}"
        drawn.append(f'<text class="row" x="{left:.1f}" y="{y + 4:.1f}">{escape(reason)} · {total}</text>')
        drawn.append(f'<line class="grid" x1="{left:.1f}" x2="{right:.1f}" y1="{y + 28:.1f}" y2="{y + 28:.1f}"/>')
        for drop, rows in drops.items():
            said = f"{drop}: {reason} x{rows:,}"
            drawn.append(_box("bar-1", scale.x(drop), y + 12, width, 16.0, said))
    height = _TOP + len(reasons) * 2 * _ROW_HEIGHT
    ends = ((scale.x(first), "start", first), (scale.x(scale.last), "end", last))
    drawn += [f'<text x="{x:.1f}" y="{height + 8:.1f}" text-anchor="{side}">{day}</text>' for x, side, day in ends]
    return drawing(drawn, height + _FOOT)


def _width(scale: Scale, every: timedelta) -> float:
    step = scale.x(scale.first + every) - scale.x(scale.first)
    return max(step * 0.85, 0.8)


def _box(name: str, x: float, y: float, width: float, height: float, said: str) -> str:
    return (
        f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">'
        f"<title>{escape(said)}</title></rect>"
    )
