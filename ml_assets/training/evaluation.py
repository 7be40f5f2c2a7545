"""The evidence for the gate: on which rows models are compared, and how the difference is bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.gate import GateRule
from ml_assets.spec.monitoring import Costs
from ml_assets.stats.block_bootstrap import Interval, paired_day_block_bootstrap
from ml_assets.stats.task import Task
from ml_assets.stats.window_measures import SimpleGain

if TYPE_CHECKING:
    import pandas as pd

MOST_SURE = 0.9  # pure noise seems as surely better than what is simple once in twenty


def newest_unseen(rows: pd.DataFrame, trained_until: datetime) -> pd.DataFrame:
    """Give the held-out rows after `trained_until`, the later of what the compared models trained on."""
    is_unseen = (rows["split"] == "holdout") & (rows["prediction_at"] > trained_until)
    return rows.loc[is_unseen]


def implied_threshold(costs: Costs) -> float:
    """Give the score at which acting and waiting cost the same; a half where neither costs anything (Elkan, 2001)."""
    whole = costs.false_alarm + costs.missed
    return costs.false_alarm / whole if whole else 0.5


def gain_over_simple(  # noqa: PLR0913, PLR0917 - what is compared, and how
    task: Task,
    labels: NDArray[np.float64],
    days: Sequence[str],
    scores: Mapping[str, NDArray[np.float64]],
    train_share: float,
    rule: GateRule,
    rng: np.random.Generator,
) -> SimpleGain | None:
    """Give the candidate's gain over the better of constant (the training share) and baseline; None without rows.

    A candidate that is the baseline itself is compared with the constant. `scores` are those of `candidate` and
    `baseline`, in the order of the labels. The interval has the level of the gate, at most MOST_SURE: before a first
    champion nothing serves, and a gate that is strict between champions would leave it so for long.
    """
    if not labels.size:
        return None
    candidate = task.losses(labels, scores["candidate"])
    constant = task.losses(labels, np.full(labels.size, train_share))
    baseline = task.losses(labels, scores["baseline"])
    is_baseline = np.array_equal(scores["candidate"], scores["baseline"])
    takes_constant = is_baseline or constant.sum() <= baseline.sum()
    gain = paired_day_block_bootstrap(
        constant if takes_constant else baseline,
        candidate,
        np.asarray(days),
        rng=rng,
        resamples=rule.resamples,
        level=min(rule.interval_level, MOST_SURE),
    )
    return SimpleGain("constant" if takes_constant else "baseline", gain)


def gain_over(
    task: Task,
    window: pd.DataFrame,
    champion_scores: NDArray[np.float64],
    candidate_scores: NDArray[np.float64],
    rule: GateRule,
    rng: np.random.Generator,
) -> Interval | None:
    """Give the relative gain in loss over the champion, with its paired day-block interval; None without rows."""
    if len(window) == 0:
        return None
    labels = window["label"].to_numpy()
    return paired_day_block_bootstrap(
        task.losses(labels, champion_scores),
        task.losses(labels, candidate_scores),
        window["batch_date"].astype(str).str[:10].to_numpy(),
        rng=rng,
        resamples=rule.resamples,
        level=rule.interval_level,
    )
