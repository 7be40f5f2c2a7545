"""Intervals of predictions that cover as often as they say, also after the world has changed.

A model of two quantiles gives bounds of its own; how far outcomes lie beyond them, on rows that the model had not seen,
tells by how much they must be moved (conformalized quantile regression: Romano, Patterson and Candès, 2019). The newest
outcomes count, and the level that is asked for follows how often the last intervals missed (adaptive conformal
inference: Gibbs and Candès, 2021), so that coverage returns after a change without anybody's help.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Mapping, Sequence
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
    return float(known[_place(known.size, level)])


def _place(n: int, level: float) -> int:
    """Give the place of a conformal quantile among n scores in order, from 0."""
    return max(min(math.ceil((n + 1) * level - 1e-9), n), 1) - 1


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
    left_out, covered, n, n_drops = 1 - level, 0, 0, 0
    newest = _NewestRows(ahead, window)
    for scores in drops:
        if not scores.size:
            continue
        margin = newest.quantile(1 - left_out)
        if not math.isnan(margin):
            missed = float((scores > margin).mean())
            step = STEP * min(1.0, scores.size / STEP_ROWS)
            left_out = min(max(left_out + step * ((1 - level) - missed), _LOWEST), _HIGHEST)
            covered, n = covered + int((scores <= margin).sum()), n + scores.size
        newest.add(scores)
        n_drops += 1
    return Margin(newest.quantile(1 - left_out), left_out, covered / n if n else float("nan"), n_drops)


@dataclass(frozen=True)
class Beyond:
    """How far outcomes lay beyond their bounds, the oldest first, and of which group each is.

    Attributes
    ----------
    scores
        As `nonconformity` gives them; shape (rows,).
    groups
        The name of the group of each; shape (rows,). None where groups share one margin.
    """

    scores: FloatArray
    groups: NDArray[np.object_] | None = None

    def of(self, group: str) -> FloatArray:
        """Give the scores of a group, in their order."""
        return self.scores if self.groups is None else self.scores[self.groups == group]


@dataclass(frozen=True)
class Margins:
    """The margin of all rows, and of each group that has rows enough for one of its own."""

    whole: Margin
    by_group: Mapping[str, Margin]

    def values(self, groups: NDArray[np.object_] | None) -> FloatArray:
        """Give the margin of each row by its group; of one without, that of all rows. One value without groups."""
        if groups is None:
            return np.array(self.whole.value)
        return np.array([self.by_group.get(each, self.whole).value for each in groups], dtype=np.float64)


def adapt_margins(ahead: Beyond, drops: Sequence[Beyond], level: float, window: int) -> Margins:
    """Follow all rows as `adapt_margin` does, and each group of `LEAST_ROWS` rows by itself.

    Coverage over all rows says little of a group in which outcomes scatter more. Margins by group hold it in each
    (Mondrian conformal prediction: Vovk, Lindsay, Nouretdinov and Gammerman, 2003).

    >>> rng, groups = np.random.default_rng(0), np.array(["calm", "wild"] * 500, dtype=object)
    >>> scores = rng.normal(0, 1, 1000) * np.where(groups == "calm", 1, 3)
    >>> found = adapt_margins(Beyond(scores, groups), [], 0.9, 14)
    >>> found.values(np.array(["calm", "wild", "new"], dtype=object)).round(1).tolist()
    [1.2, 3.9, 2.4]
    """
    whole = adapt_margin(ahead.scores, [each.scores for each in drops], level, window)
    if ahead.groups is None:
        return Margins(whole, {})
    known = np.concatenate([each.groups for each in (ahead, *drops) if each.groups is not None])
    names, counts = np.unique(known.astype(str), return_counts=True)
    enough = names[counts >= LEAST_ROWS].tolist()
    return Margins(
        whole, {name: adapt_margin(ahead.of(name), [each.of(name) for each in drops], level, window) for name in enough}
    )


class _NewestRows:
    """The rows of the newest drops, and of what came before as many as are missing; before the first drop all of it.

    Kept in order, for a window of hours has hundreds of drops, and each of them asks for a quantile of it.
    """

    def __init__(self, ahead: FloatArray, window: int) -> None:
        self._before, self._window = ahead, window
        self._drops: deque[FloatArray] = deque()
        self._ordered: list[float] = []  # of the drops, without NaN
        self._n = 0

    def add(self, scores: FloatArray) -> None:
        """Take in a drop; the oldest one leaves where there are too many."""
        self._drops.append(scores)
        self._n += scores.size
        for each in scores[~np.isnan(scores)].tolist():
            insort(self._ordered, each)
        if len(self._drops) > self._window:
            oldest = self._drops.popleft()
            self._n -= oldest.size
            self._before = np.concatenate([self._before, oldest])[-LEAST_ROWS:]
            for each in oldest[~np.isnan(oldest)].tolist():
                del self._ordered[bisect_left(self._ordered, each)]

    def quantile(self, level: float) -> float:
        """Give `conformal_quantile` of the rows."""
        missing = LEAST_ROWS - self._n
        if not self._drops or missing > 0:
            before = self._before[-missing:] if self._drops else self._before
            return conformal_quantile(np.concatenate([before, *self._drops]), level)
        place = _place(self._n, level)
        return self._ordered[place] if place < len(self._ordered) else float("nan")  # NaN comes last


def interval_score(labels: ArrayLike, lower: ArrayLike, upper: ArrayLike, level: float) -> FloatArray:
    """Give the loss of each interval: its width, and what it missed by, weighed (Gneiting and Raftery, 2007).

    >>> interval_score([5.0, 9.0], [4.0, 4.0], [8.0, 8.0], 0.9).round(6).tolist()
    [4.0, 24.0]
    """
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    return high - low + 2 / (1 - level) * np.maximum(nonconformity(labels, low, high), 0)
