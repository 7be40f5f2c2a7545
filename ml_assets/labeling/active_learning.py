"""What it is worth to choose whom to ask about: history replayed with its labels hidden, bought a share at a time.

Labels of each stretch of history can be bought once the stretch has come. Each strategy buys the same number of them at
the same moments; a model trained on what was bought is measured on newer examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ml_assets.labeling.k_center import choose_centers
from ml_assets.labeling.votes import FloatArray, IntArray
from ml_assets.spec.review import DISAGREEMENT, DIVERSITY, RANDOM, UNCERTAINTY

SIMULATED = (RANDOM, UNCERTAINTY, DISAGREEMENT, DIVERSITY)
LEVEL, ENOUGH = 0.9, 0.99
COMMITTEE = 3  # models of resampled labels
Predict = Callable[[IntArray, IntArray], FloatArray | None]  # rows with labels, rows to score; None: nothing to learn
Quality = Callable[[FloatArray, FloatArray], float]


@dataclass(frozen=True, eq=False)
class LabelHistory:
    """Examples in order of time whose labels are hidden until they are bought.

    Attributes
    ----------
    points
        Shape (examples, features), on one scale: what diversity measures distances between.
    rounds
        Number of examples that have come by each round, rising.
    """

    points: FloatArray
    rounds: tuple[int, ...]


@dataclass(frozen=True)
class LearningPoint:
    """Quality of models on a share of the labels, chosen by a strategy: the mean over seeds, with the interval of it.

    Attributes
    ----------
    gain, gain_low, gain_high
        Quality above random at the same number of labels; 0 for random itself.
    """

    strategy: str
    share: float
    labels: int
    quality: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


@dataclass(frozen=True)
class LearningCurves:
    """The curves of all strategies.

    Attributes
    ----------
    full, n_full
        Quality of the model on all labels, and how many these are.
    n_test, seeds
        Newer examples that measure, and repetitions with other draws.
    level
        Of all intervals, over seeds and resampled examples together.
    """

    points: tuple[LearningPoint, ...]
    full: float
    n_full: int
    n_test: int
    seeds: int
    level: float = LEVEL

    def of(self, strategy: str) -> list[LearningPoint]:
        """Give the curve of a strategy, by number of labels."""
        return sorted((each for each in self.points if each.strategy == strategy), key=lambda each: each.labels)

    def enough_at(self, strategy: str, part: float = ENOUGH) -> float | None:
        """Give the least measured share of labels from which on a strategy keeps a part of the full quality."""
        reached = None
        for point in reversed(self.of(strategy)):
            if point.quality < part * self.full:
                break
            reached = point.share
        return reached


def buy_labels(
    history: LabelHistory, strategy: str, share: float, predict: Predict, rng: np.random.Generator
) -> IntArray:
    """Buy a share of the labels round by round, and give the positions of the examples bought, in order.

    In a round a strategy chooses among all that has come and is not labeled. The first labels, and those of a round in
    which what is labeled is of one class, are drawn by chance.

    >>> history = LabelHistory(np.zeros((10, 1)), (5, 10))
    >>> bought = buy_labels(history, "random", 0.4, lambda *_: None, np.random.default_rng(0))
    >>> len(bought), bool((bought[:2] < 5).all())
    (4, True)
    """
    bought = np.empty(0, dtype=np.int64)
    for seen in history.rounds:
        count = round(share * seen) - len(bought)
        left = np.setdiff1d(np.arange(seen), bought, assume_unique=True)
        if count <= 0 or not left.size:
            continue
        chosen = _choose(history, strategy, (bought, left), min(count, left.size), predict, rng)
        bought = np.concatenate([bought, chosen])
    return bought


def _choose(
    history: LabelHistory,
    strategy: str,
    pools: tuple[IntArray, IntArray],
    count: int,
    predict: Predict,
    rng: np.random.Generator,
) -> IntArray:
    bought, left = pools
    left = rng.permutation(left)  # among equals, and where a strategy has nothing to say, chance decides
    if strategy == DIVERSITY and bought.size:
        positions, _ = choose_centers(history.points[left], count, history.points[bought])
        return left[positions]
    measure = _measure(strategy, bought, left, predict, rng)
    return left[:count] if measure is None else left[np.argsort(-measure, kind="stable")[:count]]


def _measure(
    strategy: str, bought: IntArray, left: IntArray, predict: Predict, rng: np.random.Generator
) -> FloatArray | None:
    """Give for each example left what a strategy asks about first; None where it has nothing to say."""
    if not bought.size or strategy in (RANDOM, DIVERSITY):
        return None
    if strategy == UNCERTAINTY:
        scores = predict(bought, left)
        return None if scores is None else -np.abs(2 * scores - 1)
    drawn = [predict(rng.choice(bought, bought.size), left) for _ in range(COMMITTEE)]
    told = [each for each in drawn if each is not None]
    return np.ptp(np.array(told), axis=0) if len(told) > 1 else None


@dataclass(frozen=True, eq=False)
class CurveScores:
    """Scores of newer examples by models on bought labels.

    Attributes
    ----------
    truth
        Shape (examples,): their labels.
    by_model
        By strategy and share, shape (seeds, examples).
    labels
        By share, how many labels it is.
    full
        Shape (examples,): scores of the model on all labels.
    """

    truth: FloatArray
    by_model: Mapping[tuple[str, float], FloatArray]
    labels: Mapping[float, int]
    full: FloatArray


def draw_curves(
    scores: CurveScores, quality: Quality, rng: np.random.Generator, n_full: int, resamples: int = 100
) -> LearningCurves:
    """Measure curves from the scores of models.

    A resample draws examples and seeds again, the same for all strategies, so that the interval of a gain is of pairs.
    `n_full` is the number of all labels.
    """
    truth, by_model = scores.truth, scores.by_model
    seeds, n = len(next(iter(by_model.values()))), len(truth)
    own = {key: float(np.mean([quality(truth, row) for row in each])) for key, each in by_model.items()}
    drawn: dict[tuple[str, float], list[float]] = {key: [] for key in by_model}
    for _ in range(resamples):
        rows, of_seeds = rng.integers(0, n, n), rng.integers(0, seeds, seeds)
        if truth[rows].min() == truth[rows].max():
            continue
        for key, each in by_model.items():
            drawn[key].append(float(np.mean([quality(truth[rows], each[seed][rows]) for seed in of_seeds])))
    values = {name: np.array(each) for name, each in drawn.items()}
    points = [_point(key, scores.labels[key[1]], own, values) for key in by_model]
    return LearningCurves(tuple(points), quality(truth, scores.full), n_full, n, seeds)


def _point(
    key: tuple[str, float],
    labels: int,
    own: Mapping[tuple[str, float], float],
    drawn: Mapping[tuple[str, float], FloatArray],
) -> LearningPoint:
    strategy, share = key
    base = (RANDOM, share)
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = (float(each) for each in np.quantile(drawn[key], tails)) if drawn[key].size else (math.nan, math.nan)
    gains = drawn[key] - drawn[base]
    gain_low, gain_high = (float(each) for each in np.quantile(gains, tails)) if gains.size else (math.nan, math.nan)
    return LearningPoint(strategy, share, labels, own[key], low, high, own[key] - own[base], gain_low, gain_high)


def cut_rounds(n: int, count: int) -> tuple[int, ...]:
    """Cut a history into stretches of about as many examples each; give how many have come by the end of each.

    >>> cut_rounds(10, 3)
    (3, 7, 10)
    """
    return tuple(dict.fromkeys(round(n * (place + 1) / count) for place in range(count)))


def label_counts(history: LabelHistory, shares: Sequence[float]) -> dict[float, int]:
    """Give how many labels each share is."""
    return {share: round(share * history.rounds[-1]) for share in shares}
