"""A task: what is predicted, and so how a prediction is measured.

Everything else compares, chooses and watches models by the task's loss and metrics, and knows nothing of what they are.
The first task is the binary one (`stats.binary`); `stats.tasks` finds a task by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.metric import Metric

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """How labels and scores of one kind are checked and measured.

    Every function takes labels and scores of one length, an example a place. What is undefined for the given rows is
    NaN; labels or scores that cannot be right raise ValueError.

    Attributes
    ----------
    name
        The word for it in a declaration.
    loss_metric
        What models are compared, chosen and watched by: the mean of `losses`, lower is better.
    losses
        The loss of each example.
    metrics
        What is measured beside the loss, in the order in which it is shown.
    headline
        The one of them that is shown wherever there is room for one beside the loss.
    summary
        What one set of examples measures, by name: `n`, `label_share`, `mean_score`, the loss and the metrics.
    intervals
        The loss and the metrics with intervals of resampled days; takes labels, scores, days, and by name rng,
        resamples and level.
    label_title
        How people call the mean of labels.
    constant
        What a model without features predicts, from the labels it is trained on.
    expected_losses
        The loss that each score expects of itself, were it right.
    """

    name: str
    loss_metric: Metric
    losses: Callable[[ArrayLike, ArrayLike], FloatArray]
    metrics: tuple[Metric, ...]
    headline: Metric
    summary: Callable[[ArrayLike, ArrayLike], dict[str, float]]
    intervals: Callable[..., dict[str, Interval]]
    constant: Callable[[ArrayLike], float]
    expected_losses: Callable[[ArrayLike], FloatArray]
    label_title: str

    def loss(self, labels: ArrayLike, scores: ArrayLike) -> float:
        """Give the mean loss; NaN without examples."""
        return self.loss_metric.of(labels, scores)

    def metric(self, name: str) -> Metric:
        """Find the loss or a metric by its name; raises KeyError on another."""
        return self.by_name()[name]

    def by_name(self) -> Mapping[str, Metric]:
        """Give the loss and the metrics by their names."""
        return {each.name: each for each in (self.loss_metric, *self.metrics)}

    def measure(self, labels: ArrayLike, scores: ArrayLike) -> dict[str, float]:
        """Measure the loss and every metric of one set of examples."""
        return {name: each.of(labels, scores) for name, each in self.by_name().items()}
