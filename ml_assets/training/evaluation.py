"""The evidence for the gate: candidate, champion and heuristic on one window none of them trained on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.model import GateRule
from ml_assets.stats.classification import auc, expected_calibration_error, log_loss, pointwise_log_loss
from ml_assets.stats.day_blocks import Interval, paired_day_block_bootstrap

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Measured:
    """One model on the window. Log loss in nats; NaN where undefined."""

    n: int
    n_days: int
    log_loss: float
    auc: float
    ece: float


def newest_unseen(rows: pd.DataFrame, trained_until: datetime) -> pd.DataFrame:
    """Give the held-out rows after `trained_until`, the later of what the compared models trained on."""
    is_unseen = (rows["split"] == "holdout") & (rows["prediction_at"] > trained_until)
    return rows.loc[is_unseen]


def measure(window: pd.DataFrame, scores: NDArray[np.float64]) -> Measured:
    """Measure the scores of the rows of a window."""
    labels = window["label"].to_numpy()
    if labels.size == 0:
        return Measured(0, 0, float("nan"), float("nan"), float("nan"))
    return Measured(
        n=labels.size,
        n_days=int(window["batch_date"].nunique()),
        log_loss=log_loss(labels, scores),
        auc=auc(labels, scores),
        ece=expected_calibration_error(labels, scores),
    )


def gain_over(
    window: pd.DataFrame,
    champion_scores: NDArray[np.float64],
    candidate_scores: NDArray[np.float64],
    rule: GateRule,
    rng: np.random.Generator,
) -> Interval | None:
    """Give the relative gain in log loss over the champion, with its paired day-block interval; None without rows."""
    if len(window) == 0:
        return None
    labels = window["label"].to_numpy()
    return paired_day_block_bootstrap(
        pointwise_log_loss(labels, champion_scores),
        pointwise_log_loss(labels, candidate_scores),
        window["batch_date"].astype(str).to_numpy(),
        rng=rng,
        resamples=rule.resamples,
        level=rule.interval_level,
    )
