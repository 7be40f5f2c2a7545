"""A task: what is predicted, and so how a prediction is measured.

Everything else compares, chooses and watches models by the task's loss and metrics, and knows nothing of what they are.
The tasks are in `stats.binary` and `stats.regression`; `stats.tasks` finds one by its name.
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
class LabelRule:
    """Which labels a task knows.

    Attributes
    ----------
    type
        Of the column `label`, as DuckDB names it.
    wrong
        The condition in SQL on a `label` that cannot be right; null is one.
    allowed
        What can be right, in words.
    is_wrong
        Which of an array cannot be right; NaN is one.
    """

    type: str
    wrong: str
    allowed: str
    is_wrong: Callable[[FloatArray], NDArray[np.bool_]]


@dataclass(frozen=True)
class Scale:
    """In which unit scores add up: the link function of a generalized linear model (McCullagh and Nelder, 1989).

    Attributes
    ----------
    link, inverse
        From scores to that unit, and back.
    unit
        Its name; empty is the unit of the label.
    cumulant, dispersion
        Of the exponential family that the link belongs to: b, in which b(eta) - y eta is the loss of a score on this
        scale up to what no score changes; and from labels the unit of that loss.
    is_wrong
        Which scores cannot be right; NaN is one.
    score
        What a score is called: a probability, a number.
    """

    link: Callable[[ArrayLike], FloatArray]
    inverse: Callable[[ArrayLike], FloatArray]
    cumulant: Callable[[FloatArray], FloatArray]
    dispersion: Callable[[FloatArray], float]
    unit: str
    is_wrong: Callable[[FloatArray], NDArray[np.bool_]]
    score: str


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
        From scores and their losses: the loss that a score like this one has.
    labels
        Which labels there can be.
    scale
        In which unit scores are added up, blended and explained.
    over_constant
        What the loss over that of a constant is called.
    mean_label
        What the mean of labels is called, in tables.
    at_capacity
        What the mean label of the highest scores, as many as a list has, is called in tables.
    cost_of_shift
        From the mean label, the mean score and the usual loss: what it costs that they lie apart, as a share of that
        loss or of a constant's.
    has_classes
        Whether labels are classes, of which a rule can ask for enough of each.
    """

    name: str
    loss_metric: Metric
    losses: Callable[[ArrayLike, ArrayLike], FloatArray]
    metrics: tuple[Metric, ...]
    headline: Metric
    summary: Callable[[ArrayLike, ArrayLike], dict[str, float]]
    intervals: Callable[..., dict[str, Interval]]
    constant: Callable[[ArrayLike], float]
    expected_losses: Callable[[ArrayLike, ArrayLike], FloatArray]
    label_title: str
    labels: LabelRule
    scale: Scale
    over_constant: str
    mean_label: str
    at_capacity: str
    cost_of_shift: Callable[[float, float, float], float]
    has_classes: bool = False

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

    def spread_unit(self, labels: ArrayLike) -> float:
        """Give the unit in which a spread of scores is small or large: 1 of probabilities, else that of the labels."""
        known = np.asarray(labels, dtype=np.float64)
        return float(np.std(known)) or 1.0 if known.size and not self.has_classes else 1.0


def varied(labels: ArrayLike) -> int:
    """Count the labels that are not the commonest one: of two classes, those of the rarer.

    >>> varied([0, 0, 1]), varied([2.5, 3.5, 4.5]), varied([1, 1]), varied([])
    (1, 2, 0, 0)
    """
    known = np.asarray(labels)
    return int(known.size - np.unique(known, return_counts=True)[1].max()) if known.size else 0
