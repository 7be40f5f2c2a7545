"""How sure a difference of two models is, when examples of one day share their weather.

Late flights come in days: resampling single rows would take 900 flights of one storm for 900 pieces of evidence and
give intervals that are far too narrow. Whole days are the blocks; what connects one day with the next is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_assets.stats.classification import pointwise_log_loss

__all__ = ["Interval", "paired_day_block_bootstrap", "pointwise_log_loss"]


@dataclass(frozen=True)
class Interval:
    """An estimate and the percentile interval around it.

    Attributes
    ----------
    estimate, lower, upper
        All three in the unit of what was estimated. NaN where undefined: no rows, fewer than two days for the
        bounds, a reference loss of zero.
    level
        Coverage aimed at, such as 0.95.
    n_days, n
        Days and rows the estimate rests on.
    """

    estimate: float
    lower: float
    upper: float
    level: float
    n_days: int
    n: int


def paired_day_block_bootstrap(
    loss_a: ArrayLike,
    loss_b: ArrayLike,
    days: ArrayLike,
    *,
    rng: np.random.Generator,
    resamples: int,
    level: float,
) -> Interval:
    """How much of a's loss b saves, (sum a - sum b) / sum a, with an interval from resampled days.

    Days are drawn with replacement, as many as there are, each with all its rows for both models (paired), and the
    bounds are the percentiles of the resampled estimates (Efron and Tibshirani, 1993, chapters 8 and 13), expanded as
    few days ask for: percentiles of two weeks cover too little (Hesterberg, 2015). Above zero, b is better. The order
    of the rows changes nothing, to the bit; the same `rng` state gives the same interval.

    Parameters
    ----------
    loss_a, loss_b
        Loss of each example under the reference and under the other model; finite and not negative.
    days
        Day of each example: anything numpy can sort, without missing values.

    Raises
    ------
    ValueError
        On arrays of different lengths, invalid losses, missing days, no resamples, or a level outside (0, 1).

    >>> rng = np.random.default_rng(0)
    >>> paired_day_block_bootstrap([2.0, 2.0], [1.0, 1.0], ["mon", "tue"], rng=rng, resamples=100, level=0.9)
    Interval(estimate=0.5, lower=0.5, upper=0.5, level=0.9, n_days=2, n=2)
    """
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"resamples must be at least 1 and level in (0, 1), got {resamples} and {level}")
    sums_a, sums_b, n = _sums_per_day(loss_a, loss_b, days)
    n_days = sums_a.size
    estimate = float(_saved_share(sums_a.sum(), sums_b.sum()))
    if n_days < 2:
        return Interval(estimate, float("nan"), float("nan"), level, n_days, n)
    drawn = rng.integers(0, n_days, size=(resamples, n_days))
    resampled = _saved_share(sums_a[drawn].sum(axis=1), sums_b[drawn].sum(axis=1))
    tail = expanded_tail(level, n_days)
    lower, upper = np.quantile(resampled, [tail, 1 - tail])
    return Interval(estimate, float(lower), float(upper), level, n_days, n)


def mean_interval(
    losses: ArrayLike, days: ArrayLike, rng: np.random.Generator, resamples: int, level: float
) -> tuple[float, float]:
    """Bounds of a mean loss from resampled days, expanded as few days ask for; NaN of fewer than two days.

    >>> mean_interval([1.0, 1.0, 1.0], ["mon", "mon", "tue"], np.random.default_rng(0), 50, 0.9)
    (1.0, 1.0)
    """
    names, day = np.unique(np.asarray(days), return_inverse=True)
    if names.size < 2:
        return float("nan"), float("nan")
    sums, counts = np.bincount(day, np.asarray(losses, dtype=np.float64)), np.bincount(day)
    drawn = rng.integers(0, names.size, size=(resamples, names.size))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    tail = expanded_tail(level, names.size)
    lower, upper = np.quantile(means, [tail, 1 - tail])
    return float(lower), float(upper)


def expanded_tail(level: float, n_days: int) -> float:
    """The share of resamples to leave out on either side, so that an interval of few days covers what it says.

    Phi(-sqrt(n / (n - 1)) * t), with t the quantile of Student's distribution with n - 1 degrees of freedom: the
    expanded percentile interval of Hesterberg, "What teachers should know about the bootstrap" (2015).

    >>> round(expanded_tail(0.9, 14), 3), round(expanded_tail(0.9, 1000), 3)
    (0.033, 0.05)
    """
    from scipy.stats import norm, t  # pyright: ignore[reportMissingTypeStubs]

    quantile: Any = t.ppf((1 + level) / 2, n_days - 1)  # pyright: ignore[reportUnknownMemberType] - scipy has no stubs
    tail: Any = norm.cdf(-np.sqrt(n_days / (n_days - 1)) * quantile)  # pyright: ignore[reportUnknownMemberType]
    return float(tail)


def _sums_per_day(
    loss_a: ArrayLike, loss_b: ArrayLike, days: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    a, b = np.asarray(loss_a, dtype=np.float64), np.asarray(loss_b, dtype=np.float64)
    day = np.asarray(days)
    if a.ndim != 1 or a.shape != b.shape or a.shape != day.shape:
        raise ValueError(f"losses and days must be of one length, got shapes {a.shape}, {b.shape} and {day.shape}")
    is_wrong = ~(np.isfinite(a) & np.isfinite(b) & (a >= 0) & (b >= 0))
    if is_wrong.any():
        raise ValueError(f"losses must be finite and not negative: {int(is_wrong.sum())} rows are not")
    if day.dtype.kind in "fmM" and np.isnan(day).any():
        raise ValueError(f"days must not be missing: {int(np.isnan(day).sum())} rows are")
    unique_days, day_index = np.unique(day, return_inverse=True)
    # Float addition depends on order in the last bits, so the rows of a day are added in the order of their losses.
    order = np.lexsort((b, a, day_index))
    day_index = day_index[order]
    n_days = unique_days.size
    sums_a = np.bincount(day_index, weights=a[order], minlength=n_days).astype(np.float64)
    sums_b = np.bincount(day_index, weights=b[order], minlength=n_days).astype(np.float64)
    return sums_a, sums_b, int(a.size)


def _saved_share(total_a: ArrayLike, total_b: ArrayLike) -> NDArray[np.float64]:
    a, b = np.asarray(total_a, dtype=np.float64), np.asarray(total_b, dtype=np.float64)
    return (a - b) / np.where(a > 0, a, np.nan)
