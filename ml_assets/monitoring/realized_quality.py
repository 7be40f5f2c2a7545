"""How good predictions turned out to be, once their outcomes were known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ml_assets.stats.classification import mean_label_at
from ml_assets.stats.task import Task

if TYPE_CHECKING:
    import pandas as pd


def measure_quality(task: Task, scored: pd.DataFrame, capacity: int) -> dict[str, dict[str, float]]:
    """Measure the champion's scores and the baseline's on the same matured examples.

    Parameters
    ----------
    scored
        Grain: a prediction. `batch_date`, `example_id`, `label` (null: not known, or resolved
        without one), `score`, `baseline_score`.
    capacity
        How many examples of a drop people can act on.

    Returns
    -------
    dict
        For `score` and `baseline_score`: n, label_share, mean_score, auc, log_loss, brier, ece over
        labelled examples, and `precision_at_capacity`: all examples of a drop ranked, the share of
        positives among those of the first `capacity` that have a label, mean over drops.
    """
    labelled = scored[scored["label"].notna()]
    measured: dict[str, dict[str, float]] = {}
    for column in ("score", "baseline_score"):
        values = task.summary(labelled["label"].to_numpy(dtype=float), labelled[column].to_numpy(dtype=float))
        precisions = [
            mean_label_at(drop["label"].to_numpy(dtype=float), drop[column].to_numpy(dtype=float), capacity)
            for _, drop in scored.sort_values("example_id").groupby("batch_date")
        ]
        known = [value for value in precisions if not np.isnan(value)]
        measured[column] = {**values, task.at_capacity: float(np.mean(known)) if known else float("nan")}
    return measured
