"""Whether positives have become rarer or more frequent than a model's scores say, from labels that matured lately.

A model trained on a summer expects a summer's lateness. When the share of positives moves while what tells examples
apart stays (prior shift), one number added to every log odds puts it right (Saerens et al., 2002). The number is
learned anew at every drop from what had matured by then, drawn to zero, and used only where it would have helped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.prior_correction import LEAST_BEFORE, LEAST_TRIED, PriorCorrection
from ml_assets.stats.classification import pointwise_log_loss
from ml_assets.stats.logit import logit, sigmoid

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PriorShift:
    """What is added to the log odds of every score of a drop.

    Attributes
    ----------
    shift
        Log odds; 0 where no correction is used.
    learned
        What the matured labels say, used or not.
    saved
        Mean log loss, in nats, that corrections learned the same way saved on the matured days so far; below zero
        they cost. NaN with too few days.
    n_days, n
        The matured days and examples it rests on.
    """

    shift: float
    learned: float
    saved: float
    n_days: int
    n: int


NO_SHIFT = PriorShift(0.0, 0.0, float("nan"), 0, 0)


def learn_shift(
    scores: FloatArray, labels: FloatArray, day: NDArray[np.int64], *, gap: int, rule: PriorCorrection
) -> PriorShift:
    """Learn the shift of a drop from scores of the same model and the labels that had matured.

    A day's own shift is one Newton step from none: sum(label - score) / sum(score * (1 - score)). Days scatter around
    a level that lasts by far more than their examples explain (weather), so each weighs the same, and the level is
    drawn to zero as if `shrink_days` days had shown none: its mean under a normal prior, with `shrink_days` the
    variance of days over that of levels. It is used where it would have helped: learned anew for each matured day
    from those `gap` days before it or more, it saved log loss in sum.

    Parameters
    ----------
    scores, labels, day
        Of each matured example: the model's score, 0 or 1, and the number of the day of its drop.
    gap
        Days until labels mature.

    >>> from ml_assets.spec.prior_correction import PriorCorrection
    >>> rng = np.random.default_rng(0)
    >>> day = np.arange(20).repeat(500)
    >>> late = (rng.random(10_000) < 0.15).astype(float)
    >>> rule = PriorCorrection(window="28d", shrink_days=4)
    >>> found = learn_shift(np.full(10_000, 0.25), late, day, gap=2, rule=rule)
    >>> found.saved > 0, round(found.shift, 1)
    (True, -0.4)
    """
    order = np.argsort(day, kind="stable")
    days, starts = np.unique(day[order], return_index=True)
    if days.size < LEAST_BEFORE:
        return NO_SHIFT
    parts = list(zip(np.split(scores[order], starts[1:]), np.split(labels[order], starts[1:]), strict=True))
    own = np.array([_own_shift(p, y) for p, y in parts])
    learned = float(own.sum() / (days.size + rule.shrink_days))
    saved: list[float] = []
    for place, (p, y) in enumerate(parts):
        before = own[days + gap <= days[place]]
        if before.size >= LEAST_BEFORE:
            tried = float(before.sum() / (before.size + rule.shrink_days))
            saved.append(_loss(p, y) - _loss(shifted(p, tried), y))
    mean_saved = float(np.mean(saved)) if saved else float("nan")
    is_earned = len(saved) >= LEAST_TRIED and mean_saved > 0
    return PriorShift(learned if is_earned else 0.0, learned, mean_saved, int(days.size), int(labels.size))


def shifted(scores: FloatArray, shift: float) -> FloatArray:
    """Add a shift to the log odds of scores; no shift leaves them as they are, to the bit."""
    return scores if shift == 0 else sigmoid(logit(scores) + shift)


def _own_shift(p: FloatArray, y: FloatArray) -> float:
    return float((y - p).sum() / max(float((p * (1 - p)).sum()), 1e-12))


def _loss(p: FloatArray, y: FloatArray) -> float:
    return float(pointwise_log_loss(y, p).mean())
