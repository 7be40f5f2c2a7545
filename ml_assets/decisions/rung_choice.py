"""Which rung of the ladder becomes the candidate: the simplest one that nothing beats by the margin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RungChoice:
    """The rung taken, and what was said of each rung, in ladder order."""

    name: str
    reasons: tuple[str, ...]


def choose_rung(
    losses: Mapping[str, float] | Sequence[tuple[str, float]],
    margin: float,
    breaks: Callable[[str], str] = lambda _: "",
) -> RungChoice:
    """Walk up the ladder; a rung replaces the one taken so far when it saves at least `margin` of its log loss.

    Parameters
    ----------
    losses
        Holdout log loss by rung, from simple to complex. A rung whose loss is not finite is never taken, and named.
    margin
        Relative: 0.01 asks for one percent less loss. At 0 a rung must still be better, not equal.
    breaks
        Asked of each rung that would be taken; what it says is why the rung can never be promoted, and passes over it.

    Raises
    ------
    ValueError
        When no rung has a finite loss and nothing that it breaks.

    >>> choose_rung([("group_history", 0.54), ("logistic_regression", 0.52), ("xgboost", 0.519)], margin=0.01).name
    'logistic_regression'
    >>> choose_rung([("group_history", 0.54), ("xgboost", 0.5)], 0.01, lambda name: "noise" * (name == "xgboost")).name
    'group_history'
    """
    ladder = tuple(losses.items()) if isinstance(losses, Mapping) else tuple(losses)
    taken: tuple[str, float] | None = None
    reasons: list[str] = []
    for name, loss in ladder:
        if not math.isfinite(loss):
            reasons.append(f"{name}: not taken, its log loss is not finite ({loss})")
            continue
        is_better, reason = _compare(name, loss, taken, margin)
        if is_better and (broken := breaks(name)):
            is_better, reason = False, f"{name}: not taken, log loss {loss:.6f}, it breaks {broken}"
        taken = (name, loss) if is_better else taken
        reasons.append(reason)
    if taken is None:
        raise ValueError(f"no rung can be taken: {'; '.join(reasons)}")
    return RungChoice(name=taken[0], reasons=tuple(reasons))


def _compare(name: str, loss: float, taken: tuple[str, float] | None, margin: float) -> tuple[bool, str]:
    if taken is None:
        return True, f"{name}: taken as the simplest rung with a finite log loss ({loss:.6f})"
    taken_name, taken_loss = taken
    gain = (taken_loss - loss) / taken_loss if taken_loss > 0 else 0.0
    is_better = loss < taken_loss and gain >= margin
    verdict = "taken" if is_better else "not taken"
    return (
        is_better,
        f"{name}: {verdict}, log loss {loss:.6f} gains {gain:+.2%} over {taken_name}, asked is {margin:.2%}",
    )
