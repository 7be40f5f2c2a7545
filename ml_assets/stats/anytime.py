"""Tests and intervals that may be looked at after every drop.

Input: an estimate with its standard error, its degrees of freedom and how much information it rests on. Output: an
interval that holds the truth at all looks together with the stated probability, and an e-value, whose inverse is a
p-value valid at any look.

The method is the sequential t-test with a Gaussian mixture over the effect (Lindon, Ham, Tingley and Bojinov, 2022,
arXiv 2210.08589). With many units it is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and
Ramdas (2021, arXiv 2103.06476, theorem 2.2); with few, such as the days of two weeks, that one is too narrow, since it
takes the estimated variance for the true one. For normal observations this one is exact from two units on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = [
    "Estimate",
    "SequenceInterval",
    "anytime_interval",
    "anytime_p_value",
    "e_value",
    "one_sided_p_value",
    "tuned_prior",
]


@dataclass(frozen=True)
class Estimate:
    """An estimated difference and what its uncertainty rests on.

    Attributes
    ----------
    value, standard_error
        In the unit of the measure; NaN where undefined (no units in an arm).
    degrees
        Degrees of freedom of the standard error: independent units minus estimated means.
    information
        Effective number of units: the variance of the estimate is that of one unit divided by it. Paired units: their
        number. Two arms: n1 n0 / (n1 + n0).
    n_units
        Independent units, such as days or customers, in both arms.
    n
        Rows.
    """

    value: float
    standard_error: float
    degrees: float
    information: float
    n_units: int
    n: int

    @property
    def is_defined(self) -> bool:
        """Whether there is anything to infer: a finite value, and a spread that could be estimated."""
        return self.degrees > 0 and math.isfinite(self.value) and math.isfinite(self.standard_error)


@dataclass(frozen=True)
class SequenceInterval:
    """An interval of a confidence sequence.

    Attributes
    ----------
    estimate, lower, upper
        In the unit of the measure. The bounds are infinite while there are too few units to bound anything.
    level
        Probability that no interval of the sequence misses the truth.
    """

    estimate: float
    lower: float
    upper: float
    level: float


def tuned_prior(information: float, level: float) -> float:
    """Give the prior precision with which the interval is narrowest at `information`, whatever the looks before.

    It changes where the sequence is narrow, never whether it is valid (Waudby-Smith et al., 2021, section 2.4).

    >>> round(tuned_prior(1000, 0.95), 1)
    113.9
    """
    if information <= 0 or not 0 < level < 1:
        raise ValueError(f"information must be above 0 and level in (0, 1), got {information} and {level}")
    budget = -2 * math.log(1 - level)
    return information / (budget + math.log(budget) + 1)


def anytime_interval(estimate: Estimate, level: float, prior: float) -> SequenceInterval:
    """Bound the truth at this look so that all looks together hold with probability `level`.

    Parameters
    ----------
    prior
        Prior precision of the effect in units of information, from `tuned_prior` of the planned size. It must be fixed
        before the first look.

    >>> estimate = Estimate(0.5, 0.1, degrees=98, information=25, n_units=100, n=100)
    >>> found = anytime_interval(estimate, 0.95, prior=5)
    >>> round(found.lower, 3), round(found.upper, 3)
    (0.187, 0.813)
    """
    if not estimate.is_defined:
        return SequenceInterval(estimate.value, -math.inf, math.inf, level)
    reach = critical_t(estimate.degrees, estimate.information, level, prior) * estimate.standard_error
    if math.isnan(reach):  # an infinite bound on no spread at all
        reach = math.inf
    return SequenceInterval(estimate.value, estimate.value - reach, estimate.value + reach, level)


def critical_t(degrees: float, information: float, level: float, prior: float) -> float:
    """Give how many standard errors the interval reaches to either side; infinite while there are too few units."""
    shrinkage = prior / (prior + information)
    ratio = math.exp(-2 * (math.log(1 - level) + math.log(shrinkage) / 2) / (degrees + 1))
    if ratio * shrinkage >= 1:
        return math.inf
    return math.sqrt(degrees * (ratio - 1) / (1 - ratio * shrinkage))


def e_value(estimate: Estimate, null: float, prior: float) -> float:
    """Measure the evidence against the difference being `null`: above 1 / (1 - level), the interval leaves it out.

    One where nothing can be inferred yet.
    """
    if not estimate.is_defined:
        return 1.0
    shrinkage = prior / (prior + estimate.information)
    if estimate.standard_error == 0:
        at_infinity = math.log(shrinkage) * (1 - (estimate.degrees + 1)) / 2
        return math.exp(min(at_infinity, 700)) if estimate.value != null else math.sqrt(shrinkage)
    squared = ((estimate.value - null) / estimate.standard_error) ** 2 / estimate.degrees
    grown = (estimate.degrees + 1) / 2 * (math.log1p(squared) - math.log1p(shrinkage * squared))
    return math.exp(min(math.log(shrinkage) / 2 + grown, 700))


def one_sided_p_value(estimate: Estimate, prior: float) -> float:
    """Give a p-value, valid at any look, of the difference being zero or below.

    The same mixture with effects above zero alone: its e-value is twice the two-sided one times the probability that it
    gives to such effects.

    >>> one_sided_p_value(Estimate(0.5, 0.1, 98, 25, 100, 100), prior=5) < 0.001
    True
    >>> one_sided_p_value(Estimate(-0.5, 0.1, 98, 25, 100, 100), prior=5)
    1.0
    """
    from scipy.special import stdtr  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    if not estimate.is_defined or estimate.value <= 0:
        return 1.0
    if estimate.standard_error == 0:
        return min(1.0, 1 / (2 * e_value(estimate, 0.0, prior)))
    t, shrinkage = estimate.value / estimate.standard_error, prior / (prior + estimate.information)
    degrees = estimate.degrees + 1
    standardised = t * math.sqrt((1 - shrinkage) * degrees / (estimate.degrees + shrinkage * t**2))
    above = float(stdtr(degrees, standardised))
    return min(1.0, 1 / (2 * above * e_value(estimate, 0.0, prior)))


def anytime_p_value(estimate: Estimate, null: float, prior: float) -> float:
    """Give a p-value that is valid at any look: the inverse of the e-value, at most one."""
    return min(1.0, 1 / e_value(estimate, null, prior))
