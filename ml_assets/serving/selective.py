"""Selective prediction: the machine decides where it is sure enough, and how sure is a measured risk.

R. El-Yaniv and Y. Wiener, On the foundations of noise-free selective classification, JMLR 11 (2010); the threshold is
found by testing from the surest examples on, in a fixed order, which keeps the level (Angelopoulos et al., Learn then
test, 2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
POINTS = 20
NOBODY = math.inf  # a threshold that no example reaches


@dataclass(frozen=True)
class RiskPoint:
    """What deciding all examples from a confidence on would have meant.

    Attributes
    ----------
    confidence
        Of the decided examples at least: the greater of score and 1 - score.
    coverage
        Share of the examples that are decided.
    n, errors
        Decided examples, and wrong decisions among them.
    risk, upper
        Share of wrong decisions, and the upper bound of it that holds with the level asked for.
    """

    confidence: float
    coverage: float
    n: int
    errors: int
    risk: float
    upper: float


@dataclass(frozen=True)
class RiskCoverage:
    """The curve, from the surest examples to all, and the threshold that follows from it.

    Attributes
    ----------
    threshold
        Confidence from which on the machine decides; infinite where no threshold is known to keep the risk.
    reason
        Why it is this one.
    """

    points: tuple[RiskPoint, ...]
    threshold: float
    reason: str


def confidence_of(scores: FloatArray) -> FloatArray:
    """Give how sure a score is: its distance from a coin's, from 0.5 to 1; NaN where there is no score.

    >>> confidence_of(np.array([0.1, 0.5, 0.97])).tolist()
    [0.9, 0.5, 0.97]
    """
    return np.maximum(scores, 1 - scores)


def least_examples(max_risk: float, level: float) -> int:
    """Give how many examples without an error it takes to say that the risk is kept.

    >>> least_examples(0.05, 0.9)
    45
    """
    return math.ceil(math.log(1 - level) / math.log(1 - max_risk))


def upper_bound(errors: int, n: int, level: float) -> float:
    """Give the one-sided upper bound of Clopper and Pearson (1934) of a share.

    >>> round(upper_bound(0, 45, 0.9), 4), round(upper_bound(3, 100, 0.9), 4)
    (0.0499, 0.0656)
    """
    from scipy.stats import beta

    return 1.0 if errors >= n else float(beta.ppf(level, errors + 1, n - errors))


def find_threshold(scores: FloatArray, labels: FloatArray, max_risk: float, level: float) -> RiskCoverage:
    """Measure the curve of risk and coverage, and take the largest coverage whose risk is surely kept.

    Thresholds are tried from the surest examples on, beginning with as many as can show the risk, until one fails: so
    that the chance of a wrong threshold stays below 1 - `level`, however many are tried.

    Parameters
    ----------
    scores, labels
        Shape (examples,): scores that were given before the outcome, and outcomes, 0 or 1.

    >>> rng = np.random.default_rng(0)
    >>> scores = rng.uniform(0, 1, 4000)
    >>> found = find_threshold(scores, (rng.random(4000) < scores).astype(float), 0.1, 0.9)
    >>> 0.75 < found.threshold < 0.9, found.points[-1].coverage
    (True, 1.0)
    """
    sure = confidence_of(scores)
    order = np.argsort(-sure, kind="stable")
    wrong = ((scores >= 0.5) != (labels > 0.5))[order]
    least = least_examples(max_risk, level)
    if len(scores) < least:
        said = f"not enough data: {len(scores)} matured examples, {least} without an error would be needed"
        return RiskCoverage((), NOBODY, said)
    points = _points(sure[order], wrong, _sizes(sure[order], least), level)
    kept: list[RiskPoint] = []
    for point in points:
        if point.upper > max_risk:
            break
        kept.append(point)
    if not kept:
        first = points[0]
        said = f"of the {first.n} surest {first.errors} were wrong: at most {first.upper:.3f}, {max_risk:g} is allowed"
        return RiskCoverage(tuple(points), NOBODY, said)
    last = kept[-1]
    said = f"{last.errors} of {last.n} decisions would have been wrong, at most {last.upper:.3f} with {level:.0%}"
    return RiskCoverage(tuple(points), last.confidence, said)


def _sizes(sure: FloatArray, least: int) -> list[int]:
    """Give how many examples each threshold decides: from the least that can show the risk to all, in even steps.

    Equal confidences are decided together.
    """
    wanted = np.unique(np.linspace(least, len(sure), POINTS).round().astype(int))
    return sorted({int(np.searchsorted(-sure, -sure[size - 1], side="right")) for size in wanted})


def _points(sure: FloatArray, wrong: NDArray[np.bool_], sizes: Sequence[int], level: float) -> list[RiskPoint]:
    errors = np.cumsum(wrong)
    return [
        RiskPoint(
            float(sure[n - 1]), n / len(sure), n, int(errors[n - 1]), float(errors[n - 1] / n),
            upper_bound(int(errors[n - 1]), n, level),
        )
        for n in sizes
    ]  # fmt: skip
