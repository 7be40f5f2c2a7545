"""What decisions by a score cost: the curve over thresholds, the one it implies, and lists of a fixed length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class CostCurve:
    """Mean cost an example of acting on every score at or above each threshold.

    Attributes
    ----------
    thresholds, costs
        From 0 (act on all) to 1.
    best_threshold, best_cost
        The cheapest threshold on these rows.
    implied_threshold, implied_cost
        The threshold at which acting and waiting cost the same, false_alarm / (false_alarm + missed), were the
        scores true probabilities (Elkan, 2001); and what it costs on these rows.
    """

    thresholds: FloatArray
    costs: FloatArray
    best_threshold: float
    best_cost: float
    implied_threshold: float
    implied_cost: float


def cost_curve(
    labels: ArrayLike, scores: ArrayLike, *, false_alarm: float, missed: float, steps: int = 101
) -> CostCurve:
    """Cost of acting by thresholds, where acting in vain costs `false_alarm` and not acting on a positive `missed`.

    Raises ValueError without rows.

    >>> curve = cost_curve([0, 0, 1], [0.1, 0.2, 0.9], false_alarm=1, missed=3)
    >>> curve.implied_threshold, curve.implied_cost, curve.best_cost
    (0.25, 0.0, 0.0)
    """
    y, p = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if not y.size:
        raise ValueError("there are no rows to cost")
    thresholds = np.linspace(0, 1, steps)

    def cost(threshold: float) -> float:
        acts = p >= threshold
        return float((false_alarm * (acts & (y == 0)) + missed * (~acts & (y == 1))).mean())

    costs = np.array([cost(threshold) for threshold in thresholds])
    best = int(np.argmin(costs))
    implied = false_alarm / (false_alarm + missed) if false_alarm + missed else 0.5
    return CostCurve(thresholds, costs, float(thresholds[best]), float(costs[best]), implied, cost(implied))


def costs_of_acting(labels: ArrayLike, scores: ArrayLike, *, false_alarm: float, missed: float) -> FloatArray:
    """Cost of each example, acting from the score on at which (1 - p) false_alarm <= p missed (Elkan, 2001).

    Nothing costs anything where both are zero.

    >>> costs_of_acting([0, 1, 1], [0.3, 0.2, 0.9], false_alarm=1, missed=3).tolist()
    [1.0, 3.0, 0.0]
    """
    y, p = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    total = false_alarm + missed
    if total == 0:
        return np.zeros(y.size)
    is_acted_on = p >= false_alarm / total
    return np.where(is_acted_on & (y == 0), float(false_alarm), np.where(~is_acted_on & (y == 1), float(missed), 0.0))


def lists_of_days(labels: ArrayLike, scores: ArrayLike, days: ArrayLike, capacity: int) -> tuple[float, float]:
    """Precision and recall of each day's first `capacity` by score, means over days with labels; ties by order given.

    Recall counts a day's positives that were on its list, of all its positives; days without a positive have none.

    >>> lists_of_days([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1], ["mon"] * 4, capacity=2)
    (0.5, 0.5)
    """
    y, p, day = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64), np.asarray(days)
    precisions: list[float] = []
    recalls: list[float] = []
    for each in np.unique(day):
        of_day = np.flatnonzero(day == each)
        listed = y[of_day[np.argsort(-p[of_day], kind="stable")[:capacity]]]
        precisions.append(float(listed.mean()))
        positives = float(y[of_day].sum())
        if positives:
            recalls.append(float(listed.sum()) / positives)
    return (_mean(precisions), _mean(recalls))


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
