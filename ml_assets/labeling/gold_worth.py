"""What a set of labels is worth: how many gold labels would give a model of the same quality.

The curve is the quality of models that are trained on more and more gold labels. The set is drawn on it: where the
curve reaches the quality of a model trained on the set, it is worth as many gold labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_assets.labeling.votes import FloatArray

LEVEL = 0.9  # of all intervals
Quality = Callable[[NDArray[np.float64], FloatArray], float]


@dataclass(frozen=True)
class CurvePoint:
    """Quality of models trained on so many gold labels: its mean over draws of them, with the interval of the mean."""

    gold: int
    quality: float
    low: float
    high: float


@dataclass(frozen=True)
class GoldWorth:
    """A curve, and the set on it.

    Attributes
    ----------
    quality, quality_low, quality_high
        Of the model trained on the set.
    worth, worth_low, worth_high
        Gold labels that give the same quality. Infinite is more than the curve was measured for, 0 fewer.
    level
        Of all intervals.
    n_test
        Held-out gold labels that measured all this.
    """

    curve: tuple[CurvePoint, ...]
    quality: float
    quality_low: float
    quality_high: float
    worth: float
    worth_low: float
    worth_high: float
    level: float
    n_test: int


def find_gold_worth(
    labels: NDArray[np.float64],
    by_gold: Mapping[int, FloatArray],
    of_set: FloatArray,
    quality: Quality,
    *,
    rng: np.random.Generator,
    resamples: int = 200,
) -> GoldWorth:
    """Place a set of labels on the curve of gold labels.

    A resample draws the held-out examples again, and of each point of the curve the draws of gold labels, so that the
    interval holds what both add.

    Parameters
    ----------
    labels
        Shape (examples,): gold labels of the held-out examples.
    by_gold
        For each number of gold labels the scores of models trained on as many, shape (draws, examples).
    of_set
        Shape (examples,): scores of the model trained on the set.
    quality
        Takes labels and scores; more is better. NaN where it is not defined.

    >>> from ml_assets.stats.classification import auc
    >>> truth = np.array([0.0, 1.0] * 50)
    >>> noise = np.random.default_rng(0).normal(size=100)
    >>> def chance(x):
    ...     return 1 / (1 + np.exp(-x))
    >>> by_gold = {n: chance(truth + 20 / n * noise)[None, :] for n in (10, 20, 40)}
    >>> found = find_gold_worth(truth, by_gold, chance(truth + noise), auc, rng=np.random.default_rng(1), resamples=50)
    >>> [round(each) for each in (found.worth, found.worth_low, found.worth_high)]
    [20, 20, 20]

    Raises
    ------
    ValueError
        On fewer than two points.
    """
    sizes = sorted(by_gold)
    if len(sizes) < 2:
        raise ValueError(f"found {len(sizes)} numbers of gold labels; allowed: two or more")

    def measure(rows: NDArray[np.int64], draws: Mapping[int, NDArray[np.int64]]) -> tuple[list[float], float]:
        true = labels[rows]
        means = [
            float(np.nanmean([quality(true, by_gold[size][draw][rows]) for draw in draws[size]])) for size in sizes
        ]
        return means, quality(true, of_set[rows])

    everything = np.arange(len(labels))
    curve, own = measure(everything, {size: np.arange(len(by_gold[size])) for size in sizes})
    worth = _gold_at(sizes, curve, own)
    drawn: list[tuple[list[float], float]] = []
    for _ in range(resamples):
        rows = rng.integers(0, len(labels), len(labels))
        if labels[rows].min() == labels[rows].max():
            continue
        drawn.append(measure(rows, {size: rng.integers(0, len(by_gold[size]), len(by_gold[size])) for size in sizes}))
    curves, owns = np.array([each for each, _ in drawn]), np.array([each for _, each in drawn])
    worths = np.sort([_gold_at(sizes, list(each), value) for each, value in drawn])
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    lows, highs = np.quantile(curves, tails, axis=0)
    low, high = (float(worths[min(len(worths) - 1, int(tail * len(worths)))]) for tail in tails)
    points = (CurvePoint(*each) for each in zip(sizes, curve, lows.tolist(), highs.tolist(), strict=True))
    own_low, own_high = (float(bound) for bound in np.quantile(owns, tails))
    return GoldWorth(tuple(points), own, own_low, own_high, worth, low, high, LEVEL, len(labels))


def _gold_at(sizes: list[int], curve: list[float], value: float) -> float:
    """Give the number of gold labels at which the curve, made to rise, reaches a value; in between on a log scale."""
    rising = np.maximum.accumulate(curve)
    if value < rising[0]:
        return 0.0
    if value > rising[-1]:
        return math.inf
    place = int(np.searchsorted(rising, value))
    if place == 0:
        return float(sizes[0])
    low, high = rising[place - 1], rising[place]
    share = 1.0 if high == low else (value - low) / (high - low)
    return float(np.exp(np.log(sizes[place - 1]) + share * (np.log(sizes[place]) - np.log(sizes[place - 1]))))
