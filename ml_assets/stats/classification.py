"""How well scores rank, and how far they can be believed as probabilities.

Every function takes labels (0 or 1) and scores (probabilities in [0, 1]) as arrays of one length. What is undefined
for the given rows (an AUC of one class, anything of no rows) is NaN, never a number that looks measured. What cannot
be right (a score that is not finite or outside [0, 1], a label that is neither 0 nor 1) raises ValueError.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

# A certain and wrong score would cost infinity and decide any mean alone; clipped at 1e-15 it costs 34.5 nats.
# The value is the customary one; 1 - 1e-15 is still told apart from 1 in float64 (spacing there 1.1e-16).
LOG_LOSS_CLIP = 1e-15


@dataclass(frozen=True)
class ReliabilityCurve:
    """Per bin of scores: what was said, and what happened.

    Attributes
    ----------
    mean_score, observed_share
        One value a bin; NaN where the bin holds no example.
    n
        Examples a bin; they add up to the number of examples.
    """

    mean_score: FloatArray
    observed_share: FloatArray
    n: NDArray[np.int64]


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive is scored above a negative, ties counting half.

    Computed as the Mann-Whitney statistic of mid-ranks (Hanley and McNeil, 1982), which is the trapezoidal area.
    NaN without both classes. Raises ValueError on invalid labels or scores.

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    y, p = _checked(labels, scores)
    n_positive = float(y.sum())
    n_negative = y.size - n_positive
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    _, position, ties = np.unique(p, return_inverse=True, return_counts=True)
    mid_rank = np.cumsum(ties) - (ties - 1) / 2
    positives_above = float(mid_rank[position[y == 1]].sum()) - n_positive * (n_positive + 1) / 2
    return positives_above / (n_positive * n_negative)


def pointwise_log_loss(labels: ArrayLike, scores: ArrayLike) -> FloatArray:
    """Log loss of each example, in nats; scores are clipped to [1e-15, 1 - 1e-15] first.

    Raises ValueError on invalid labels or scores.

    >>> pointwise_log_loss([1, 0], [0.5, 0.25]).round(4).tolist()
    [0.6931, 0.2877]
    """
    y, p = _checked(labels, scores)
    clipped = np.clip(p, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    return -np.where(y == 1, np.log(clipped), np.log1p(-clipped))


def log_loss(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean log loss in nats, clipped as in `pointwise_log_loss`; NaN without examples, defined for one class."""
    return _mean(pointwise_log_loss(labels, scores))


def brier(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean squared distance of score and label (Brier, 1950); NaN without examples, defined for one class.

    >>> brier([1, 0], [0.5, 0.25])
    0.15625
    """
    y, p = _checked(labels, scores)
    return _mean((p - y) ** 2)


def reliability_curve(labels: ArrayLike, scores: ArrayLike, *, bins: int = 10) -> ReliabilityCurve:
    """Mean score and observed share per bin of equal count, those of `expected_calibration_error`.

    Empty bins are kept, with NaN. With rare positives bins of equal width would leave one point near zero and hide how
    the scores in it compare. Raises ValueError on invalid labels, scores, or fewer than one bin.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    y, p = _checked(labels, scores)
    bin_of = equal_count_bin(p, bins)
    n = np.bincount(bin_of, minlength=bins).astype(np.int64)
    filled = np.where(n > 0, n, np.nan)
    return ReliabilityCurve(
        mean_score=np.bincount(bin_of, weights=p, minlength=bins) / filled,
        observed_share=np.bincount(bin_of, weights=y, minlength=bins) / filled,
        n=n,
    )


def equal_count_bin(scores: FloatArray, bins: int) -> NDArray[np.int64]:
    """The number of the bin that holds each score, where each of `bins` is meant to hold as many examples.

    Equal scores share a bin, that of their middle rank, so the order of the rows changes nothing. A score that many
    have fills more than its share, and some bins stay empty.

    >>> equal_count_bin(np.array([0.01, 0.02, 0.03, 0.9]), 2).tolist()
    [0, 0, 1, 1]
    >>> equal_count_bin(np.array([0.02, 0.02, 0.02, 0.9]), 2).tolist()
    [0, 0, 0, 1]
    """
    _, position, ties = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(ties) - ties / 2
    return np.floor(middle * bins / max(scores.size, 1)).astype(np.int64)[position]


def expected_calibration_error(labels: ArrayLike, scores: ArrayLike, *, bins: int = 10) -> float:
    """Mean distance of score and observed share over bins of equal count, weighted by the examples of each bin.

    ECE = sum over bins of n_b / n * |observed share_b - mean score_b| (Naeini et al., 2015; Guo et al., 2017), here
    for the probability of the positive class. The bins are those of `equal_count_bin` (adaptive calibration error:
    Nixon et al., 2019): with rare positives one bin of equal width holds nearly all examples, and hides what is wrong
    among them. NaN without examples.

    >>> round(expected_calibration_error([1, 0, 1, 1], [0.75, 0.75, 0.95, 0.95]), 3)
    0.15
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    y, p = _checked(labels, scores)
    if not p.size:
        return float("nan")
    return float(np.abs(np.bincount(equal_count_bin(p, bins), weights=y - p)).sum() / p.size)


def precision_at(labels: ArrayLike, scores: ArrayLike, k: int) -> float:
    """Share of positives among those of the k highest scores that have a label: `mean_label_at` of classes.

    All examples are ranked, labelled or not, because the list is drawn up before anybody knows; equal scores keep
    the given order. With fewer than k examples all are taken.

    Parameters
    ----------
    labels
        0, 1, or NaN where no label is known.
    k
        The length of the list, at least 1.

    Returns
    -------
    float
        NaN when none of the k has a label.

    Raises
    ------
    ValueError
        On k below 1, invalid labels or invalid scores.

    >>> precision_at([1, float("nan"), 0, 1], [0.9, 0.8, 0.7, 0.1], k=3)
    0.5
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    y, p = _checked(labels, scores, is_label_optional=True)
    return mean_label_at(y, p, k)


def mean_label_at(labels: ArrayLike, scores: ArrayLike, k: int) -> float:
    """Mean label of those of the k highest scores that have one; NaN where none has. Ties keep the given order."""
    y, p = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    top = np.argsort(-p, kind="stable")[:k]
    return _mean(y[top][~np.isnan(y[top])])


def summary(labels: ArrayLike, scores: ArrayLike) -> dict[str, float]:
    """The measures of one set of examples: n, label_share, mean_score, auc, log_loss, brier, ece.

    NaN where undefined, as in the single functions. Raises ValueError on invalid labels or scores.
    """
    y, p = _checked(labels, scores)
    return {
        "n": int(y.size),
        "label_share": _mean(y),
        "mean_score": _mean(p),
        "auc": auc(y, p),
        "log_loss": log_loss(y, p),
        "brier": brier(y, p),
        "ece": expected_calibration_error(y, p),
    }


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _checked(labels: ArrayLike, scores: ArrayLike, *, is_label_optional: bool = False) -> tuple[FloatArray, FloatArray]:
    y = np.asarray(labels, dtype=np.float64)
    p = np.asarray(scores, dtype=np.float64)
    if y.ndim != 1 or y.shape != p.shape:
        raise ValueError(f"labels and scores must be of one length, got shapes {y.shape} and {p.shape}")
    is_wrong_label = (y != 0) & (y != 1)
    if is_label_optional:
        is_wrong_label &= ~np.isnan(y)
    if is_wrong_label.any():
        raise ValueError(f"labels must be 0 or 1: {int(is_wrong_label.sum())} are not, such as {y[is_wrong_label][0]}")
    is_wrong_score = ~((p >= 0) & (p <= 1))
    if is_wrong_score.any():
        raise ValueError(
            f"scores must be finite and in [0, 1]: {int(is_wrong_score.sum())} are not, such as {p[is_wrong_score][0]}"
        )
    return y, p
