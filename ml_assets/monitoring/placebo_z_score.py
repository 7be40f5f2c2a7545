"""How unusual a measurement is beside measurements of the same kind when nothing was wrong: its placebos.

A fixed threshold such as PSI above 0.2 is crossed every week by some columns and never by others. Here each monitor
is measured in the unit of its own placebos, and a family of monitors shares one budget of false alarms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

FAMILIES = 3  # feeds, features against the drops before, features against the training window
# A window that moves drop by drop looks at more than windows side by side do, though at less than it looks often:
# half as much again, as resampled half-years of daily drops and weekly windows showed.
_LOOKS = 1.5


@dataclass(frozen=True)
class PlaceboZScore:
    """A measurement in the unit of its placebos.

    Attributes
    ----------
    value, z
        The measurement, and its distance from the placebos' mean in their standard deviations; NaN
        where either cannot be told.
    threshold
        The |z| above which it is unusual; infinite with fewer than two independent placebos.
    placebo_mean, placebo_sd, n_placebos, n_independent
        What it rests on. Windows that overlap are not independent: `n_independent` counts those that do not.
    """

    value: float
    z: float
    threshold: float
    placebo_mean: float
    placebo_sd: float
    n_placebos: int
    n_independent: float

    @property
    def is_over(self) -> bool:
        """Say whether the measurement is unusual."""
        return bool(abs(self.z) > self.threshold)


def false_alarm_rate(budget: timedelta, window: timedelta, n_monitors: float, families: int = 1) -> float:
    """Give the share of windows in which one monitor may be over by chance, so that the family keeps its budget.

    The budget, one false alarm in `budget`, is divided over the windows that fit into it side by side, the families
    and the monitors (Bonferroni's inequality).

    >>> round(false_alarm_rate(timedelta(weeks=26), timedelta(weeks=1), 20, families=3), 6)
    0.000641
    """
    return 1 / (max(1.0, budget / window) * max(1.0, n_monitors) * families)


def moving_rate(rate: float, drops: int) -> float:
    """Give the rate at which a window of `drops` drops may be over when it is moved by one drop at a time.

    >>> moving_rate(0.003, 7), moving_rate(0.003, 1)
    (0.002, 0.003)
    """
    return rate / _LOOKS if drops > 1 else rate


@cache
def threshold_of(rate: float, n_independent: float) -> float:
    """Give the |z| that a new measurement exceeds with probability `rate`, knowing `n_independent` placebos.

    Student's two-sided quantile for a new observation beside n others, t(n - 1) sqrt(1 + 1/n): the mean and the
    deviation were themselves estimated from few placebos. Infinite below two.

    >>> round(threshold_of(0.05, 28), 2), threshold_of(0.05, 1)
    (2.09, inf)
    """
    if n_independent < 2:
        return math.inf
    return threshold_above(rate / 2, n_independent - 1, n_independent)


@cache
def threshold_above(rate: float, df: float, n: float) -> float:
    """Give what a new z exceeds with probability `rate`: Student's quantile, the mean of n being estimated too."""
    from scipy.special import stdtrit

    return float(-stdtrit(df, rate) * math.sqrt(1 + 1 / n))


def independent_count(values: ArrayLike) -> float:
    """Give how many independent values say as much about a mean as these, which follow each other in time.

    n (1 - r) / (1 + r), with r the lag-one autocorrelation as for an autoregressive series of order one (Bayley and
    Hammersley, 1946), at least half of n: r is known badly from few values. It counts once it exceeds what independent
    values show by chance, two standard errors.

    >>> independent_count([1, 5, 2, 4, 3, 5, 1, 2]), independent_count(range(20))
    (8.0, 10.0)
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)] - known[np.isfinite(known)].mean() if known.size else known
    n, variation = known.size, float(known @ known)
    if n < 4 or variation == 0:
        return float(n)
    r = float(known[1:] @ known[:-1]) / variation
    return float(n) if r < 2 / math.sqrt(n) else n * max(0.5, (1 - r) / (1 + r))


def standing_of(
    value: float, placebos: ArrayLike, *, rate: float, floor: float, n_independent: float | None = None
) -> PlaceboZScore:
    """Put a measurement beside its placebos.

    Parameters
    ----------
    placebos
        Measurements of the same kind; those that are not finite are left out.
    floor
        The least deviation that counts as one: placebos that never varied say little of what would be unusual.
    n_independent
        How many of the placebos are independent; by default all.

    >>> standing_of(9.0, [1.0, 3.0, 1.0, 3.0], rate=0.01, floor=0.1).z.__round__(2)
    6.06
    """
    known = np.asarray(placebos, dtype=np.float64)
    known = known[np.isfinite(known)]
    n = float(known.size if n_independent is None else min(n_independent, known.size))
    if known.size < 2 or not math.isfinite(value):
        return PlaceboZScore(value, math.nan, math.inf, math.nan, math.nan, int(known.size), n)
    mean, deviation = float(known.mean()), max(float(known.std(ddof=1)), floor)
    return PlaceboZScore(value, (value - mean) / deviation, threshold_of(rate, n), mean, deviation, int(known.size), n)


def persistent(recent: ArrayLike, k: int, n: int) -> float:
    """Give the k-th largest of the last n values, which exceeds a threshold when k of n do; 0 of fewer than k.

    >>> persistent([9.0, 0.1, 7.0], 2, 3), persistent([9.0], 2, 3)
    (7.0, 0.0)
    """
    last = np.asarray(recent, dtype=np.float64)[-n:]
    last = np.sort(np.where(np.isfinite(last), last, 0.0))
    return float(last[-k]) if last.size >= k else 0.0


def share_interval(k: int, n: int, level: float) -> tuple[float, float]:
    """Give the interval of the share behind k of n independent trials (Clopper and Pearson, 1934, Biometrika 26).

    Exact: it holds the true share with at least probability `level`.

    Raises
    ------
    ValueError
        When not 0 <= k <= n, n is 0, or level is outside (0, 1).

    >>> [round(bound, 3) for bound in share_interval(0, 8, 0.9)]
    [0.0, 0.312]
    """
    if not (0 <= k <= n and n > 0 and 0 < level < 1):
        raise ValueError(f"found k={k}, n={n}, level={level}; allowed: 0 <= k <= n, n at least 1, level in (0, 1)")
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return low, high
