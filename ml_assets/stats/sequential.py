"""Whether a daily mean has risen above what it was on a reference, looked at after every day.

A fixed test that is repeated every day finds something in the end. A cumulative sum (Page, 1954, Biometrika 41) may be
looked at daily: its threshold is what its highest value over a whole budget of days exceeds by chance alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SLACK = 0.5  # in standard deviations of a day: half of the smallest shift that is looked for
BLOCK_DAYS = 7  # days are resampled in weeks, since bad days follow bad days
_PATHS = 1000
_CEILING = 1.5  # thresholds at which the sum stops growing, so that an end of the change is seen soon
_LEAST_DAYS = 5


@dataclass(frozen=True)
class DailyMeans:
    """A measure of the rows of each day, in order of time.

    Attributes
    ----------
    n
        Rows of each day, at least 1.
    means, variances
        Mean of the measure over the rows of the day, and its variance between them (0 of a single row).
    """

    n: FloatArray
    means: FloatArray
    variances: FloatArray

    @property
    def n_days(self) -> int:
        """Number of days."""
        return int(self.n.size)


def daily_means(days: NDArray[np.generic], values: FloatArray) -> tuple[NDArray[np.generic], DailyMeans]:
    """Sum up `values` by day; gives the days in order, and their means.

    >>> days, found = daily_means(np.array(["b", "a", "b"]), np.array([1.0, 5.0, 3.0]))
    >>> days.tolist(), found.means.tolist(), found.variances.tolist()
    (['a', 'b'], [5.0, 2.0], [0.0, 1.0])
    """
    names, place = np.unique(days, return_inverse=True)
    n = np.bincount(place).astype(np.float64)
    means = np.bincount(place, values) / n
    variances = np.bincount(place, (values - means[place]) ** 2) / n
    return names, DailyMeans(n, means, variances)


@dataclass(frozen=True)
class Rise:
    """What the cumulative sum says of the newest day.

    Attributes
    ----------
    level, threshold
        The sum in standard deviations of a day, and what it must exceed. The threshold is infinite where the reference
        has fewer than five days.
    since
        Position of the first day after the sum was last zero: where the change most likely began. None while it is
        zero.
    reference_mean
        The mean per row on the reference; NaN without one.
    """

    level: float
    threshold: float
    since: int | None
    reference_mean: float

    @property
    def is_over(self) -> bool:
        """Whether the mean has risen."""
        return self.level > self.threshold


def rise_of(
    reference: DailyMeans, days: DailyMeans, *, budget_days: int, chance: float, rng: np.random.Generator
) -> Rise:
    """Say whether the mean of `days` lies above that of `reference`.

    A day is measured in its own standard deviation: how days differ on the reference, and what its few rows add.

    Parameters
    ----------
    budget_days, chance
        The highest sum of `budget_days` days in which nothing changes exceeds the threshold with probability `chance`.
        Weeks of the reference are resampled for it, and so are the days that the mean is estimated from.

    >>> rng = np.random.default_rng(1)
    >>> def days(mean, n): return DailyMeans(np.full(n, 100.0), rng.normal(mean, 0.05, n), np.full(n, 0.1))
    >>> reference = days(0.5, 40)
    >>> rise_of(reference, days(0.5, 60), budget_days=180, chance=0.1, rng=rng).is_over
    False
    >>> changed = rise_of(reference, days(0.7, 6), budget_days=180, chance=0.1, rng=rng)
    >>> changed.is_over, changed.since
    (True, 0)
    """
    if reference.n_days < _LEAST_DAYS:
        return Rise(0.0, float("inf"), None, float("nan"))
    mean, between, within = _moments(reference)
    threshold = _threshold(reference, budget_days, chance, rng)
    level, since = 0.0, None
    for place, z in enumerate(_standardised(days, mean, between, within)):
        before = level
        level = min(max(0.0, level + z - SLACK), _CEILING * threshold)
        if level == 0:
            since = None
        elif before == 0:
            since = place
    return Rise(float(level), threshold, since, mean)


def _moments(days: DailyMeans) -> tuple[float, float, float]:
    """Give the mean per row, the variance between days beyond what their rows explain, and that between rows."""
    weights = days.n / days.n.sum()
    mean, within = float(weights @ days.means), max(float(weights @ days.variances), 1e-12)
    spread = float(((days.means - mean) ** 2).sum()) / (days.n_days - 1)
    return mean, max(0.0, spread - float((within / days.n).mean())), within


def _standardised(days: DailyMeans, mean: float, between: float, within: float) -> FloatArray:
    return (days.means - mean) / np.sqrt(between + within / days.n)


def _threshold(reference: DailyMeans, budget_days: int, chance: float, rng: np.random.Generator) -> float:
    n, block = reference.n_days, min(BLOCK_DAYS, reference.n_days)
    mean, between, within = _moments(reference)
    z = _standardised(reference, mean, between, within)
    z = z / max(float(z.std()), 1e-6)  # a reference of few days must not look calmer than it was measured to be
    # the mean of a day's z was estimated from n days, in blocks: each path has its own error of it
    drawn = _blocks(rng, (_PATHS, n), n, block)
    errors = z[drawn].mean(axis=1)
    paths = z[_blocks(rng, (_PATHS, budget_days), n, block)] - errors[:, np.newaxis] - SLACK
    level, highest = np.zeros(_PATHS), np.zeros(_PATHS)
    for day in range(budget_days):
        level = np.maximum(0.0, level + paths[:, day])
        highest = np.maximum(highest, level)
    return float(np.quantile(highest, 1 - chance))


def _blocks(rng: np.random.Generator, shape: tuple[int, int], n: int, block: int) -> NDArray[np.int64]:
    """Draw positions in blocks of days that follow each other, around the end (Politis and Romano, 1992)."""
    paths, length = shape
    starts = rng.integers(0, n, size=(paths, -(-length // block)))
    return ((starts[:, :, np.newaxis] + np.arange(block)) % n).reshape(paths, -1)[:, :length]
