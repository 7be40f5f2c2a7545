"""How long an experiment has to run to find the effect it is for.

Input: the smallest effect that matters, how much units differ, how many come with each drop. Output: the drops that a
test needs which may be looked at after every drop, and the units that a single look at the end would need
(statsmodels), and what looking costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_assets.stats.anytime import critical_t, tuned_prior

_PATHS = 4000


@dataclass(frozen=True)
class Design:
    """What an experiment is planned from.

    Attributes
    ----------
    effect
        The smallest difference that matters, in the unit of the metric.
    spread
        Standard deviation of a unit's value, in the same unit: from drops before the start.
    units_per_drop
        Independent units that the experiment takes with each drop, in both arms. Where all rows of a drop share a
        shock, the drop is the unit, and this is 1.
    share
        Of the units in the challenger's arm.
    level, power
        1 - false positives over all looks, and the probability of finding the effect by the end.
    is_paired
        Whether each unit has a value in both arms, and `spread` is that of their difference.
    """

    effect: float
    spread: float
    units_per_drop: float
    share: float = 0.5
    level: float = 0.95
    power: float = 0.8
    is_paired: bool = False


@dataclass(frozen=True)
class Plan:
    """What an experiment needs.

    Attributes
    ----------
    units_one_look
        Units that a test at one fixed moment needs; NaN where it cannot be found.
    drops
        Drops after which the effect is found with the planned power, looked at after each; None where the horizon is
        too short.
    power
        Probability of finding the effect by then; by the horizon where `drops` is None.
    prior
        Prior precision to test with; see `anytime.tuned_prior`.
    curve
        Probability of having found the effect after each drop, from the first on.
    """

    units_one_look: float
    drops: int | None
    power: float
    prior: float
    curve: NDArray[np.float64]

    def cost_of_looking(self, design: Design) -> float:
        """Say how many times more units the looks ask for than one look at the end; NaN where it is not known."""
        return math.nan if self.drops is None else self.drops * design.units_per_drop / self.units_one_look


def plan_experiment(design: Design, horizon: int, rng: np.random.Generator) -> Plan:
    """Find after how many drops, at most `horizon`, the planned effect is found with the planned power.

    The power of a test with looks has no closed form: paths of its sufficient statistics are drawn, which is exact for
    normal units. The prior is tuned to the length that is found.

    Raises
    ------
    ValueError
        On an effect or a spread that is not above zero.

    >>> plan = plan_experiment(Design(effect=0.1, spread=1.0, units_per_drop=200), 60, np.random.default_rng(1))
    >>> round(plan.units_one_look), plan.drops
    (3141, 28)
    """
    if design.effect <= 0 or design.spread <= 0:
        raise ValueError(f"effect and spread must be above 0, got {design.effect} and {design.spread}")
    one_look = fixed_sample_size(design)
    statistics = _Paths.draw(design, horizon, rng)
    prior, drops, curve = _test_paths(statistics, design, max(one_look, 2 * design.units_per_drop))
    for _ in range(2):  # a length asks for a prior, and a prior for a length
        units = design.units_per_drop * (horizon if drops is None else drops)
        prior, drops, curve = _test_paths(statistics, design, units)
    return Plan(one_look, drops, float(curve[-1 if drops is None else drops - 1]), prior, curve)


def fixed_sample_size(design: Design) -> float:
    """Give the units in both arms that a single t-test at the end needs (statsmodels); NaN where none suffice."""
    from statsmodels.stats.power import TTestIndPower, TTestPower

    standardised = design.effect / design.spread
    if design.is_paired:
        n = TTestPower().solve_power(standardised, alpha=1 - design.level, power=design.power)
        return float(np.atleast_1d(n)[0])
    ratio = design.share / (1 - design.share)
    n = TTestIndPower().solve_power(standardised, alpha=1 - design.level, power=design.power, ratio=ratio)
    return float(np.atleast_1d(n)[0]) * (1 + ratio)


def detectable_effect(design: Design, drops: int, rng: np.random.Generator) -> float:
    """Give the smallest effect that `drops` drops find with the planned power, in the unit of the metric."""
    low, high = 0.0, 8 * design.spread
    seed = int(rng.integers(2**63))
    for _ in range(20):
        effect = (low + high) / 2
        tried = Design(
            effect, design.spread, design.units_per_drop, design.share, design.level, is_paired=design.is_paired
        )
        prior = tuned_prior(_information(tried, drops * design.units_per_drop), design.level)
        curve = _Paths.draw(tried, drops, np.random.default_rng(seed)).found_by_drop(design.level, prior)
        low, high = (low, effect) if curve[-1] >= design.power else (effect, high)
    return high


def _test_paths(paths: _Paths, design: Design, planned_units: float) -> tuple[float, int | None, NDArray[np.float64]]:
    """Give the prior tuned to the planned units, the drops that the power is reached after, and the power by drop."""
    prior = tuned_prior(_information(design, planned_units), design.level)
    curve = paths.found_by_drop(design.level, prior)
    reached = np.flatnonzero(curve >= design.power)
    return prior, int(reached[0]) + 1 if reached.size else None, curve


def _information(design: Design, units: float) -> float:
    return units if design.is_paired else units * design.share * (1 - design.share)


@dataclass(frozen=True)
class _Paths:
    """Drawn statistics of a test. Shape of each array: path x drop."""

    t: NDArray[np.float64]
    degrees: NDArray[np.float64]
    information: NDArray[np.float64]

    @classmethod
    def draw(cls, design: Design, horizon: int, rng: np.random.Generator) -> _Paths:
        """Draw means and sums of squares as normal units give them, added up over the drops."""
        drops = np.arange(1, horizon + 1)
        if design.is_paired:
            n = np.floor(drops * design.units_per_drop)
            mean, squares = _accumulated(design.effect, design.spread, n, rng)
            degrees = n - 1
            variance = squares / np.maximum(degrees, 1) / np.maximum(n, 1)
            information = n
        else:
            ones = np.floor(drops * design.units_per_drop * design.share)
            zeros = np.floor(drops * design.units_per_drop) - ones
            treated, one_squares = _accumulated(design.effect, design.spread, ones, rng)
            control, zero_squares = _accumulated(0.0, design.spread, zeros, rng)
            mean, degrees = treated - control, ones + zeros - 2
            information = ones * zeros / np.maximum(ones + zeros, 1)
            pooled = (one_squares + zero_squares) / np.maximum(degrees, 1)
            variance = pooled / np.maximum(information, 1e-9)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where((degrees > 0) & (information > 0), mean / np.sqrt(variance), 0.0)
        return cls(np.nan_to_num(t), degrees, information)

    def found_by_drop(self, level: float, prior: float) -> NDArray[np.float64]:
        """Give the share of paths that have left zero out by each drop."""
        critical = np.array(
            [
                critical_t(nu, information, level, prior) if nu > 0 and information > 0 else math.inf
                for nu, information in zip(self.degrees, self.information, strict=True)
            ]
        )
        return np.logical_or.accumulate(np.abs(self.t) > critical, axis=1).mean(axis=0)


def _accumulated(
    mean: float, spread: float, counts: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the running mean of normal units and their squares around it; `counts` gives how many there are by then."""
    new = np.diff(counts, prepend=0.0)
    shape = (_PATHS, counts.size)
    sums = np.where(new > 0, new * mean + np.sqrt(new) * spread * rng.standard_normal(shape), 0.0)
    within = np.where(new > 1, rng.chisquare(np.maximum(new - 1, 1), shape) * spread**2, 0.0)
    between = np.where(new > 0, sums**2 / np.maximum(new, 1), 0.0)
    totals, n = sums.cumsum(axis=1), np.maximum(counts, 1)
    squares = (within + between).cumsum(axis=1) - totals**2 / n
    return totals / n, squares
