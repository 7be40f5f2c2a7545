"""A line chart over days as inline SVG: colours come from the page's style, so that it reads in light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape

_WIDTH, _HEIGHT = 900, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 30, 16, 30
_TICKS = 5

Line = Sequence[tuple[date, float | None]]


@dataclass(frozen=True)
class Mark:
    """A vertical line at a day, with what it says when it is pointed at."""

    day: date
    label: str
    is_dashed: bool


@dataclass(frozen=True)
class Scale:
    """What the chart shows: days first..last, values low..high."""

    first: date
    last: date
    low: float
    high: float

    def x(self, day: date) -> float:
        """Give the place of a day."""
        span = max(1, (self.last - self.first).days)
        return _LEFT + (day - self.first).days / span * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Give the place of a value; one beyond the chart stands at its edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def line_chart(
    lines: Mapping[str, Line],
    days: tuple[date, date],
    *,
    marks: Sequence[Mark] = (),
    level: float | None = None,
    cap: float = math.inf,
) -> str:
    """Draw one line a name, in classes `line-0`, `line-1`, …; a value that is None leaves a gap.

    Parameters
    ----------
    level
        Drawn as a horizontal line, from a chart that then begins with 0.
    cap
        A value above it stands at the upper edge, with its number beside it.
    """
    known = [value for line in lines.values() for _, value in line if value is not None]
    if not known:
        return '<p class="empty">nothing measured yet</p>'
    scale = _scale(known, days, level, cap)
    parts = [*axes(scale), *_levels(scale, level)]
    parts += [_mark(scale, mark) for mark in marks if days[0] <= mark.day <= days[1]]
    for number, (name, line) in enumerate(lines.items()):
        parts += _line(scale, number, name, line)
    return drawing(parts)


def drawing(parts: Sequence[str], height: int = _HEIGHT) -> str:
    """Put drawn parts into one picture, as wide as the page."""
    drawn = "\n".join(parts)
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" preserveAspectRatio="xMidYMid meet">\n{drawn}\n</svg>'


def ticks(low: float, high: float) -> list[float]:
    """Give round numbers between low and high, about five.

    >>> ticks(0.41, 0.58)
    [0.45, 0.5, 0.55]
    """
    raw = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    return [round(step * place, 10) for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _scale(known: Sequence[float], days: tuple[date, date], level: float | None, cap: float) -> Scale:
    low, high = min(known), min(max(known), cap)
    if level is not None:
        return Scale(*days, 0.0, max(high, level) * 1.1)
    margin = (high - low) * 0.08 or abs(high) * 0.08 or 1.0
    return Scale(*days, low - margin, high + margin)


def axes(scale: Scale) -> list[str]:
    """Draw the grid with its numbers and days."""
    parts = []
    for value in ticks(scale.low, scale.high):
        y = scale.y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for day, label in _day_ticks(scale):
        x = scale.x(day)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{label}</text>')
    return parts


def _day_ticks(scale: Scale) -> list[tuple[date, str]]:
    """Mark the months, or the weeks of a range too short for months."""
    span = (scale.last - scale.first).days
    if span < 70:
        every = 7 if span > 20 else max(1, span // 4)
        found = [scale.first + timedelta(days=number) for number in range(0, span + 1, every)]
        return [(day, f"{day:%d %b}") for day in found]
    days = [scale.first + timedelta(days=number) for number in range(span + 1)]
    months = [day for day in days if day.day == 1]
    every = max(1, math.ceil(len(months) / 14))
    return [(day, f"{day:%b %Y}" if day.month == 1 else f"{day:%b}") for day in months[::every]]


def _levels(scale: Scale, level: float | None) -> list[str]:
    if level is None:
        return []
    y = scale.y(level)
    return [f'<line class="level" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>']


def _mark(scale: Scale, mark: Mark) -> str:
    x, dash = scale.x(mark.day), ' stroke-dasharray="4 4"' if mark.is_dashed else ""
    return (
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"{dash}>'
        f"<title>{escape(mark.label)}</title></line>"
    )


def _line(scale: Scale, number: int, name: str, line: Line) -> list[str]:
    pieces: list[list[str]] = [[]]
    dots: list[str] = []
    for day, value in line:
        if value is None:
            pieces.append([])
            continue
        x, y = scale.x(day), scale.y(value)
        pieces[-1].append(f"{x:.1f},{y:.1f}")
        said = f"<title>{escape(name)} {day}: {value:.4g}</title>"
        dots.append(f'<circle class="dot-{number}" cx="{x:.1f}" cy="{y:.1f}" r="2.6">{said}</circle>')
        if value > scale.high:
            dots.append(f'<text class="beyond" x="{x:.1f}" y="{y - 5:.1f}" text-anchor="middle">{value:.2g}</text>')
    drawn = [f'<polyline class="line-{number}" points="{" ".join(piece)}"/>' for piece in pieces if len(piece) > 1]
    return [*drawn, *dots]
