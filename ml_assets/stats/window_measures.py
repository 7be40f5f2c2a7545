"""What one model measures on the labelled examples of a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.classification import auc, expected_calibration_error, log_loss


@dataclass(frozen=True)
class WindowMeasures:
    """One model on the labelled examples of the window.

    Attributes
    ----------
    n, n_days
        Labelled examples, and the days they fall on.
    log_loss, auc, ece
        In nats, in [0, 1], in [0, 1]; NaN where undefined (no examples, one class only).
    positives
        Positives among the `n`; None where they were not counted.
    """

    n: int
    n_days: int
    log_loss: float
    auc: float
    ece: float
    positives: int | None = None

    @property
    def rarer(self) -> int | None:
        """Examples of the rarer class; None where they were not counted."""
        return None if self.positives is None else min(self.positives, self.n - self.positives)


@dataclass(frozen=True)
class SimpleGain:
    """The relative gain in log loss over `reference`: the better of the constant and the baseline on the window."""

    reference: Literal["constant", "baseline"]
    gain: Interval


def measure_window(labels: ArrayLike, scores: ArrayLike, days: ArrayLike) -> WindowMeasures:
    """Measure scores of labelled examples; `days` are anything numpy can sort."""
    return WindowMeasures(
        n=int(np.asarray(labels).size),
        n_days=int(np.unique(np.asarray(days)).size),
        log_loss=log_loss(labels, scores),
        auc=auc(labels, scores),
        ece=expected_calibration_error(labels, scores),
        positives=int(np.sum(np.asarray(labels) == 1)),
    )
