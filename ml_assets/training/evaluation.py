"""The evidence for the gate: on which rows models are compared, and how the difference is bounded."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.gate import GateRule
from ml_assets.spec.monitoring import Costs
from ml_assets.stats.classification import pointwise_log_loss
from ml_assets.stats.day_blocks import Interval, paired_day_block_bootstrap

if TYPE_CHECKING:
    import pandas as pd


def newest_unseen(rows: pd.DataFrame, trained_until: datetime) -> pd.DataFrame:
    """Give the held-out rows after `trained_until`, the later of what the compared models trained on."""
    is_unseen = (rows["split"] == "holdout") & (rows["prediction_at"] > trained_until)
    return rows.loc[is_unseen]


def implied_threshold(costs: Costs) -> float:
    """Give the score at which acting and waiting cost the same; a half where neither costs anything (Elkan, 2001)."""
    whole = costs.false_alarm + costs.missed
    return costs.false_alarm / whole if whole else 0.5


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
