"""How unusual many monitors are together, beside windows in which nothing was wrong: the placebos of a family.

Eight weeks say little about the tail of one monitor, and dividing a budget over eighty monitors asks for that tail. So
the deviations of the monitors are estimated together, and two measures decide for all of them: the largest z, and the
mean z weighted by what matters. Each is taken of every placebo window too, left out of what it is compared with, and
that is what a threshold is learned from. Monitors that move together are so accounted for as they really moved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ml_assets.monitoring.placebo_z_score import threshold_above

FloatArray = NDArray[np.float64]

MIN_WINDOWS = 3
# The largest of a dozen independent t variables varies by about a third of itself, in natural logarithms. Eight windows
# know that spread badly, so what is expected counts as much as nine windows would.
_LOG_LARGEST_SD, _PRIOR_DF = 0.33, 8.0
_LEAST_MEAN_SD = 0.1  # of the weighted mean z


@dataclass(frozen=True)
class PlaceboFamily:
    """Measurements of placebo windows.

    Attributes
    ----------
    values
        Shape (windows, monitors), finite; windows do not overlap. At least MIN_WINDOWS windows, one monitor.
    floor
        The least deviation that counts as one.
    """

    values: FloatArray
    floor: float

    @property
    def n_windows(self) -> int:
        """How many windows it rests on."""
        return self.values.shape[0]

    @cached_property
    def means(self) -> FloatArray:
        """Mean of each monitor."""
        return self.values.mean(axis=0)

    @cached_property
    def deviations(self) -> FloatArray:
        """Standard deviation of each monitor, moderated by those of all."""
        return moderated_deviations(self.values, self.floor)

    def standardised(self, values: FloatArray) -> FloatArray:
        """Give z of measurements whose last axis is the monitors."""
        return (values - self.means) / self.deviations

    @cached_property
    def placebo_z(self) -> FloatArray:
        """Z of each placebo window beside the others. Shape (windows, monitors)."""
        found = np.empty_like(self.values)
        for window in range(self.n_windows):
            others = np.delete(self.values, window, axis=0)
            deviations = moderated_deviations(others, self.floor)
            found[window] = (self.values[window] - others.mean(axis=0)) / deviations
        return found

    @cached_property
    def placebo_largest(self) -> FloatArray:
        """The largest z of each placebo window."""
        return self.placebo_z.max(axis=1)

    def placebo_mean(self, weights: FloatArray) -> FloatArray:
        """Give the weighted mean z of each placebo window; weights add up to 1."""
        return self.placebo_z @ weights

    def largest_threshold(self, rate: float) -> float:
        """Give what the largest z of a new window exceeds with probability `rate`.

        Student's quantile of its logarithm, the spread moderated by what is expected of a largest z.
        """
        known = np.log(np.maximum(self.placebo_largest, 1.0))
        df = self.n_windows - 1 + _PRIOR_DF
        variance = (_PRIOR_DF * _LOG_LARGEST_SD**2 + (self.n_windows - 1) * float(known.var(ddof=1))) / df
        return math.exp(float(known.mean()) + threshold_above(rate, df, self.n_windows) * math.sqrt(variance))

    def mean_threshold(self, rate: float, weights: FloatArray) -> float:
        """Give what the weighted mean z of a new window exceeds with probability `rate`: Student's quantile."""
        known = self.placebo_mean(weights)
        deviation = max(float(known.std(ddof=1)), _LEAST_MEAN_SD)
        return float(known.mean()) + threshold_above(rate, self.n_windows - 1, self.n_windows) * deviation


def moderated_deviations(values: FloatArray, floor: float) -> FloatArray:
    """Give the standard deviation of each column, drawn towards what all columns say a deviation is.

    s^2 = (d0 s0^2 + d s_i^2) / (d0 + d), with d degrees of freedom of each column and the prior (d0, s0) of moment
    estimates on the logarithms of their variances (Smyth, 2004, Stat. Appl. Genet. Mol. Biol. 3, section 6.2).

    Parameters
    ----------
    values
        Shape (n, columns), n at least 2. Fewer than three columns that vary are not moderated.
    floor
        The least deviation given.

    >>> rng = np.random.default_rng(1)
    >>> same = rng.normal(size=(6, 400))
    >>> same.std(axis=0, ddof=1).std().round(2), moderated_deviations(same, 0.0).std().round(2)
    (np.float64(0.31), np.float64(0.0))
    """
    variances = values.var(axis=0, ddof=1)
    df = values.shape[0] - 1
    varies = variances > 1e-12
    if int(varies.sum()) >= MIN_WINDOWS:
        prior_df, prior_variance = _prior(variances[varies], df)
        if math.isinf(prior_df):
            variances = np.full_like(variances, prior_variance)
        else:
            variances = (prior_df * prior_variance + df * variances) / (prior_df + df)
    return np.maximum(np.sqrt(variances), floor)


def _prior(variances: FloatArray, df: int) -> tuple[float, float]:
    """Estimate degrees of freedom and variance of the prior; infinite where variances differ by chance alone."""
    from scipy.special import digamma, polygamma

    logs = np.log(variances) - float(digamma(df / 2)) + math.log(df / 2)
    excess = float(logs.var(ddof=1)) - float(polygamma(1, df / 2))
    if excess <= 0:
        return math.inf, math.exp(float(logs.mean()))
    half = _inverse_trigamma(excess)
    return 2 * half, math.exp(float(logs.mean()) + float(digamma(half)) - math.log(half))


def _inverse_trigamma(value: float) -> float:
    """Solve trigamma(x) = value by Newton's method on 1 / trigamma, which is convex (Smyth, 2004, appendix).

    SciPy's solver would do, at the price of importing its whole optimizer in every run.

    >>> from scipy.special import polygamma
    >>> [round(float(polygamma(1, _inverse_trigamma(value))) / value, 6) for value in (1e-6, 0.1, 1.0, 1e4, 1e8)]
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    from scipy.special import polygamma

    if value > 1e7:
        return value**-0.5  # its limit
    x, step = 0.5 + 1 / value, math.inf
    while abs(step) > 1e-10 * x:
        first = float(polygamma(1, x))
        step = first * (1 - first / value) / float(polygamma(2, x))
        x += step
    return x
