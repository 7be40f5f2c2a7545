"""Decide whether a champion has failed.

Input: how the champion scored the newest drops, and the first drop since which it is worse than its baseline. Output:
the reason in words, or None. A champion has failed when one of these holds:

- most of its newest scores are not valid: no probability, or no number;
- all of its newest scores are equal;
- most of the newest rows have inputs far from its training rows;
- its log loss is above the baseline's, by a sequential test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ml_assets.spec.drop import DropKey

LEAST_ROWS = 50  # newest rows that a proof needs
LEAST_ALIKE = 200  # rows with equal scores: fewer can fall into one leaf of a tree by chance
LEAST_DROPS = 2  # drops with equal scores: the rows of one drop can be alike
LEAST_OUTSIDE = 3  # drops with unusual inputs: a single unusual day passes
SAME = 1e-6  # scores are equal when they differ by at most this


@dataclass(frozen=True)
class ScoredDrop:
    """How a champion scored one drop.

    Attributes
    ----------
    n, outside, without_score
        Rows; those with inputs too far from its training rows; those to which it gave no score that its task allows.
    lowest, highest
        Of its own scores; None where it gave none.
    """

    drop: DropKey
    n: int
    outside: int = 0
    without_score: int = 0
    lowest: float | None = None
    highest: float | None = None


def failure_of(scored: Sequence[ScoredDrop], behind_since: DropKey | None) -> str | None:
    """Say why the champion has failed; None where that is not proven.

    Parameters
    ----------
    scored
        The newest drops that it scored, in order of time, without those that have no rows.
    behind_since
        The first drop since which it has done worse than the baseline, where a sequential test says so.

    Examples
    --------
    >>> from datetime import date
    >>> days = [date(2024, 5, day) for day in (1, 2)]
    >>> failure_of([ScoredDrop(day, 140, lowest=0.0, highest=0.0) for day in days], None)
    'it gave all 280 rows since drop 2024-05-01 the same score, 0; an input may have gone missing or constant'
    >>> failure_of([ScoredDrop(day, 140, lowest=0.1, highest=0.6) for day in days], None) is None
    True
    """
    if not scored:
        return None
    undefined = _newest(scored, 1, LEAST_ROWS)
    wrong, rows = sum(each.without_score for each in undefined), sum(each.n for each in undefined)
    if 2 * wrong > rows:
        return f"{wrong} of its {rows} scores since drop {undefined[0].drop} are not valid"
    alike = _newest(scored, LEAST_DROPS, LEAST_ALIKE)
    lows = [each.lowest for each in alike if each.lowest is not None]
    highs = [each.highest for each in alike if each.highest is not None]
    if lows and max(highs) - min(lows) <= SAME:
        rows = sum(each.n for each in alike)
        return (
            f"it gave all {rows} rows since drop {alike[0].drop} the same score, {highs[-1]:.4g}; an input may have "
            "gone missing or constant"
        )
    far = _newest(scored, LEAST_OUTSIDE, LEAST_ROWS)
    if far and all(2 * each.outside > each.n for each in far):
        outside, rows = sum(each.outside for each in far), sum(each.n for each in far)
        return f"{outside} of {rows} rows since drop {far[0].drop} have inputs far from its training rows"
    if behind_since is not None:
        return f"it has done worse than the baseline since drop {behind_since}"
    return None


def _newest(scored: Sequence[ScoredDrop], least: int, rows: int) -> Sequence[ScoredDrop]:
    """Give the newest drops, at least so many, that hold so many rows together; none where there are fewer."""
    for first in range(len(scored) - least, -1, -1):
        if sum(each.n for each in scored[first:]) >= rows:
            return scored[first:]
    return ()
