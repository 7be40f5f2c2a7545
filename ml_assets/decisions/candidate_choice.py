"""Which candidate becomes the candidate: the simplest one that nothing beats by the margin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class CandidateChoice:
    """The candidate taken, and what was said of each candidate, in candidates order."""

    name: str
    reasons: tuple[str, ...]


def choose_candidate(
    losses: Mapping[str, float] | Sequence[tuple[str, float]],
    margin: float,
    breaks: Callable[[str], str] = lambda _: "",
    called: str = "log loss",
) -> CandidateChoice:
    """Go from simple to complex; a candidate replaces the one taken so far when it saves at least `margin` of its loss.

    Parameters
    ----------
    losses
        Holdout loss by candidate, from simple to complex. One whose loss is not finite is never taken, and named.
    margin
        Relative: 0.01 asks for one percent less loss. At 0 a candidate must still be better, not equal.
    breaks
        Asked of each that would be taken; what it says is why it can never be promoted, and passes over it.
    called
        What people call the loss.

    Raises
    ------
    ValueError
        When no candidate has a finite loss and nothing that it breaks.

    >>> choose_candidate([("group_history", 0.54), ("logistic_regression", 0.52), ("xgboost", 0.519)], margin=0.01).name
    'logistic_regression'
    >>> noisy = lambda name: "noise" * (name == "xgboost")
    >>> choose_candidate([("group_history", 0.54), ("xgboost", 0.5)], 0.01, noisy).name
    'group_history'
    """
    candidates = tuple(losses.items()) if isinstance(losses, Mapping) else tuple(losses)
    taken: tuple[str, float] | None = None
    reasons: list[str] = []
    for name, loss in candidates:
        if not math.isfinite(loss):
            reasons.append(f"{name}: not taken, its {called} is not finite ({loss})")
            continue
        is_better, reason = _compare(name, loss, taken, margin, called)
        if is_better and (broken := breaks(name)):
            is_better, reason = False, f"{name}: not taken, {called} {loss:.6f}, it breaks {broken}"
        taken = (name, loss) if is_better else taken
        reasons.append(reason)
    if taken is None:
        raise ValueError(f"no candidate can be taken: {'; '.join(reasons)}")
    return CandidateChoice(name=taken[0], reasons=tuple(reasons))


def _compare(name: str, loss: float, taken: tuple[str, float] | None, margin: float, called: str) -> tuple[bool, str]:
    if taken is None:
        return True, f"{name}: taken as the simplest candidate with a finite {called} ({loss:.6f})"
    taken_name, taken_loss = taken
    gain = (taken_loss - loss) / taken_loss if taken_loss > 0 else 0.0
    is_better = loss < taken_loss and gain >= margin
    verdict = "taken" if is_better else "not taken"
    return (
        is_better,
        f"{name}: {verdict}, {called} {loss:.6f} gains {gain:+.2%} over {taken_name}, asked is {margin:.2%}",
    )
