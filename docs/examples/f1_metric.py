"""A metric in one file: the F1 score of acting on scores of a half and more."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ml_assets.stats.metric import Metric


def f1_at_half(labels: ArrayLike, scores: ArrayLike) -> float:
    """Harmonic mean of precision and recall; NaN where nothing is positive and nothing is acted on."""
    is_positive, is_acted_on = np.asarray(labels) == 1, np.asarray(scores) >= 0.5
    told, hits = is_positive.sum() + is_acted_on.sum(), (is_positive & is_acted_on).sum()
    return float(2 * hits / told) if told else float("nan")


METRIC = Metric("f1_at_half", f1_at_half, is_better_high=True, title="F1 at a half")
