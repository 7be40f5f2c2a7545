"""A change of the mean loss of one model, split into parts that have different remedies.

Between rows of before and rows of now the mean loss changes because other examples come (covariate), because the base
rate moved, which one number added to every log odds puts right (label), or because like examples mean something else
(concept: what is left). The rows of before are weighted to look like those of now, which takes out the first part
(Shimodaira, 2000; Cai, Namkoong and Yadlowsky, "Diagnosing model performance under distribution shift", 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_assets.stats.block_bootstrap import expanded_tail
from ml_assets.stats.logit import logit, sigmoid

FloatArray = NDArray[np.float64]
MOST_WEIGHT = 20.0  # of a row: beyond, single rows would decide
LEAST_EFFECTIVE = 0.05  # of the rows of before, by Kish's effective size: fewer say nothing of the rows of now
_STEPS = 25


@dataclass(frozen=True)
class ChangePart:
    """A part of a change of the mean loss, in its unit, with the interval from resampled days."""

    estimate: float
    lower: float
    upper: float

    @property
    def is_sure(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.lower > 0 or self.upper < 0


@dataclass(frozen=True)
class LossChange:
    """The change from before to now; above zero it got worse.

    Attributes
    ----------
    before, now
        Mean loss of the rows.
    covariate, label, concept
        Parts that add up to the total; None where the rows of before say too little of those of now.
    effective
        Share of the rows of before that the weighted rows are worth.
    """

    before: float
    now: float
    level: float
    total: ChangePart
    covariate: ChangePart | None
    label: ChangePart | None
    concept: ChangePart | None
    effective: float


@dataclass(frozen=True, eq=False)
class LossRows:
    """Rows of one side.

    Attributes
    ----------
    losses
        Of each row.
    by_shift
        What the loss of each row is expected to rise by where labels follow the shifted scores instead of the scores;
        see `expected_rise`.
    days
        The day of each.
    """

    losses: FloatArray
    by_shift: FloatArray
    days: NDArray[np.generic]


def domain_weights(is_now: FloatArray, n_before: int, n_now: int) -> FloatArray:
    """Give the weight of each row of before, from what a classifier says of it being one of now; their mean is 1.

    >>> domain_weights(np.array([0.5, 0.5]), 10, 10).tolist()
    [1.0, 1.0]
    """
    p = np.clip(is_now, 1e-6, 1 - 1e-6)
    weights = np.minimum(p / (1 - p) * n_before / n_now, MOST_WEIGHT)
    return weights / weights.mean()


def effective_share(weights: FloatArray) -> float:
    """Give the effective size of weighted rows as a share of all (Kish, 1965).

    >>> effective_share(np.array([1.0, 1.0, 1.0, 1.0])), effective_share(np.array([4.0, 0.0, 0.0, 0.0]))
    (1.0, 0.25)
    """
    return float(weights.sum() ** 2 / (weights**2).sum() / weights.size)


def best_shift(scores: FloatArray, labels: FloatArray) -> float:
    """Give the number that, added to every log odds, makes the mean score the share of the labels.

    >>> round(best_shift(np.array([0.5, 0.5, 0.5, 0.5]), np.array([1.0, 1.0, 1.0, 0.0])), 4)
    1.0986
    """
    odds, shift = logit(scores), 0.0
    share = float(np.clip(labels.mean(), 1e-4, 1 - 1e-4))
    for _ in range(_STEPS):
        p = sigmoid(odds + shift)
        step = (share - float(p.mean())) / max(float((p * (1 - p)).mean()), 1e-9)
        shift += float(np.clip(step, -2.0, 2.0))
        if abs(step) < 1e-9:
            break
    return shift


def shifted_ahead(scores: FloatArray, labels: FloatArray, days: NDArray[np.generic]) -> FloatArray:
    """Shift the scores of every other day by what the days between them say, and the reverse."""
    _, place = np.unique(days, return_inverse=True)
    is_even = place % 2 == 0
    found = scores.copy()
    for learned, moved in ((is_even, ~is_even), (~is_even, is_even)):
        if learned.any() and moved.any():
            found[moved] = sigmoid(logit(scores[moved]) + best_shift(scores[learned], labels[learned]))
    return found


def expected_rise(
    scores: FloatArray, shifted: FloatArray, if_positive: FloatArray, if_negative: FloatArray
) -> FloatArray:
    """Give by how much the expected loss of a row rises where its label follows `shifted` instead of `scores`.

    A base rate that moves towards a half makes even the best scores lose more; that belongs to the move, and is not
    what a shift of the scores would save.

    Parameters
    ----------
    if_positive, if_negative
        The loss of the scores under either label.

    >>> expected_rise(np.array([0.5]), np.array([0.8]), np.array([2.0]), np.array([1.0])).round(3).tolist()
    [0.3]
    """
    return (shifted - scores) * (if_positive - if_negative)


def split_change(
    before: LossRows, now: LossRows, weights: FloatArray, *, rng: np.random.Generator, resamples: int, level: float
) -> LossChange:
    """Split the change of the mean loss; days of either side are resampled, weights and shifts stay.

    Parameters
    ----------
    weights
        Of the rows of before, as `domain_weights` gives them.
    """
    effective = effective_share(weights)
    sums_before, sums_now = _by_day(before, weights), _by_day(now, np.ones(now.losses.size))
    estimate = _parts(sums_before.sum(axis=0), sums_now.sum(axis=0))
    n_before, n_now = len(sums_before), len(sums_now)
    drawn = np.array([
        _parts(
            sums_before[rng.integers(0, n_before, n_before)].sum(axis=0),
            sums_now[rng.integers(0, n_now, n_now)].sum(axis=0),
        )
        for _ in range(resamples)
    ])  # fmt: skip
    tail = expanded_tail(level, min(n_before, n_now)) if min(n_before, n_now) > 1 else 0.0
    lower, upper = np.quantile(drawn, [tail, 1 - tail], axis=0)
    total, *parts = (ChangePart(float(e), float(a), float(b)) for e, a, b in zip(estimate, lower, upper, strict=True))
    covariate, label, concept = parts if effective >= LEAST_EFFECTIVE else (None, None, None)
    means = float(before.losses.mean()), float(now.losses.mean())
    return LossChange(*means, level, total, covariate, label, concept, effective)


def _by_day(rows: LossRows, weights: FloatArray) -> FloatArray:
    """Sum up by day: rows, losses, weights, weighted losses, weighted rises by the shift. Shape (days, 5)."""
    _, place = np.unique(rows.days, return_inverse=True)
    values = (
        np.ones(weights.size), rows.losses, weights, weights * rows.losses, weights * rows.by_shift,
    )  # fmt: skip
    return np.stack([np.bincount(place, each).astype(np.float64) for each in values], axis=1)


def _parts(before: FloatArray, now: FloatArray) -> tuple[float, float, float, float]:
    """Give total, covariate, label and concept from sums as `_by_day` gives them."""
    mean_before, mean_now = before[1] / before[0], now[1] / now[0]
    weighted = before[3] / before[2]
    label = now[4] / now[2] - before[4] / before[2]
    return mean_now - mean_before, weighted - mean_before, label, mean_now - weighted - label
