"""The binary task: labels are 0 or 1, scores the probability of 1, and models are compared by log loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_assets.stats.classification import auc, brier, expected_calibration_error, log_loss, pointwise_log_loss, summary
from ml_assets.stats.measured_intervals import measured_intervals
from ml_assets.stats.metric import Metric
from ml_assets.stats.task import Task

FloatArray = NDArray[np.float64]
LOG_LOSS = Metric("log_loss", log_loss, is_better_high=False, title="log loss", unit="nats")
AUC = Metric("auc", auc, is_better_high=True, title="AUC")
ECE = Metric("ece", expected_calibration_error, is_better_high=False, title="calibration error")
BRIER = Metric("brier", brier, is_better_high=False, title="Brier score")


def share_of_positives(labels: ArrayLike) -> float:
    """Give what a model without features predicts; NaN without labels."""
    known = np.asarray(labels, dtype=np.float64)
    return float(known.mean()) if known.size else float("nan")


def entropy(scores: ArrayLike) -> FloatArray:
    """Give the log loss that each score expects of itself, in nats."""
    p = np.clip(np.asarray(scores, dtype=np.float64), 1e-7, 1 - 1e-7)
    return -(p * np.log(p) + (1 - p) * np.log1p(-p))


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
)
