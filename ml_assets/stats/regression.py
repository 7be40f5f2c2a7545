"""The tasks whose labels are numbers: amounts, compared by squared error, and counts, compared by Poisson deviance.

Both predict a mean. Every function takes labels and scores as arrays of one length; what is undefined for the given
rows is NaN. What cannot be right (a score that is not finite, a negative count) raises ValueError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.metric import Draw, Metric, metric_interval
from ml_assets.stats.task import LabelRule, Scale, Task

FloatArray = NDArray[np.float64]
SMALLEST = 1e-9  # a mean count below counts as this: what it never expected would cost infinity
_BINS = 10


def squared_errors(labels: ArrayLike, scores: ArrayLike) -> FloatArray:
    """Squared error of each example, in the squared unit of the label.

    >>> squared_errors([1.0, 3.0], [2.0, 3.0]).tolist()
    [1.0, 0.0]
    """
    y, p = _checked(labels, scores)
    return (y - p) ** 2


def mean_squared_error(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean squared error; NaN without examples."""
    return _mean(squared_errors(labels, scores))


def mean_absolute_error(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean absolute error, in the unit of the label; NaN without examples."""
    y, p = _checked(labels, scores)
    return _mean(np.abs(y - p))


def r_squared(labels: ArrayLike, scores: ArrayLike) -> float:
    """Share of the labels' variance that the scores explain; NaN where the labels do not vary.

    >>> r_squared([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """
    y, p = _checked(labels, scores)
    whole = float(((y - y.mean()) ** 2).sum()) if y.size else 0.0
    return 1 - float(((y - p) ** 2).sum()) / whole if whole > 0 else float("nan")


def rank_correlation(labels: ArrayLike, scores: ArrayLike) -> float:
    """How alike labels and scores are ordered (Spearman's rho, ties at mid-ranks); NaN where either does not vary."""
    y, p = _checked(labels, scores)
    if y.size < 2 or y.min() == y.max() or p.min() == p.max():
        return float("nan")
    return float(np.corrcoef(_mid_ranks(y), _mid_ranks(p))[0, 1])


def _mid_ranks(values: FloatArray) -> FloatArray:
    _, place, ties = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(ties) - (ties - 1) / 2)[place]


def mean_deviations(labels: ArrayLike, scores: ArrayLike) -> FloatArray:
    """Poisson deviance of each example: 2 (y log(y / p) - y + p), with 0 log 0 = 0.

    >>> mean_deviations([0.0, 2.0], [1.0, 2.0]).tolist()
    [2.0, 0.0]
    """
    y, p = _checked(labels, scores, least=0.0)
    p = np.maximum(p, SMALLEST)
    return 2 * (np.where(y > 0, y * np.log(np.maximum(y, SMALLEST) / p), 0.0) - y + p)


def poisson_deviance(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean Poisson deviance; NaN without examples."""
    return _mean(mean_deviations(labels, scores))


def explained_deviance(labels: ArrayLike, scores: ArrayLike) -> float:
    """Share of the deviance of a constant that the scores explain; NaN where the labels do not vary."""
    y, p = _checked(labels, scores, least=0.0)
    whole = float(mean_deviations(y, np.full(y.size, y.mean())).sum()) if y.size else 0.0
    return 1 - float(mean_deviations(y, p).sum()) / whole if whole > 0 else float("nan")


def losses_alike(scores: ArrayLike, losses: ArrayLike) -> FloatArray:
    """Give the mean loss of the examples with scores like each: in ten groups of equal count.

    >>> losses_alike([1.0, 1.0, 9.0, 9.0], [1.0, 3.0, 10.0, 20.0]).tolist()
    [2.0, 2.0, 15.0, 15.0]
    """
    from ml_assets.stats.classification import equal_count_bin

    p, lost = np.asarray(scores, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if not p.size:
        return np.empty(0)
    group = equal_count_bin(p, _BINS)
    rows, total = np.bincount(group, minlength=_BINS), np.bincount(group, lost, _BINS)
    return (total / np.maximum(rows, 1))[group]


def _summary(metrics: Sequence[Metric], labels: ArrayLike, scores: ArrayLike) -> dict[str, float]:
    y, p = _checked(labels, scores)
    measured = {each.name: each.of(y, p) for each in metrics}
    return {"n": int(y.size), "mean_label": _mean(y), "mean_score": _mean(p), **measured}


def _intervals(  # noqa: PLR0913 - what a task gives
    metrics: Sequence[Metric],
    labels: ArrayLike,
    scores: ArrayLike,
    days: ArrayLike,
    *,
    rng: np.random.Generator,
    resamples: int,
    level: float,
) -> dict[str, Interval]:
    seed = int(rng.integers(2**32))  # the same days drawn for every measure
    return {
        each.name: metric_interval(each, labels, scores, days, Draw(np.random.default_rng(seed), resamples, level))
        for each in metrics
    }


def _cost_of_bias(label: float, score: float, usual: float) -> float:
    """Give the squared distance of mean label and mean score as a share of the usual squared error."""
    return (label - score) ** 2 / usual if usual > 0 else float("nan")


def _cost_of_rate(label: float, score: float, usual: float) -> float:
    """Give the deviance between mean label and mean score as a share of the usual one."""
    return float(mean_deviations([max(label, 0.0)], [max(score, 0.0)])[0]) / usual if usual > 0 else float("nan")


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _checked(labels: ArrayLike, scores: ArrayLike, least: float = -np.inf) -> tuple[FloatArray, FloatArray]:
    y, p = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if y.ndim != 1 or y.shape != p.shape:
        raise ValueError(f"labels and scores must be of one length, got shapes {y.shape} and {p.shape}")
    for name, values in (("labels", y), ("scores", p)):
        wrong = ~np.isfinite(values) | (values < least)
        if wrong.any():
            must = "finite" if least == -np.inf else "finite and not negative"
            raise ValueError(f"{name} must be {must}: {int(wrong.sum())} are not, such as {values[wrong][0]}")
    return y, p


def _identity(values: ArrayLike) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def _log(values: ArrayLike) -> FloatArray:
    return np.log(np.maximum(np.asarray(values, dtype=np.float64), SMALLEST))


def _exp(values: ArrayLike) -> FloatArray:
    return np.exp(np.asarray(values, dtype=np.float64))


def _not_finite(values: FloatArray) -> NDArray[np.bool_]:
    return ~np.isfinite(values)


MSE = Metric("mse", mean_squared_error, is_better_high=False, title="squared error", unit="squared unit of the label")
MAE = Metric("mae", mean_absolute_error, is_better_high=False, title="absolute error", unit="unit of the label")
R2 = Metric("r2", r_squared, is_better_high=True, title="R squared")
RANK = Metric("rank_correlation", rank_correlation, is_better_high=True, title="rank correlation")
DEVIANCE = Metric("deviance", poisson_deviance, is_better_high=False, title="deviance")
EXPLAINED = Metric("explained_deviance", explained_deviance, is_better_high=True, title="share of deviance explained")


def _task_of_numbers(  # noqa: PLR0913, PLR0917 - what the two differ in
    name: str,
    loss: Metric,
    metrics: tuple[Metric, ...],
    losses: Callable[[ArrayLike, ArrayLike], FloatArray],
    labels: LabelRule,
    scale: Scale,
    over_constant: str,
    cost_of_shift: Callable[[float, float, float], float],
) -> Task:
    measured = (loss, *metrics)
    return Task(
        name=name,
        loss_metric=loss,
        losses=losses,
        metrics=metrics,
        headline=metrics[0],
        summary=partial(_summary, measured),
        intervals=partial(_intervals, measured),
        constant=lambda known: _mean(np.asarray(known, dtype=np.float64)),
        expected_losses=losses_alike,
        label_title="mean label",
        labels=labels,
        scale=scale,
        over_constant=over_constant,
        mean_label="mean_label",
        at_capacity="label_at_capacity",
        cost_of_shift=cost_of_shift,
    )


REGRESSION = _task_of_numbers(
    "regression", MSE, (MAE, R2, RANK), squared_errors,
    LabelRule("DOUBLE", "label IS NULL OR NOT isfinite(label)", "a finite number", _not_finite),
    Scale(_identity, _identity, lambda eta: eta**2 / 2, lambda y: float(np.var(y)) or 1.0, "", _not_finite, "number"),
    "mse_over_variance", _cost_of_bias,
)  # fmt: skip
COUNT = _task_of_numbers(
    "count", DEVIANCE, (MAE, EXPLAINED, RANK), mean_deviations,
    LabelRule("DOUBLE", "label IS NULL OR label < 0 OR NOT isfinite(label) OR label <> floor(label)",
              "a whole number from 0 on", lambda y: ~np.isfinite(y) | (y < 0) | (y != np.floor(y))),
    Scale(_log, _exp, np.exp, lambda y: float(np.mean(y)) or 1.0, "log", lambda p: ~np.isfinite(p) | (p < 0), "count"),
    "deviance_over_constant", _cost_of_rate,
)  # fmt: skip
