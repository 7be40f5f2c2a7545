"""Retraining policies: what each would decide in a drop, by the function that the sensors act on.

A policy is a schedule, or a choice of the triggers that count. What other triggers say is taken out of what is known,
and `decide` does the rest; so the declared policy decides here what it decides in production.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from ml_assets.decisions.retraining import Decision, RetrainingState, decide
from ml_assets.spec.monitoring import RetrainingSpec

Signal = Literal["drift", "gain", "risk", "staleness"]
SIGNALS: tuple[Signal, ...] = ("drift", "gain", "risk", "staleness")
MEANINGS = {
    "drift": "features that the champion leans on have moved away from its training rows",
    "gain": "the champion keeps too little of its gain over the baseline in the last matured window",
    "risk": "the champion's loss has risen, or lies above the baseline's, by the sequential test",
    "staleness": "the champion's training rows are too old",
}


@dataclass(frozen=True)
class Policy:
    """A retraining policy.

    Attributes
    ----------
    name
        As people know it.
    signals
        What may ask for a retraining; none is never, or `every`.
    every
        Cutoffs from one retraining to the next; None is no schedule.
    rule
        Settings other than the declared ones; None takes those.
    """

    name: str
    signals: tuple[Signal, ...] = ()
    every: int | None = None
    rule: RetrainingSpec | None = None

    @property
    def is_adaptive(self) -> bool:
        """Whether what is seen decides, and not the calendar alone."""
        return bool(self.signals)

    @property
    def meaning(self) -> str:
        """Say when it retrains."""
        if self.every is not None:
            return "every cutoff" if self.every == 1 else f"every {self.every} cutoffs"
        return "; ".join(MEANINGS[signal] for signal in self.signals) or "the first champion serves for ever"

    @property
    def needs_rises(self) -> bool:
        """Whether the sequential tests are among what it hears; else performance is judged by the window alone."""
        return "risk" in self.signals

    def decides(self, known: RetrainingState, declared: RetrainingSpec, since_last: int | None) -> Decision:
        """Decide in a drop.

        Parameters
        ----------
        since_last
            Cutoffs since the last retraining of this policy; None before the first.
        """
        if self.is_adaptive:
            return decide(heard(known, self.signals), self.rule or declared)
        if known.champion_as_of is None:
            return Decision("retrain", "no champion serves", "the gate may still refuse what is trained", "staleness")
        if self.every is None or since_last is None or since_last < self.every:
            return Decision("nothing", "the schedule asks for nothing", "the next date of the schedule")
        return Decision("retrain", "a plain schedule", "the gate may still refuse what is trained", "staleness")


def heard(known: RetrainingState, signals: tuple[Signal, ...]) -> RetrainingState:
    """Take out of what is known all that is not among `signals`; a first champion is always asked for.

    >>> from datetime import date, timedelta
    >>> known = RetrainingState(date(2013, 5, 1), timedelta(120), date(2013, 3, 31), training_age=timedelta(50))
    >>> heard(known, SIGNALS) == known, heard(known, ("drift",)).training_age
    (True, None)
    """
    if "drift" not in signals:
        known = replace(known, drifts=())
    if "staleness" not in signals:
        known = replace(known, training_age=None)
    performance = known.performance
    if "risk" not in signals:  # what the window says alone is known: see `needs_rises`
        known = replace(known, change=None, failure=None, fallback_since=None)
        performance = replace(performance, since=None, behind_since=None)
    if "gain" not in signals and performance.since is None and performance.behind_since is None:
        performance = replace(performance, state="ok" if performance.state == "failed" else performance.state)
    return replace(known, performance=performance)


def standard_policies(between: Callable[[int], str]) -> tuple[Policy, ...]:
    """Give the policies that a backtest compares, from never to all triggers.

    `between` writes the time that so many cutoffs take.
    """
    return (
        Policy("never"),
        *(Policy(f"every {between(k)}", every=k) for k in (1, 2, 4, 8, 13)),
        Policy("drift", ("drift",)),
        Policy("lost gain", ("gain",)),
        Policy("sequential risk", ("risk",)),
        Policy("freshness", ("staleness",)),
        Policy("declared", SIGNALS),
    )
