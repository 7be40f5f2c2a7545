"""The binary task: labels are 0 or 1, scores the probability of 1, and models are compared by log loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_assets.stats.classification import auc, brier, expected_calibration_error, log_loss, pointwise_log_loss, summary
from ml_assets.stats.logit import logit, sigmoid
from ml_assets.stats.measured_intervals import measured_intervals
from ml_assets.stats.metric import Metric
from ml_assets.stats.task import LabelRule, Scale, Task

FloatArray = NDArray[np.float64]
LOG_LOSS = Metric("log_loss", log_loss, is_better_high=False, title="log loss", unit="nats")
AUC = Metric("auc", auc, is_better_high=True, title="AUC")
ECE = Metric("ece", expected_calibration_error, is_better_high=False, title="calibration error")
BRIER = Metric("brier", brier, is_better_high=False, title="Brier score")


def share_of_positives(labels: ArrayLike) -> float:
    """Give what a model without features predicts; NaN without labels."""
    known = np.asarray(labels, dtype=np.float64)
    return float(known.mean()) if known.size else float("nan")


def entropy(scores: ArrayLike, _losses: ArrayLike = ()) -> FloatArray:
    """Give the log loss that each score expects of itself, in nats; what its losses are does not matter."""
    p = np.clip(np.asarray(scores, dtype=np.float64), 1e-7, 1 - 1e-7)
    return -(p * np.log(p) + (1 - p) * np.log1p(-p))


def cost_of_prior(share: float, score: float, _usual: float = float("nan")) -> float:
    """Give what scores cost that average `score` where `share` are positive: a share of a constant's log loss.

    It is the divergence of Kullback and Leibler (1951) between the two shares, over the entropy of the true one. Many
    rows prove also what is of no use to anyone: 0.8 % positives where scores average 0.9 % cost 0.1 %.

    >>> [round(cost_of_prior(share, score), 4) for share, score in ((0.25, 0.2), (0.43, 0.5), (0.008, 0.009))]
    [0.0131, 0.0144, 0.0012]
    """
    shares, scores = np.clip([[share, 1 - share], [score, 1 - score]], 1e-9, 1)
    entropy_of_share = -float(shares @ np.log(shares))
    return float(shares @ np.log(shares / scores)) / max(entropy_of_share, 1e-9)


BINARY = Task(
    name="binary",
    loss_metric=LOG_LOSS,
    losses=pointwise_log_loss,
    metrics=(AUC, BRIER, ECE),
    headline=AUC,
    summary=summary,
    intervals=measured_intervals,
    constant=share_of_positives,
    expected_losses=entropy,
    label_title="share of positives",
    labels=LabelRule("INTEGER", "label IS NULL OR label NOT IN (0, 1)", "0 or 1", lambda y: (y != 0) & (y != 1)),
    scale=Scale(
        logit, sigmoid, lambda odds: np.logaddexp(0, odds), lambda _: 1.0, "log odds",
        lambda p: ~((p >= 0) & (p <= 1)), "probability",
    ),
    over_constant="log_loss_over_entropy",
    mean_label="label_share",
    at_capacity="precision_at_capacity",
    cost_of_shift=cost_of_prior,
    has_classes=True,
)  # fmt: skip
