"""What one model measures on the labelled examples of a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.task import Task, varied


@dataclass(frozen=True)
class WindowMeasures:
    """One model on the labelled examples of the window.

    Attributes
    ----------
    task
        What is predicted, and how that is measured.
    n, n_days
        Labelled examples, and the days they fall on.
    measured
        The loss and the metrics of the task, by name; NaN where undefined (no examples, one class only).
    positives
        Positives among the `n`, where labels are of two classes; None where they were not counted.
    varied
        Labels that are not the commonest one.
    """

    task: Task
    n: int
    n_days: int
    measured: Mapping[str, float]
    positives: int | None = None
    varied: int = 0

    @property
    def loss(self) -> float:
        """The mean loss."""
        return self.measured[self.task.loss_metric.name]

    @property
    def rarer(self) -> int | None:
        """Examples of the rarer class; None where they were not counted."""
        return None if self.positives is None else min(self.positives, self.n - self.positives)


@dataclass(frozen=True)
class SimpleGain:
    """The relative gain in loss over `reference`: the better of the constant and the baseline on the window."""

    reference: Literal["constant", "baseline"]
    gain: Interval


def measure_window(task: Task, labels: ArrayLike, scores: ArrayLike, days: ArrayLike) -> WindowMeasures:
    """Measure scores of labelled examples; `days` are anything numpy can sort."""
    return WindowMeasures(
        task,
        n=int(np.asarray(labels).size),
        n_days=int(np.unique(np.asarray(days)).size),
        measured=task.measure(labels, scores),
        positives=int(np.sum(np.asarray(labels) == 1)) if task.has_classes else None,
        varied=varied(labels),
    )
