"""One measure of predictions, and how it is told; with an interval from whole days drawn again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_assets.stats.block_bootstrap import Interval, expanded_tail

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """A measure of labelled examples.

    Attributes
    ----------
    name
        The word for it in tables and declarations, such as `log_loss`.
    of
        Takes labels and scores, an example a place, and gives one number; NaN where it is undefined for these rows.
        Equal arguments must give equal results.
    is_better_high
        Whether more of it is better.
    title
        How people call it; empty is the name.
    unit
        Of the number; empty where it has none.
    """

    name: str
    of: Callable[[ArrayLike, ArrayLike], float]
    is_better_high: bool
    title: str = ""
    unit: str = ""

    @property
    def adjective(self) -> str:
        """What people call it before a noun: `log-loss gain`."""
        return str(self).replace(" ", "-")

    def __str__(self) -> str:
        """Give what people call it."""
        return self.title or self.name


@dataclass(frozen=True)
class Draw:
    """How days are drawn again for an interval: by which generator, how often, and the coverage that is aimed at."""

    rng: np.random.Generator
    resamples: int
    level: float


def metric_interval(metric: Metric, labels: ArrayLike, scores: ArrayLike, days: ArrayLike, draw: Draw) -> Interval:
    """Measure scores of labelled examples, with the percentile interval of whole days drawn again.

    Bounds are NaN with fewer than two days, or where no resample defines the measure. Draws that leave it undefined
    are left out.

    >>> found = metric_interval(Metric("bias", lambda y, p: float(np.mean(np.subtract(p, y))), is_better_high=False),
    ...                         [0, 1, 1, 0], [0.5, 0.5, 1, 0.5], [1, 1, 2, 2],
    ...                         Draw(np.random.default_rng(0), resamples=100, level=0.9))
    >>> found.estimate, found.lower <= found.estimate <= found.upper, found.n_days
    (0.125, True, 2)
    """
    y, p = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    _, day = np.unique(np.asarray(days), return_inverse=True)
    n_days = int(day.max()) + 1 if day.size else 0
    estimate = float(metric.of(y, p))
    lower = upper = float("nan")
    if n_days >= 2:
        rows = [np.flatnonzero(day == number) for number in range(n_days)]
        drawn = np.array([_of_draw(metric, y, p, rows, draw.rng) for _ in range(draw.resamples)])
        drawn = drawn[np.isfinite(drawn)]
        if drawn.size:
            tail = expanded_tail(draw.level, n_days)
            lower, upper = map(float, np.quantile(drawn, [tail, 1 - tail]))
    return Interval(estimate, lower, upper, draw.level, n_days, int(y.size))


def _of_draw(
    metric: Metric, y: FloatArray, p: FloatArray, rows: list[NDArray[np.intp]], rng: np.random.Generator
) -> float:
    drawn: list[int] = rng.integers(0, len(rows), len(rows)).tolist()
    taken = np.concatenate([rows[number] for number in drawn])
    return float(metric.of(y[taken], p[taken]))
