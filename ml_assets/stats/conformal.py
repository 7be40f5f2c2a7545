"""Intervals of predictions that cover as often as they say, also after the world has changed.

A model of two quantiles gives bounds of its own; how far outcomes lie beyond them, on rows that the model had not seen,
tells by how much they must be moved (conformalized quantile regression: Romano, Patterson and Candès, 2019). The newest
outcomes count, and the level that is asked for follows how often the last intervals missed (adaptive conformal
inference: Gibbs and Candès, 2021), so that coverage returns after a change without anybody's help.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
STEP = 0.1  # by how much of a miss the level asked for moves, a drop: with 60 rows each margins vary by 3 %
STEP_ROWS = 60  # a drop of fewer moves it by as much less
LEAST_ROWS = 100  # newest rows that a margin rests on, more than the window where that holds fewer
_LOWEST, _HIGHEST = 0.002, 0.6  # shares that may be left out


@dataclass(frozen=True)
class Margin:
    """What is added to both bounds of a model.

    Attributes
    ----------
    value
        In the unit of the label; below zero it draws the bounds in. NaN where no outcome was seen.
    left_out
        The share of outcomes that is left out, as it was adapted.
    coverage
        Share of the matured outcomes that lay in the intervals as they would have been given; NaN without any.
    n_drops
        Drops whose outcomes were seen.
    """

    value: float
    left_out: float
    coverage: float
    n_drops: int


def nonconformity(labels: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> FloatArray:
    """Give how far each label lies beyond the nearer bound; below zero within them.

    >>> nonconformity([5.0, 9.0], [4.0, 4.0], [8.0, 8.0]).tolist()
    [-1.0, 1.0]
    """
    y = np.asarray(labels, dtype=np.float64)
    return np.maximum(np.asarray(lower, dtype=np.float64) - y, y - np.asarray(upper, dtype=np.float64))


def conformal_quantile(scores: ArrayLike, level: float) -> float:
    """Give the smallest margin that covers the next outcome with probability `level`, were it like these.

    The ceil((n + 1) level)-th smallest of n; the largest where there are too few for that, NaN where there is none.

    >>> conformal_quantile([3.0, 1.0, 2.0, 4.0], 0.5), conformal_quantile([1.0, 2.0], 0.99)
    (3.0, 2.0)
    """
    known = np.sort(np.asarray(scores, dtype=np.float64))
    if not known.size:
        return float("nan")
    place = min(math.ceil((known.size + 1) * level - 1e-9), known.size)
    return float(known[max(place, 1) - 1])


def adapt_margin(ahead: FloatArray, drops: Sequence[FloatArray], level: float, window: int) -> Margin:
    """Follow how far outcomes lay beyond the bounds, drop by drop, and give the margin of the next drop.

    Parameters
    ----------
    ahead
        Of rows that the model had not seen before it served, the oldest first.
    drops
        Of the matured rows of each drop since, the oldest first; a drop may be empty.
    level
        The coverage asked for.
    window
        How many of the newest drops a margin rests on, with what came before where they hold too few rows.

    >>> rng = np.random.default_rng(0)
    >>> usual, wider = rng.normal(0, 1, 2000), [rng.normal(1, 1, 100) for _ in range(30)]
    >>> before, after = adapt_margin(usual, [], 0.9, 14), adapt_margin(usual, wider, 0.9, 14)
    >>> round(before.value, 1), round(after.value, 1), after.n_drops
    (1.3, 2.3, 30)
    """
    left_out, covered, n = 1 - level, 0, 0
    seen: list[FloatArray] = [ahead]
    for scores in drops:
        if not scores.size:
            continue
        margin = conformal_quantile(_newest(seen, window), 1 - left_out)
        if not math.isnan(margin):
            missed = float((scores > margin).mean())
            step = STEP * min(1.0, scores.size / STEP_ROWS)
            left_out = min(max(left_out + step * ((1 - level) - missed), _LOWEST), _HIGHEST)
            covered, n = covered + int((scores <= margin).sum()), n + scores.size
        seen.append(scores)
    value = conformal_quantile(_newest(seen, window), 1 - left_out)
    return Margin(value, left_out, covered / n if n else float("nan"), len(seen) - 1)


def _newest(seen: Sequence[FloatArray], window: int) -> FloatArray:
    """Give the newest drops, and of what came before as much as is needed; before the first drop all that is there."""
    if len(seen) == 1:
        return seen[0]
    newest = np.concatenate(seen[1:][-window:])
    missing = LEAST_ROWS - newest.size
    if missing <= 0:
        return newest
    return np.concatenate([np.concatenate(seen)[: -newest.size or None][-missing:], newest])


def interval_score(labels: ArrayLike, lower: ArrayLike, upper: ArrayLike, level: float) -> FloatArray:
    """Give the loss of each interval: its width, and what it missed by, weighed (Gneiting and Raftery, 2007).

    >>> interval_score([5.0, 9.0], [4.0, 4.0], [8.0, 8.0], 0.9).round(6).tolist()
    [4.0, 24.0]
    """
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    return high - low + 2 / (1 - level) * np.maximum(nonconformity(labels, low, high), 0)
