"""Would retraining help? From a change of quality, a shadow candidate and a recalibration to one answer.

A pure function: the same facts give the same answer. It says which remedy the newest labels speak for, and "wait" where
they are too few; it decides nothing by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.loss_change import LossChange

Answer = Literal["retrain", "recalibrate", "fix upstream", "wait for labels", "nothing"]


@dataclass(frozen=True)
class RemedyFacts:
    """What is known about the champion's quality and what would help.

    Attributes
    ----------
    broken
        What looks broken upstream, in words; empty where nothing does.
    change
        The change of the loss from before it served to now; None without labelled rows on both sides.
    shadow
        Relative loss that a candidate trained on what is known saves on rows that neither saw; None without one.
    shift
        The same of the champion with one shift of its log odds, learned on rows before those.
    shadow_over_shift
        What the candidate saves beside the shifted champion.
    least_gain
        What a retraining has to gain to be worth it: `model.gate.min_gain`.
    least_rows, least_days
        What the gate asks of a window before it decides anything.
    """

    broken: tuple[str, ...] = ()
    change: LossChange | None = None
    shadow: Interval | None = None
    shift: Interval | None = None
    shadow_over_shift: Interval | None = None
    least_gain: float = 0.0
    least_rows: int = 1
    least_days: int = 2


@dataclass(frozen=True)
class Remedy:
    """The answer, why, and what would change it; `interval` is what the remedy saves, as a share of the loss."""

    answer: Answer
    reason: str
    would_change: str
    interval: Interval | None = None


def choose_remedy(facts: RemedyFacts) -> Remedy:
    """Choose the remedy.

    >>> choose_remedy(RemedyFacts(broken=("feed weather",))).answer
    'fix upstream'
    """
    if facts.broken:
        return Remedy(
            "fix upstream",
            f"{'; '.join(facts.broken)}: a retraining would learn the fault",
            "the feed is repaired",
        )
    shadow, shift = facts.shadow, facts.shift
    if shadow is None or shift is None or facts.change is None or _is_thin(shadow, facts):
        n, days = (0, 0) if shadow is None else (shadow.n, shadow.n_days)
        return Remedy(
            "wait for labels",
            f"{n} matured examples of {days} days to compare on; the gate asks for {facts.least_rows} of "
            f"{facts.least_days} days",
            "more labels mature",
            shadow,
        )
    helps, mends = shadow.lower > 0 and shadow.estimate >= facts.least_gain, shift.lower > 0
    beside = facts.shadow_over_shift
    if mends and not (helps and beside is not None and beside.lower > 0):
        return Remedy(
            "recalibrate",
            f"one shift of the scores saves {_share(shift)}; a candidate saves {_share(shadow)}, not surely more",
            "a candidate that surely beats the shifted champion",
            shift,
        )
    if helps:
        return Remedy(
            "retrain",
            f"a candidate trained on what is known saves {_share(shadow)} of the loss on rows that it did not see",
            "a candidate without that gain",
            shadow,
        )
    if facts.change.total.lower > 0 and name_change(facts.change) != "covariate":
        return Remedy(
            "wait for labels",
            f"the loss has risen, and no candidate that could be trained by now helps: it saves {_share(shadow)}",
            "more labels of what came since",
            shadow,
        )
    return Remedy(
        "nothing",
        f"a candidate trained on what is known saves {_share(shadow)}, which is no sure gain",
        "a rise of the loss, or a candidate with a sure gain",
        shadow,
    )


def _is_thin(gain: Interval, facts: RemedyFacts) -> bool:
    return gain.n < facts.least_rows or gain.n_days < facts.least_days


def _share(gain: Interval) -> str:
    return f"{gain.estimate:+.1%} ({gain.lower:+.1%} to {gain.upper:+.1%})"


def name_change(change: LossChange | None) -> str:
    """Name what changed most surely: covariate, label or concept; `cannot tell` where nothing is sure.

    Only a part that makes the loss larger is a cause.
    """
    if change is None or change.covariate is None or change.label is None or change.concept is None:
        return "cannot tell"
    parts = {"covariate": change.covariate, "label": change.label, "concept": change.concept}
    sure = {name: part.estimate for name, part in parts.items() if part.lower > 0}
    return max(sure, key=lambda name: sure[name]) if sure else "cannot tell"
