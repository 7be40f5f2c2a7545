"""Paths through a triangular table of losses: one model a cutoff, scored on every later period.

`losses[i, j]` is the sum of losses of the model of cutoff i over the examples of period j, which lies after cutoff j;
it is NaN for j < i. A schedule is the cutoffs whose models served, each until the next; the first cutoff is in all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def schedule_loss(losses: FloatArray, chosen: Sequence[int]) -> float:
    """Sum the losses of a schedule.

    >>> schedule_loss(np.array([[1.0, 2.0], [np.nan, 0.5]]), [0, 1])
    1.5
    """
    periods: IntArray = np.arange(losses.shape[1], dtype=np.int64)
    served: IntArray = np.array(chosen, dtype=np.int64)
    place: IntArray = np.searchsorted(served, periods, side="right").astype(np.int64) - 1
    return float(losses[served[place], periods].sum())


def best_schedules(losses: FloatArray) -> list[tuple[float, tuple[int, ...]]]:
    """Find the schedule with the least loss for each number of models, from one to one a cutoff.

    By dynamic programming over (models, last cutoff), as in optimal partitioning (Auger and Lawrence, 1989): the least
    loss until a cutoff with k models is that with k - 1 until an earlier one, and the loss of its model in between.

    >>> losses = np.array([[1.0, 4.0, 9.0], [np.nan, 1.0, 3.0], [np.nan, np.nan, 2.0]])
    >>> best_schedules(losses)
    [(14.0, (0,)), (5.0, (0, 1)), (4.0, (0, 1, 2))]
    """
    n = losses.shape[0]
    known = np.where(np.isnan(losses), 0.0, losses)
    until = np.concatenate([np.zeros((n, 1)), np.cumsum(known, axis=1)], axis=1)  # [i, j]: model i before period j
    best, previous = np.full((n + 1, n + 1), np.inf), np.zeros((n + 1, n + 1), dtype=int)
    # best[k, j]: least loss of the periods before j, by k models, the last of which is replaced at j
    for j in range(1, n + 1):
        best[1, j] = until[0, j] - until[0, 0]
    for k in range(2, n + 1):
        for j in range(k, n + 1):
            starts = np.arange(k - 1, j)
            total = best[k - 1, starts] + until[starts, j] - until[starts, starts]
            place = int(total.argmin())
            best[k, j], previous[k, j] = total[place], starts[place]
    return [(float(best[k, n]), _traced(previous, k, n)) for k in range(1, n + 1)]


def _traced(previous: IntArray, k: int, until: int) -> tuple[int, ...]:
    chosen: list[int] = []
    for models in range(k, 1, -1):
        until = int(previous[models, until])
        chosen.append(until)
    return (0, *reversed(chosen))


def random_schedules(losses: FloatArray, n_models: int, draws: int, rng: np.random.Generator) -> FloatArray:
    """Give the losses of schedules whose cutoffs were drawn at random, with as many models each.

    >>> losses = np.array([[1.0, 4.0], [np.nan, 1.0]])
    >>> random_schedules(losses, 2, 3, np.random.default_rng(0)).tolist()
    [2.0, 2.0, 2.0]
    """
    later: IntArray = np.arange(1, losses.shape[0], dtype=np.int64)
    drawn = [np.sort(rng.choice(later, size=min(n_models - 1, later.size), replace=False)) for _ in range(draws)]
    return np.array([schedule_loss(losses, [0, *each.tolist()]) for each in drawn])


def excess_by_age(losses: FloatArray, n: FloatArray, age: int) -> tuple[FloatArray, FloatArray]:
    """Compare models of one age, in periods, with the newest model of the same periods.

    Returns
    -------
    older, newest
        Sums of losses by period, of the periods that have a model of that age; periods without examples left out.
    """
    periods: IntArray = np.arange(age, losses.shape[1], dtype=np.int64)
    periods = periods[n[periods] > 0]
    return losses[periods - age, periods], losses[periods, periods]
