"""Measures of a classifier with intervals: whole days drawn again, every measure taken anew of what was drawn.

Examples of a day share their weather, so days are the blocks (see `block_bootstrap`). A resample weighs each row by how
often its day was drawn, which lets the rows be sorted once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_assets.stats.block_bootstrap import Interval, expanded_tail
from ml_assets.stats.classification import equal_count_bin, pointwise_log_loss

FloatArray = NDArray[np.float64]
MEASURES = ("auc", "average_precision", "log_loss", "brier", "ece")
_BINS = 10


def measured_intervals(
    labels: ArrayLike, scores: ArrayLike, days: ArrayLike, *, rng: np.random.Generator, resamples: int, level: float
) -> dict[str, Interval]:
    """Measure scores of labelled examples, each measure with the percentile interval of resampled days.

    Parameters
    ----------
    labels, scores, days
        0 or 1, probabilities, and the day of each example: anything numpy can sort.

    Returns
    -------
    dict
        `auc`, `average_precision` (ties counted as one step), `log_loss` in nats, `brier` and `ece` (ten bins of
        equal count, cut on all rows). NaN where undefined: no rows, one class; bounds of fewer than two days are NaN.

    >>> rng = np.random.default_rng(0)
    >>> found = measured_intervals([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8], [1, 1, 2, 2], rng=rng, resamples=50, level=0.9)
    >>> found["auc"].estimate, round(found["log_loss"].estimate, 3), found["auc"].n_days
    (1.0, 0.164, 2)
    """
    y, p = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    _, day = np.unique(np.asarray(days), return_inverse=True)
    n_days = int(day.max()) + 1 if day.size else 0
    measure = _measurer(y, p, day)
    estimates = measure(np.ones(n_days))
    drawn = np.full((len(MEASURES), 2), np.nan)
    if n_days >= 2:
        values = np.empty((resamples, len(MEASURES)))
        for number in range(resamples):
            values[number] = measure(np.bincount(rng.integers(0, n_days, n_days), minlength=n_days).astype(float))
        values = values[np.isfinite(values).all(axis=1)]
        if len(values):
            tail = expanded_tail(level, n_days)
            drawn = np.quantile(values, [tail, 1 - tail], axis=0).T
    return {
        name: Interval(float(estimates[k]), float(drawn[k, 0]), float(drawn[k, 1]), level, n_days, int(y.size))
        for k, name in enumerate(MEASURES)
    }


def _measurer(y: FloatArray, p: FloatArray, day: NDArray[np.int64]) -> Callable[[FloatArray], FloatArray]:
    """Prepare all that does not depend on the draw; what is given takes how often each day was drawn."""
    order = np.argsort(-p, kind="stable")
    y, p, day = y[order], p[order], day[order]
    starts = np.flatnonzero(np.r_[True, np.diff(p) != 0]) if p.size else np.empty(0, dtype=np.int64)
    n_days = int(day.max()) + 1 if day.size else 0
    losses = np.bincount(day, pointwise_log_loss(y, p), n_days) if p.size else np.zeros(0)
    squares = np.bincount(day, (y - p) ** 2, n_days)
    rows = np.bincount(day, minlength=n_days).astype(float)
    cell = day * _BINS + equal_count_bin(p, _BINS)
    gaps = np.bincount(cell, y - p, n_days * _BINS).reshape(n_days, _BINS)

    def measure(counts: FloatArray) -> FloatArray:
        n = float(counts @ rows) if counts.size else 0.0
        if not n:
            return np.full(len(MEASURES), np.nan)
        weight = counts[day]
        positives = np.add.reduceat(weight * y, starts)
        negatives = np.add.reduceat(weight * (1 - y), starts)
        n_positive, n_negative = positives.sum(), negatives.sum()
        above_positive, above = np.cumsum(positives), np.cumsum(positives + negatives)
        if n_positive and n_negative:
            below = n_negative - np.cumsum(negatives)
            auc = float((positives * (below + negatives / 2)).sum() / (n_positive * n_negative))
            precision = np.divide(above_positive, above, out=np.zeros_like(above), where=above > 0)
            average_precision = float((positives * precision).sum() / n_positive)
        else:
            auc = average_precision = float("nan")
        ece = float(np.abs(counts @ gaps).sum() / n)
        return np.array([auc, average_precision, counts @ losses / n, counts @ squares / n, ece])

    return measure
