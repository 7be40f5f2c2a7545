"""How a challenger compares with the champion on the examples of an experiment, measure by measure.

Input: the losses of both models on matured, labelled examples, and which arm each example was in. Output: for each
measure how much more the challenger loses than it may, with an interval that holds at all looks together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ml_assets.stats.anytime import Estimate, SequenceInterval, anytime_interval, one_sided_p_value
from ml_assets.stats.classification import pointwise_log_loss
from ml_assets.stats.clustered import clustered_difference, design_effect, paired_difference, with_reference
from ml_assets.stats.covariate_adjustment import adjust_by_covariate
from ml_assets.stats.several_metrics import holm

FloatArray = NDArray[np.float64]
LEAST_UNITS = 100  # in the smaller arm: means of fewer single units are not normal enough, where losses have long tails
__all__ = ["ComparedExamples", "ComparisonRule", "HarmBound", "MeasureComparison", "compare_arms", "example_losses",
           "paired_estimate"]  # fmt: skip


@dataclass(frozen=True)
class ComparedExamples:
    """Matured examples with a label that an experiment took. Shape of each array: example.

    Attributes
    ----------
    drops, units
        Numbers of the drop that each was predicted in, and of the unit it was assigned by.
    is_challenger
        Whether the challenger served it.
    challenger, champion
        Loss of each model by measure; both models score every example.
    champion_scores
        The champion's score of each unit, whichever model served it: known before the arm could matter.
    """

    drops: NDArray[np.int64]
    units: NDArray[np.int64]
    is_challenger: NDArray[np.bool_]
    challenger: Mapping[str, FloatArray]
    champion: Mapping[str, FloatArray]
    champion_scores: FloatArray

    def where(self, is_seen: NDArray[np.bool_]) -> ComparedExamples:
        """Give some of the examples."""
        return ComparedExamples(
            self.drops[is_seen],
            self.units[is_seen],
            self.is_challenger[is_seen],
            {name: values[is_seen] for name, values in self.challenger.items()},
            {name: values[is_seen] for name, values in self.champion.items()},
            self.champion_scores[is_seen],
        )


@dataclass(frozen=True)
class HarmBound:
    """How much worse a measure may become: a share of the champion's (`relative`), or in its unit."""

    max_worse: float
    is_relative: bool = False

    def allowed(self, champion: FloatArray) -> FloatArray:
        """Give the loss that a challenger may have on each example."""
        return champion * (1 + self.max_worse) if self.is_relative else champion + self.max_worse


@dataclass(frozen=True)
class ComparisonRule:
    """By what an experiment is judged.

    Attributes
    ----------
    bounds
        By measure.
    is_paired
        Compare both models on every example, and not each on the examples that it served.
    by_drop
        Take a drop for one piece of evidence, and not a unit.
    prior
        Prior precision of the sequence, fixed when the experiment started.
    reference
        By measure, the paired estimate on drops before the start: how much drops differ.
    """

    bounds: Mapping[str, HarmBound]
    is_paired: bool
    by_drop: bool
    level: float
    prior: float
    reference: Mapping[str, Estimate]


@dataclass(frozen=True)
class MeasureComparison:
    """One measure of both arms.

    Attributes
    ----------
    challenger, champion
        Mean loss of each over the examples compared; NaN without any.
    worse_by
        The challenger's loss less what it may be; below zero it keeps its bound. Its interval holds at all looks.
    p_value
        Of the challenger keeping its bound, valid at any look and corrected for the number of measures.
    design_effect
        Of the first measure: how many times more rows are needed because rows of a drop are alike. NaN otherwise.
    """

    measure: str
    challenger: float
    champion: float
    worse_by: SequenceInterval
    p_value: float
    n: int
    n_units: int
    design_effect: float

    @property
    def surely_kept(self) -> bool:
        """Whether the challenger surely loses no more than it may."""
        return self.worse_by.upper <= 0


def example_losses(
    labels: FloatArray, scores: FloatArray, abstained: NDArray[np.bool_], costs: tuple[float, float]
) -> dict[str, FloatArray]:
    """Give the loss of each example by measure: `log_loss`, `brier`, `cost`, `abstained`.

    Parameters
    ----------
    labels, scores
        0 or 1, and probabilities.
    abstained
        Whether the model gave no score of its own.
    costs
        Of a false alarm and of a missed positive; acting pays from their implied threshold on (Elkan, 2001).

    >>> found = example_losses(np.array([1.0, 0.0]), np.array([0.2, 0.9]), np.array([False, True]), (1.0, 3.0))
    >>> found["cost"].tolist(), found["abstained"].tolist()
    ([3.0, 1.0], [0.0, 1.0])
    """
    false_alarm, missed = costs
    threshold = false_alarm / (false_alarm + missed) if false_alarm + missed > 0 else 0.5
    acts = scores >= threshold
    return {
        "log_loss": pointwise_log_loss(labels, scores),
        "brier": (scores - labels) ** 2,
        "cost": np.where(acts, (labels == 0) * false_alarm, (labels == 1) * missed).astype(np.float64),
        "abstained": abstained.astype(np.float64),
    }


def compare_arms(found: ComparedExamples, rule: ComparisonRule) -> list[MeasureComparison]:
    """Compare the arms measure by measure, in the order of `rule.bounds`.

    The first measure, which the experiment is for, has half of the error rate; the others share the other half (Holm).
    """
    compared = [_compare(found, measure, bound, rule) for measure, bound in rule.bounds.items()]
    first, *others = compared
    if not others:
        return compared
    adjusted = holm({each.measure: each.p_value for each in others}) | {first.measure: first.p_value}
    return [replace(each, p_value=min(1.0, 2 * adjusted[each.measure])) for each in compared]


def paired_estimate(
    challenger: FloatArray, champion: FloatArray, bound: HarmBound, groups: NDArray[np.int64]
) -> Estimate:
    """Estimate how much more than allowed the challenger loses per example, with `groups` as pieces of evidence."""
    return paired_difference(np.bincount(groups, challenger - bound.allowed(champion)), np.bincount(groups))


def _compare(found: ComparedExamples, measure: str, bound: HarmBound, rule: ComparisonRule) -> MeasureComparison:
    one, zero, arm = found.challenger[measure], found.champion[measure], found.is_challenger
    groups = found.drops if rule.by_drop else found.units
    served = np.where(arm, one, bound.allowed(zero))
    if rule.is_paired:
        estimate = paired_estimate(one, zero, bound, groups)
        if rule.by_drop and measure in rule.reference:
            estimate = with_reference(estimate, rule.reference[measure])
        means = _mean(one), _mean(zero)
    else:
        adjusted = adjust_by_covariate(served, _expected_loss(found.champion_scores)).values
        estimate = clustered_difference(adjusted, arm, groups)
        means = _mean(one[arm]), _mean(zero[~arm])
    if not rule.by_drop and _fewest_units(groups, arm, is_paired=rule.is_paired) < LEAST_UNITS:
        estimate = replace(estimate, degrees=0)  # nothing is bounded yet
    interval = anytime_interval(estimate, rule.level, rule.prior)
    return MeasureComparison(
        measure,
        *means,
        interval,
        one_sided_p_value(estimate, rule.prior),
        int(one.size),
        estimate.n_units,
        design_effect(served, arm, found.drops) if measure == next(iter(rule.bounds)) else math.nan,
    )


def _fewest_units(groups: NDArray[np.int64], arm: NDArray[np.bool_], *, is_paired: bool) -> int:
    parts = (groups,) if is_paired else (groups[arm], groups[~arm])
    return min(np.unique(part).size for part in parts)


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else math.nan


def _expected_loss(scores: FloatArray) -> FloatArray:
    """Give the log loss that the champion expects of each of its scores: hard examples lose more under any model."""
    inside = np.clip(scores, 1e-6, 1 - 1e-6)
    return -(inside * np.log(inside) + (1 - inside) * np.log1p(-inside))
