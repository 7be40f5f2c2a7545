"""The chart of log loss by week of prediction, drawn in a terminal of any width."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from rich.text import Text

from ml_assets.cli.console import wrapped
from ml_assets.spec.drop import DropKey

HEIGHT = 16
_WIDEST = 140
_NARROWEST = 40
_LONGEST_DATE = 12  # columns that a date and the space beside it take
# drawn in this order: the champion comes last, and lies over what it equals
_LINES = {"baseline": (".", "yellow"), "first_champion": ("o", "blue"), "champion": ("braille", "green")}
_KEYS = {"champion": "⣀⡠⠒", "first_champion": "oo", "baseline": ".."}
_PROMOTION = ("│", "magenta")

Week = Mapping[str, Any]


def loss_chart(weeks: Sequence[Week], promoted: Sequence[DropKey], width: int) -> list[Text]:
    """Draw the log loss of the champion, the first champion and the baseline, and a line at each promotion.

    Parameters
    ----------
    weeks
        As in monitoring/quality_over_time.py: `week`, and of each role its `log_loss`, null where undefined.
    promoted
        The drops as of which a model was promoted; those outside the weeks are not drawn.

    Returns
    -------
    list
        Lines of at most `width` columns, the last ones what the signs mean; none where fewer than two weeks have a
        log loss, or the width is below 40.
    """
    known = [week for week in weeks if week["champion"]["log_loss"] is not None]
    if len(known) < 2 or width < _NARROWEST:
        return []
    import plotext

    days = [date.fromisoformat(week["week"]).toordinal() for week in known]
    plotext.clear_figure()  # its one figure is the process's
    plotext.limit_size(False, False)
    plotext.theme("clear")
    plotext.plotsize(min(width, _WIDEST), HEIGHT)
    marks = [drop.toordinal() for drop in promoted if days[0] <= drop.toordinal() <= days[-1] + 7]
    for day in marks:
        plotext.vline(min(day, days[-1]), color=_PROMOTION[1])
    for role, (marker, colour) in _LINES.items():
        for xs, ys in _stretches(known, days, role):
            plotext.plot(xs, ys, marker=marker, color=colour)
    ticks = _ticks(days, width)
    plotext.xticks(ticks, [date.fromordinal(day).isoformat() for day in ticks])
    drawn = Text.from_ansi(plotext.build().rstrip("\n"))
    plotext.clear_figure()
    return [*(line for line in drawn.split("\n")), *_key(marks, width)]


def _stretches(weeks: Sequence[Week], days: Sequence[int], role: str) -> list[tuple[list[int], list[float]]]:
    """Give the points of a line in stretches without a gap: where a role has no log loss, nothing is drawn."""
    found: list[tuple[list[int], list[float]]] = []
    is_open = False
    for day, week in zip(days, weeks, strict=True):
        loss = week[role]["log_loss"]
        if loss is None or not math.isfinite(loss):
            is_open = False
            continue
        if not is_open:
            found.append(([], []))
            is_open = True
        found[-1][0].append(day)
        found[-1][1].append(loss)
    return found


def _ticks(days: Sequence[int], width: int) -> list[int]:
    """Choose the weeks that are named below the chart: the first, the last, and as many between as there is room."""
    n = min(len(days), max(2, min(width, _WIDEST) // (2 * _LONGEST_DATE)))
    return sorted({days[round(place * (len(days) - 1) / (n - 1))] for place in range(n)})


def _key(marks: Sequence[int], width: int) -> list[Text]:
    parts = [
        Text.assemble((_KEYS[role], _LINES[role][1]), f" {role.replace('_', ' ')}")
        for role in ("champion", "first_champion", "baseline")
    ]
    if marks:
        parts.append(Text.assemble(_PROMOTION, " promotion"))
    return [Text.assemble("  ", line) for line in wrapped(Text("   ").join(parts), width - 2)]
