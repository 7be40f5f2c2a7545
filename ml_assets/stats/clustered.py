"""Differences of means between two arms, with standard errors that respect which rows belong together.

Rows of one unit (a customer, or a day with its weather) are not independent evidence. Each function gives an `Estimate`
whose degrees of freedom count units, so that `anytime.py` can bound it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_assets.stats.anytime import Estimate

FloatArray = NDArray[np.float64]
__all__ = [
    "clustered_difference",
    "design_effect",
    "mean_difference",
    "moment_difference",
    "paired_difference",
    "with_reference",
]
_UNDEFINED = Estimate(math.nan, math.nan, 0, 0, 0, 0)


def mean_difference(treated: ArrayLike, control: ArrayLike) -> Estimate:
    """Estimate mean(treated) - mean(control) of independent units, whose variances may differ (Welch, 1947).

    Parameters
    ----------
    treated, control
        One finite value a unit.

    >>> found = mean_difference([3.0, 5.0], [1.0, 3.0])
    >>> found.value, round(found.standard_error, 3), found.information
    (2.0, 1.414, 1.0)
    """
    one, zero = np.asarray(treated, dtype=np.float64), np.asarray(control, dtype=np.float64)
    if min(one.size, zero.size) < 2:
        return _UNDEFINED
    return moment_difference(*((each.size, float(each.mean()), float(each.var(ddof=1))) for each in (one, zero)))


def moment_difference(treated: tuple[int, float, float], control: tuple[int, float, float]) -> Estimate:
    """Estimate the difference of `mean_difference` from the number, mean and variance of each arm's units.

    >>> moment_difference((2, 4.0, 2.0), (2, 2.0, 2.0)) == mean_difference([3.0, 5.0], [1.0, 3.0])
    True
    """
    (ones, mean_one, variance_one), (zeros, mean_zero, variance_zero) = treated, control
    if min(ones, zeros) < 2:
        return _UNDEFINED
    parts = variance_one / ones, variance_zero / zeros
    spread = parts[0] ** 2 / (ones - 1) + parts[1] ** 2 / (zeros - 1)
    n = ones + zeros
    return Estimate(
        mean_one - mean_zero,
        math.sqrt(sum(parts)),
        degrees=sum(parts) ** 2 / spread if spread > 0 else n - 2,
        information=ones * zeros / n,
        n_units=n,
        n=n,
    )


def paired_difference(sums: ArrayLike, counts: ArrayLike) -> Estimate:
    """Estimate the mean per row of a difference that is known in each row, where rows of a unit share a shock.

    Parameters
    ----------
    sums, counts
        Of each unit: the sum of its rows' differences, and the number of its rows. Units without rows are left out.

    Returns
    -------
    Estimate
        The ratio of sums, with the linearised standard error of Cochran (1977, section 6.4) over units.

    >>> found = paired_difference([2.0, 4.0, 6.0], [2, 2, 2])
    >>> found.value, round(found.standard_error, 4), found.degrees
    (2.0, 0.5774, 2)
    """
    totals, n = np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    totals, n = totals[n > 0], n[n > 0]
    units = n.size
    if units < 2:
        return _UNDEFINED
    mean = float(totals.sum() / n.sum())
    residuals = totals - mean * n
    variance = float((residuals**2).sum()) * units / (units - 1) / float(n.sum()) ** 2
    effective = float(n.sum()) ** 2 / float((n**2).sum())
    return Estimate(mean, math.sqrt(variance), units - 1, effective, units, int(n.sum()))


def clustered_difference(values: ArrayLike, is_treated: ArrayLike, clusters: ArrayLike) -> Estimate:
    """Estimate mean(treated) - mean(control) of rows, where the rows of a cluster are not independent.

    A cluster may lie in one arm (days are assigned) or in both (rows of a day are assigned): what a day's rows share in
    both arms cancels. The variance is the linearised one over clusters (Liang and Zeger, 1986), with Stata's correction
    for their number.

    Parameters
    ----------
    values, is_treated, clusters
        Of each row: a finite value, its arm, and the cluster it belongs to, anything that numpy can sort.

    >>> found = clustered_difference([1.0, 3.0, 2.0, 5.0], [0, 1, 0, 1], ["mon", "mon", "tue", "tue"])
    >>> found.value, found.degrees, found.n_units
    (2.5, 1, 2)
    """
    y, arm = np.asarray(values, dtype=np.float64), np.asarray(is_treated, dtype=bool)
    _, place = np.unique(np.asarray(clusters), return_inverse=True)
    ones, zeros = int(arm.sum()), int((~arm).sum())
    if min(ones, zeros) == 0:
        return _UNDEFINED
    means = float(y[arm].mean()), float(y[~arm].mean())
    size = int(place.max()) + 1
    one_rows = np.bincount(place[arm], minlength=size)
    zero_rows = np.bincount(place[~arm], minlength=size)
    errors = np.bincount(place[arm], y[arm] - means[0], minlength=size) / ones
    errors = errors - np.bincount(place[~arm], y[~arm] - means[1], minlength=size) / zeros
    has_both = bool(((one_rows > 0) & (zero_rows > 0)).any())
    degrees = size - 1 if has_both else size - 2
    if degrees < 1:
        return _UNDEFINED
    variance = float((errors**2).sum()) * size / degrees
    effective = [float(each.sum()) ** 2 / float((each.astype(np.float64) ** 2).sum()) for each in (one_rows, zero_rows)]
    information = min(effective) if has_both else effective[0] * effective[1] / sum(effective)
    return Estimate(means[0] - means[1], math.sqrt(variance), degrees, information, size, y.size)


def design_effect(values: ArrayLike, is_treated: ArrayLike, clusters: ArrayLike) -> float:
    """Measure how many times more rows a test needs because rows of a cluster are alike (Kish, 1965, section 5.4).

    The variance of the difference by cluster over that of independent rows; NaN where either is undefined.
    """
    y, arm = np.asarray(values, dtype=np.float64), np.asarray(is_treated, dtype=bool)
    by_cluster, by_row = clustered_difference(y, arm, clusters), mean_difference(y[arm], y[~arm])
    if not (by_cluster.is_defined and by_row.is_defined) or by_row.standard_error == 0:
        return math.nan
    return (by_cluster.standard_error / by_row.standard_error) ** 2


def with_reference(found: Estimate, reference: Estimate) -> Estimate:
    """Let units of an earlier time say how much units differ, where the experiment itself has few.

    The difference is that of the experiment alone; only its standard error is pooled, with a mean of its own for the
    earlier time. Where the experiment's own error is larger, that one stands: units that differ more than before must
    not look calm.

    Parameters
    ----------
    found, reference
        Of `paired_difference`, over units of the same kind: days and days.

    >>> now, before = paired_difference([1.0, 3.0], [1, 1]), paired_difference([5.0, 5.5, 4.5, 5.0], [1, 1, 1, 1])
    >>> pooled = with_reference(now, before)
    >>> pooled.value, pooled.degrees, pooled.standard_error == now.standard_error
    (2.0, 4, True)
    """
    if not (found.is_defined and reference.is_defined):
        return found
    squares = [each.degrees * each.standard_error**2 * each.n_units for each in (found, reference)]
    degrees = found.degrees + reference.degrees
    pooled = math.sqrt(sum(squares) / degrees / found.n_units)
    return replace(found, standard_error=max(found.standard_error, pooled), degrees=degrees)
