"""Whether texts are others than before: their encodings compared as a whole, beside what is usual between older ones.

A classifier that is asked from which of two windows an example is guesses where they are alike. Its AUC, measured on
examples it was not fitted on, is how far they can be told apart (a domain classifier; Lopez-Paz and Oquab, 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_assets.stats.classification import auc

FloatArray = NDArray[np.float64]
LEAST, MOST = 100, 1000  # examples of a window
ALIKE, CHANGED, TOO_FEW = "alike", "changed", "not enough data"
_ONE_SIDED_95 = 1.645


@dataclass(frozen=True)
class TextShift:
    """How a window of encodings differs from the examples before it.

    Attributes
    ----------
    n, n_reference
        Examples with a text in the window and before it; of many, so many drawn.
    mean_distance
        Between the two means: the root of the mean square over dimensions, in standard deviations. NaN: too few.
    usual_distance
        The same between the older and the newer half of what came before.
    auc
        Of a classifier between window and before; 0.5 where it guesses.
    auc_low
        Its lower bound, one-sided at 95 %.
    usual_auc
        The AUC between the two halves of what came before.
    state
        `changed` where the lower bound lies above both 0.5 and the usual AUC; alike; or not enough data.
    """

    n: int
    n_reference: int
    mean_distance: float
    usual_distance: float
    auc: float
    auc_low: float
    usual_auc: float
    state: str


def compare_encodings(before: FloatArray, window: FloatArray) -> TextShift:
    """Compare the encodings of a window with those before it.

    Parameters
    ----------
    before, window
        Shape (examples, dimensions), `before` in order of time, without unknown values.

    >>> rng = np.random.default_rng(0)
    >>> before, window = rng.poisson(1.0, (400, 8)).astype(float), rng.poisson(1.5, (400, 8)).astype(float)
    >>> found = compare_encodings(before, window)
    >>> found.state, found.auc > 0.7, found.mean_distance > 3 * found.usual_distance
    ('changed', True, True)
    """
    n, m, nan = len(window), len(before), float("nan")
    if min(n, m) < LEAST:
        return TextShift(n, m, nan, nan, nan, nan, nan, TOO_FEW)
    half = m // 2
    found, usual = _told_apart(before, window), _told_apart(before[:half], before[half:])
    # what one half teaches about the other and the reverse agree: together they are worth one half
    low = found - _ONE_SIDED_95 * float(np.sqrt((n + m + 2) / (6 * n * m)))
    state = CHANGED if low > max(0.5, usual) else ALIKE
    return TextShift(n, m, _distance(before, window), _distance(before[:half], before[half:]), found, low, usual, state)


def _distance(one: FloatArray, other: FloatArray) -> float:
    deviation = np.sqrt((one.var(axis=0) + other.var(axis=0)) / 2)
    moved = np.abs(other.mean(axis=0) - one.mean(axis=0))
    scaled = np.divide(moved, deviation, out=np.zeros_like(moved), where=deviation > 0)
    return float(np.sqrt(np.mean(scaled**2)))


def _told_apart(one: FloatArray, other: FloatArray) -> float:
    """Give the AUC of a classifier between two sets, each half scored by a model of the other half."""
    from sklearn.linear_model import LogisticRegression

    points = np.log1p(np.concatenate([one, other]))
    labels = np.concatenate([np.zeros(len(one)), np.ones(len(other))])
    is_even = np.arange(len(points)) % 2 == 0
    scores = np.empty(len(points))
    for fitted, scored in ((is_even, ~is_even), (~is_even, is_even)):
        model = LogisticRegression(C=0.1, class_weight="balanced", max_iter=200).fit(points[fitted], labels[fitted])
        scores[scored] = model.predict_proba(points[scored])[:, 1]
    # two models: each half is ranked by its own
    return float(np.mean([auc(labels[part], scores[part]) for part in (is_even, ~is_even)]))
