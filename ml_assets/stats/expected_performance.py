"""Quality of scores whose labels are not there yet, expected from what scores of before turned out to mean.

A curve learned on labelled rows says how often a score comes true; with it, every unlabelled row has an expected loss,
and all of them an expected AUC and cost (confidence-based performance estimation, as in NannyML). Where other examples
come, the curve is learned on rows weighted to look like them (PAPE; Białek et al., 2024, arXiv 2401.08348). The band is
what estimates of earlier days missed by: quantiles of their errors, as in split conformal prediction (Vovk et al.,
2005).

It is blind to a change of what examples mean and of the base rate that leaves the scores as they are: it takes from
before how often a score comes true.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_assets.stats.logit import logit, sigmoid

FloatArray = NDArray[np.float64]
LEVEL = 0.9
LEAST_DAYS = 19  # with fewer errors no quantile of them bounds nine of ten
_STEPS, _RIDGE = 30, 1e-6


@dataclass(frozen=True)
class ScoreCurve:
    """How often a score comes true: sigmoid(intercept + slope * log odds of the score) (Platt, 1999)."""

    intercept: float
    slope: float

    def __call__(self, scores: FloatArray) -> FloatArray:
        """Give the expected share of positives at each score."""
        return sigmoid(self.intercept + self.slope * logit(scores))


def fit_score_curve(scores: FloatArray, labels: FloatArray, weights: FloatArray | None = None) -> ScoreCurve:
    """Fit the curve by Newton's method on weighted rows; scores as they are where the labels are of one class.

    >>> rng = np.random.default_rng(0)
    >>> scores = rng.uniform(0.05, 0.95, 20_000)
    >>> found = fit_score_curve(scores, (rng.random(20_000) < sigmoid(0.5 + 0.7 * logit(scores))).astype(float))
    >>> round(found.intercept, 1), round(found.slope, 1)
    (0.5, 0.7)
    """
    if labels.size == 0 or labels.min() == labels.max():
        return ScoreCurve(0.0, 1.0)
    w = np.ones(labels.size) if weights is None else weights
    x = np.stack([np.ones(scores.size), logit(scores)], axis=1)
    beta = np.array([0.0, 1.0])
    for _ in range(_STEPS):
        p = sigmoid(x @ beta)
        gradient = x.T @ (w * (labels - p))
        hessian = (x * (w * p * (1 - p))[:, np.newaxis]).T @ x + _RIDGE * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        beta = beta + np.clip(step, -2.0, 2.0)
        if float(np.abs(step).max()) < 1e-9:
            break
    return ScoreCurve(float(beta[0]), float(beta[1]))


def expected_mean(expected: FloatArray, if_positive: FloatArray, if_negative: FloatArray) -> float:
    """Give the expected mean of a loss or a cost; NaN without rows.

    >>> expected_mean(np.array([0.25, 0.5]), np.array([1.0, 1.0]), np.array([0.0, 0.0]))
    0.375
    """
    return float((expected * if_positive + (1 - expected) * if_negative).mean()) if expected.size else math.nan


def expected_auc(scores: FloatArray, expected: FloatArray) -> float:
    """Give the expected AUC: each row is a positive by its share and a negative by the rest, ties count half.

    >>> expected_auc(np.array([0.2, 0.8]), np.array([0.0, 1.0]))
    1.0
    >>> round(expected_auc(np.array([0.2, 0.8]), np.array([0.5, 0.5])), 3)
    0.5
    """
    if not scores.size:
        return math.nan
    _, place = np.unique(scores, return_inverse=True)
    positive, negative = np.bincount(place, expected), np.bincount(place, 1 - expected)
    below = np.cumsum(negative) - negative / 2
    pairs = float(expected.sum() * (1 - expected).sum())
    return float(positive @ below) / pairs if pairs > 0 else math.nan


@dataclass(frozen=True)
class Band:
    """An estimate and what it may be off by; NaN bounds where too few earlier estimates can be compared."""

    estimate: float
    lower: float
    upper: float

    def covers(self, realised: float) -> bool:
        """Whether a value lies inside."""
        return self.lower <= realised <= self.upper


def band_of(estimate: float, errors: FloatArray, level: float = LEVEL) -> Band:
    """Put a band around an estimate, from realised less estimated values of earlier days.

    >>> band_of(0.5, np.arange(-10, 11) / 100.0)
    Band(estimate=0.5, lower=0.4, upper=0.6)
    >>> band_of(0.5, np.array([0.1, -0.1])).lower
    nan
    """
    known = np.sort(errors[np.isfinite(errors)])
    if known.size < LEAST_DAYS or not math.isfinite(estimate):
        return Band(estimate, math.nan, math.nan)
    rank = math.ceil((known.size + 1) * (1 + level) / 2)  # of n + 1 places, as the next error may be the largest
    place = min(rank, known.size) - 1
    return Band(estimate, estimate + float(known[known.size - 1 - place]), estimate + float(known[place]))
