"""What another policy would have earned, from decisions that were logged with their propensities.

Input: for each logged decision the reward, the probability with which the action was taken, and the probability with
which the other policy would take it. Output: three estimates with intervals over units, how much the log says about
that policy, and a refusal where it says too little.

A log has outcomes only of actions that were taken: where the other policy acts as the logging one never did, nothing is
identified, and no estimator can help.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_assets.stats.clustered import paired_difference

FloatArray = NDArray[np.float64]
__all__ = ["LoggedDecisions", "OffPolicyEstimate", "OverlapRule", "WeightDiagnostics", "cross_fitted_rewards",
           "diagnose_weights", "estimate_policy"]  # fmt: skip


@dataclass(frozen=True)
class LoggedDecisions:
    """Decisions of a log, and what another policy would do in each. Shape of each array: decision.

    Attributes
    ----------
    rewards
        What the taken action earned; NaN of a decision whose outcome never became known.
    propensities
        Probability with which the logging policy took that action, above 0.
    target
        Probability with which the other policy takes that same action.
    units
        What decisions belong to that are not independent of each other: a customer, a day.
    predicted_taken, predicted_target
        For the doubly robust estimate: the predicted reward of the taken action, and the mean predicted reward of the
        other policy's actions. From a model that was not fitted on the decision itself. None: no such estimate.
    unsupported
        Probability with which the other policy takes an action that the logging policy never takes there; by default 0.
    """

    rewards: FloatArray
    propensities: FloatArray
    target: FloatArray
    units: NDArray[np.generic]
    predicted_taken: FloatArray | None = None
    predicted_target: FloatArray | None = None
    unsupported: FloatArray | None = None

    def __post_init__(self) -> None:
        """Refuse propensities that are none, and arrays of different lengths."""
        if not (self.rewards.size == self.propensities.size == self.target.size == self.units.size):
            raise ValueError("rewards, propensities, target and units must be of one length")
        if not ((self.propensities > 0) & (self.propensities <= 1)).all():
            raise ValueError("found a propensity that is not in (0, 1]; allowed: the probability of the taken action")
        if not ((self.target >= 0) & (self.target <= 1)).all():
            raise ValueError("found a target probability that is not in [0, 1]")

    @property
    def weights(self) -> FloatArray:
        """How many logged decisions each one stands for under the other policy."""
        return self.target / self.propensities


@dataclass(frozen=True)
class OverlapRule:
    """When a log says too little about another policy.

    Attributes
    ----------
    least_effective
        Effective number of units below which no interval can be trusted.
    largest_share
        Share of the whole weight that one unit may have.
    largest_unsupported
        Share of the other policy's actions that the log may never have taken.
    largest_missing
        Share of matured decisions whose outcome may be unknown.
    """

    least_effective: float = 100.0
    largest_share: float = 0.05
    largest_unsupported: float = 0.01
    largest_missing: float = 0.1


@dataclass(frozen=True)
class WeightDiagnostics:
    """What a log says about another policy.

    Attributes
    ----------
    effective_units
        (sum w)^2 / sum w^2 over units: as many independent ones would say as much (Kish, 1965).
    largest_share
        Share of the whole weight that the heaviest unit has.
    mean_weight
        One in expectation; far from it, the recorded propensities are not those that were used.
    mean_weight_error
        Its standard error over units.
    unsupported
        Share of the other policy's actions that the log never took.
    missing
        Share of decisions without a known outcome.
    """

    n: int
    n_units: int
    effective_units: float
    largest_share: float
    mean_weight: float
    mean_weight_error: float
    unsupported: float
    missing: float

    def refusals(self, rule: OverlapRule) -> tuple[str, ...]:
        """Say why nothing is estimated; empty where the log says enough."""
        found: list[str] = []
        if self.unsupported > rule.largest_unsupported:
            found.append(f"{self.unsupported:.1%} of what the policy does was never tried: not identified")
        if not self.effective_units >= rule.least_effective:
            found.append(f"{self.effective_units:.0f} effective units; allowed: {rule.least_effective:.0f} or more")
        if self.largest_share > rule.largest_share:
            found.append(f"one unit has {self.largest_share:.1%} of the weight; allowed: {rule.largest_share:.0%}")
        if abs(self.mean_weight - 1) > 4 * self.mean_weight_error and abs(self.mean_weight - 1) > 0.02:
            found.append(f"weights have a mean of {self.mean_weight:.3f}, not 1: propensities are not those of the log")
        if self.missing > rule.largest_missing:
            found.append(f"{self.missing:.1%} of matured decisions have no known outcome")
        return tuple(found)


@dataclass(frozen=True)
class PolicyValue:
    """An estimated mean reward a decision, with its interval; in the unit of the reward."""

    estimate: float
    lower: float
    upper: float
    standard_error: float


@dataclass(frozen=True)
class OffPolicyEstimate:
    """What another policy would have earned a decision.

    Attributes
    ----------
    values
        By estimator: `ips`, `snips` and, where rewards are predicted, `dr`. Empty where the log says too little.
    refused
        Why nothing is estimated; empty otherwise.
    """

    diagnostics: WeightDiagnostics
    values: dict[str, PolicyValue] = field(default_factory=dict[str, PolicyValue])
    refused: tuple[str, ...] = ()


def estimate_policy(log: LoggedDecisions, level: float = 0.95, rule: OverlapRule | None = None) -> OffPolicyEstimate:
    """Estimate the mean reward of another policy, or say why the log does not tell.

    `ips` weighs each reward by target over propensity (Horvitz and Thompson, 1952); `snips` divides by the mean weight
    (Swaminathan and Joachims, 2015); `dr` corrects predicted rewards by weighted errors (Dudik, Langford and Li, 2011).
    Intervals are t-intervals over units of each estimator's influence, so decisions of one unit count once.

    Parameters
    ----------
    log
        Decisions that have matured: whose outcome is known, or will not become known. Taking outcomes as they come in
        would count those that are known early, and the late ones not at all.

    >>> rng = np.random.default_rng(1)
    >>> action = rng.integers(0, 2, 4000)
    >>> log = LoggedDecisions((action == 1) * 1.0, np.full(4000, 0.5), (action == 1) * 1.0, np.arange(4000))
    >>> round(estimate_policy(log).values["snips"].estimate, 3)
    1.0
    """
    diagnostics = diagnose_weights(log)
    refused = diagnostics.refusals(rule or OverlapRule())
    if refused:
        return OffPolicyEstimate(diagnostics, refused=refused)
    is_known = np.isfinite(log.rewards)
    weights, rewards, units = log.weights[is_known], log.rewards[is_known], log.units[is_known]
    weighted = weights * rewards
    normalised = float(weighted.sum() / weights.sum())
    residuals = weights * (rewards - normalised) / float(weights.mean())
    values = {
        "ips": _bounded(weighted, units, level),
        "snips": _bounded(normalised + residuals, units, level),
    }
    if log.predicted_taken is not None and log.predicted_target is not None:
        errors = weights * (rewards - log.predicted_taken[is_known])
        values["dr"] = _bounded(log.predicted_target[is_known] + errors, units, level)
    return OffPolicyEstimate(diagnostics, values)


def diagnose_weights(log: LoggedDecisions) -> WeightDiagnostics:
    """Measure how much a log says about another policy, from its weights alone."""
    is_known = np.isfinite(log.rewards)
    sums, counts = _by_unit(log.weights[is_known], log.units[is_known])
    total, squares = float(sums.sum()), float((sums**2).sum())
    mean = paired_difference(sums, counts)
    unsupported = 0.0 if log.unsupported is None or not log.rewards.size else float(log.unsupported.mean())
    return WeightDiagnostics(
        n=int(log.rewards.size),
        n_units=sums.size,
        effective_units=total**2 / squares if squares > 0 else 0.0,
        largest_share=float(sums.max()) / total if total > 0 else 1.0,
        mean_weight=mean.value,
        mean_weight_error=mean.standard_error,
        unsupported=unsupported,
        missing=float((~is_known).mean()) if is_known.size else 1.0,
    )


def cross_fitted_rewards(
    contexts: ArrayLike, actions: ArrayLike, rewards: ArrayLike, units: ArrayLike, *, n_actions: int, folds: int = 5
) -> FloatArray:
    """Predict the reward of every action in every decision by a ridge regression an action, fitted on other units.

    Parameters
    ----------
    contexts
        Shape: decision x feature.
    rewards
        NaN where unknown: such decisions are predicted and not learned from.

    Returns
    -------
    predicted
        Shape: decision x action, in the unit of the reward.
    """
    x = np.column_stack([np.ones(len(np.asarray(contexts))), np.asarray(contexts, dtype=np.float64)])
    taken, y = np.asarray(actions), np.asarray(rewards, dtype=np.float64)
    _, place = np.unique(np.asarray(units), return_inverse=True)
    fold = place % folds
    predicted = np.zeros((y.size, n_actions))
    penalty = np.eye(x.shape[1])
    for part in range(folds):
        learned = (fold != part) & np.isfinite(y)
        overall = float(y[learned].mean()) if learned.any() else 0.0
        for action in range(n_actions):
            rows = learned & (taken == action)
            gram = x[rows].T @ x[rows] + penalty
            slopes = np.linalg.solve(gram, x[rows].T @ (y[rows] - overall))
            predicted[fold == part, action] = overall + x[fold == part] @ slopes
    return predicted


def _by_unit(values: FloatArray, units: NDArray[np.generic]) -> tuple[FloatArray, FloatArray]:
    _, place = np.unique(units, return_inverse=True)
    return np.bincount(place, values).astype(np.float64), np.bincount(place).astype(np.float64)


def _bounded(values: FloatArray, units: NDArray[np.generic], level: float) -> PolicyValue:
    """Give the mean of values with its t-interval over units."""
    from scipy import stats

    found = paired_difference(*_by_unit(values, units))
    if not found.is_defined:
        return PolicyValue(float(values.mean()) if values.size else math.nan, -math.inf, math.inf, math.nan)
    reach = float(stats.t.ppf(0.5 + level / 2, found.degrees)) * found.standard_error
    return PolicyValue(found.value, found.value - reach, found.value + reach, found.standard_error)
