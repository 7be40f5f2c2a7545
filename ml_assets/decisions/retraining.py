"""Whether to train again, and why: from what the reports of a drop say to one decision.

Retraining on broken data teaches the fault; retraining on every alarm teaches noise. So a broken feed asks for a
repair first, an alarm counts by how much the champion leans on what moved, and all triggers share one cooldown. The
gate still decides whether what was trained serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from ml_assets.spec.drop import DropKey, days_later
from ml_assets.spec.duration import format_duration
from ml_assets.spec.monitoring import RetrainingSpec

Action = Literal["retrain", "wait", "fix_upstream", "nothing"]
Trigger = Literal["drift", "performance", "staleness"]
PerformanceState = Literal["ok", "failed", "not enough data", "no champion"]

_FAILED = "performance/champion"
_LEARNED_FROM = "training/"  # alarms against the drops before say that something broke or jumped: evidence, no reason
MOST_DOUBLINGS = 2  # of `stale_after`, one for each candidate that gained little since the last one that paid
TRIGGERS: tuple[Trigger, ...] = ("performance", "drift", "staleness")  # the first that fires is the reason


@dataclass(frozen=True)
class Alarm:
    """A monitor that alarms: its z against its threshold, and the share of the champion's importance behind it."""

    monitor: str
    measurement: float
    threshold: float
    importance: float
    meaning: str


@dataclass(frozen=True)
class Performance:
    """The champion's gain over the baseline in the last matured window, beside what of it must be kept.

    `gain` and `threshold` are relative loss; None where there is not enough data. `since` is the first drop of a
    rise of the loss above `loss_at_gate`, what it was before the model served; `loss_now` is that of the window.
    `behind_since` is the first drop since which it has been above the baseline's. `loss` is what it is called.
    """

    state: PerformanceState
    gain: float | None = None
    threshold: float | None = None
    since: DropKey | None = None
    loss_now: float | None = None
    loss_at_gate: float | None = None
    behind_since: DropKey | None = None
    loss: str = "log loss"


@dataclass(frozen=True)
class ChangeState:
    """A change of the world that a candidate can learn.

    Attributes
    ----------
    since
        The first drop of it.
    matured, matured_at_attempt
        Drops since then of which the labels have matured, now and as of the last verdict; 0 where that was before.
    needed
        Drops that a training set needs: as many to learn from as to be judged on.
    is_learned
        Whether the champion learned from rows since then alone.
    unit
        What the numbers count: drops, or days where a day has several drops.
    """

    since: DropKey
    matured: int
    matured_at_attempt: int
    needed: int
    is_learned: bool = False
    unit: str = "drops"

    @property
    def wanted(self) -> int:
        """How many matured drops of it a retraining waits for: enough, and twice as many as at the last verdict."""
        return max(self.needed, 2 * self.matured_at_attempt)

    @property
    def is_due(self) -> bool:
        """Whether there are as many."""
        return self.matured >= self.wanted


@dataclass(frozen=True)
class RetrainingState:
    """What is known in one drop.

    Attributes
    ----------
    history
        The time from the first drop of the calendar to this one.
    champion_as_of
        As of which drop the champion of `drop` was trained; None before the first.
    last_attempts
        By trigger, the newest drop before this one as of which its cooldown began: that of a candidate which the
        trigger asked for, or of a promotion, whatever asked for that. A refused candidate that a person asked for
        begins none.
    broken_feeds, drifts
        Alarms of this drop that look like a fault of a feed, and all others of features and score.
    unfinished
        Sources without a final state in this drop.
    training_age
        How much younger the newest matured example is than the newest training row of the champion.
    change
        What is known of a change that the champion has not learned, or has learned from few rows; None without one.
    refused_gains
        What each candidate refused since the last promotion gained over the champion; None where that is unknown.
    poor_gains
        What the newest candidates gained, refused or promoted, back to the last promotion that paid.
    failure
        Why the champion has failed; None where it has not.
    fallback_since
        The first drop that the fallback serves in its place; None while the champion serves.
    later
        Gives the key that lies a length of time after a drop, by the calendar; by default of days.
    """

    drop: DropKey
    history: timedelta
    champion_as_of: DropKey | None = None
    last_attempts: Mapping[Trigger, DropKey] = field(default_factory=dict[Trigger, DropKey])
    broken_feeds: tuple[Alarm, ...] = ()
    drifts: tuple[Alarm, ...] = ()
    performance: Performance = Performance("not enough data")
    unfinished: tuple[str, ...] = ()
    training_age: timedelta | None = None
    change: ChangeState | None = None
    refused_gains: tuple[float | None, ...] = ()
    poor_gains: tuple[float | None, ...] = ()
    failure: str | None = None
    fallback_since: DropKey | None = None
    later: Callable[[DropKey, timedelta], DropKey] = days_later


@dataclass(frozen=True)
class Decision:
    """What to do in a drop, and what it rests on.

    `monitor`, `measurement` and `threshold` name the one monitor that weighs most; None where there is none.
    """

    action: Action
    reason: str
    would_change: str
    trigger: Trigger | None = None
    evidence: tuple[str, ...] = ()
    monitor: str | None = None
    measurement: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class _Cause:
    trigger: Trigger
    reason: str
    monitor: str
    measurement: float
    threshold: float


def decide(state: RetrainingState, rule: RetrainingSpec) -> Decision:
    """Decide; total, and the same for the same state.

    >>> from datetime import date
    >>> decide(RetrainingState(date(2013, 5, 1), timedelta(days=120), date(2013, 3, 31)), RetrainingSpec()).action
    'nothing'
    """
    causes = _causes(state, rule)
    evidence = tuple(_evidence(state))
    if state.broken_feeds or state.unfinished:
        return _fix_upstream(state, causes, evidence)
    if not causes:
        return Decision("nothing", "no trigger fires", _what_is_missing(state, rule), evidence=evidence)
    free = [cause for cause in causes if _hindrance(cause, state, rule) is None]
    first = (free or causes)[0]
    others = "; ".join(cause.reason for cause in causes if cause is not first)
    reason = first.reason + (f" (also: {others})" if others else "")
    hindrance = _hindrance(first, state, rule)
    action: Action = "retrain" if hindrance is None else "wait"
    would_change = "the gate may still refuse what is trained"
    if hindrance is not None:
        reason, would_change = f"{reason}; but {hindrance.why}", hindrance.until
    return Decision(
        action, reason, would_change, first.trigger, evidence, first.monitor, first.measurement, first.threshold
    )


@dataclass(frozen=True)
class _Hindrance:
    """Why a cause does not retrain yet, and what ends that."""

    why: str
    until: str


def _hindrance(cause: _Cause, state: RetrainingState, rule: RetrainingSpec) -> _Hindrance | None:
    """Say what holds a cause back: too little of a change that could be learned, or else the cooldown.

    A cooldown is that of the cause's own trigger. What began after it waives it: the fallback, or a model that is
    proven worse than the baseline.
    """
    last = state.last_attempts.get(cause.trigger)
    ready = None if last is None else state.later(last, rule.cooldown)
    is_over = ready is None or state.drop >= ready
    change = state.change
    if change is not None and _rests_on(cause, change):
        if change.is_due or (change.matured >= change.needed and is_over):
            return None
        return _Hindrance(
            f"only {change.matured} {change.unit} since {change.since} have matured labels",
            f"it retrains once {change.wanted} {change.unit} since {change.since} have matured labels, whatever the "
            "cooldown",
        )
    waiving = (state.fallback_since, state.performance.behind_since) if cause.trigger == "performance" else ()
    if is_over or any(since is not None and last is not None and since > last for since in waiving):
        return None
    return _Hindrance(
        f"a candidate was judged as of {last}, less than {format_duration(rule.cooldown)} ago",
        f"the cooldown ends with drop {ready}",
    )


def _rests_on(cause: _Cause, change: ChangeState) -> bool:
    """Whether a cause waits for rows of a change: one of the loss does, and a failure that such a change explains."""
    if cause.monitor == _FAILED:
        return not change.is_learned
    return cause.monitor.startswith("performance")


def _fix_upstream(state: RetrainingState, causes: Sequence[_Cause], evidence: tuple[str, ...]) -> Decision:
    worst = max(
        state.broken_feeds, key=lambda alarm: (alarm.measurement / alarm.threshold, alarm.monitor), default=None
    )
    if worst is None:
        named = ", ".join(state.unfinished)
        reason = f"{named} has no final state"
    else:
        reason = f"{worst.monitor} looks broken: {worst.meaning}"
    if causes:
        reason += f"; {causes[0].trigger} would ask for a retraining, which would learn the fault"
    return Decision(
        "fix_upstream", reason, "the feed is repaired, or has been so for longer than any repair takes",
        causes[0].trigger if causes else None,
        evidence, worst.monitor if worst else None, worst.measurement if worst else None,
        worst.threshold if worst else None,
    )  # fmt: skip


def _causes(state: RetrainingState, rule: RetrainingSpec) -> list[_Cause]:
    found = [_performance(state), _drift(state, rule), _staleness(state, rule)]
    return [cause for cause in found if cause is not None]


def _performance(state: RetrainingState) -> _Cause | None:
    performance, change = state.performance, state.change
    if state.fallback_since is not None or state.failure is not None:
        serves = f", and the fallback serves since drop {state.fallback_since}" if state.fallback_since else ""
        why = f": {state.failure}" if state.failure else ""
        return _Cause("performance", f"the champion has failed{why}{serves}", _FAILED, 1.0, 0.0)
    if change is not None and change.is_learned and performance.state != "failed":
        if not change.is_due:
            return None
        reason = (
            f"the champion learned from what came since the change of {change.since}, then {change.matured_at_attempt} "
            f"{change.unit}; {change.matured} have matured by now"
        )
        return _Cause("performance", reason, "performance/change", change.matured, 2.0 * change.matured_at_attempt)
    if performance.since is not None and performance.loss_now is not None and performance.loss_at_gate is not None:
        reason = (
            f"the champion's {performance.loss} has risen since {performance.since}: {performance.loss_now:.4f} in the "
            f"last matured window, {performance.loss_at_gate:.4f} before it served"
        )
        return _Cause("performance", reason, "performance/loss", performance.loss_now, performance.loss_at_gate)
    if performance.state != "failed" or performance.gain is None or performance.threshold is None:
        return None
    reason = (
        f"the champion gains {performance.gain:.1%} of {performance.loss} over the baseline in the last matured "
        f"window, surely less than the {performance.threshold:.1%} that it must keep"
    )
    return _Cause("performance", reason, "performance", performance.gain, performance.threshold)


def _drift(state: RetrainingState, rule: RetrainingSpec) -> _Cause | None:
    moved = [alarm for alarm in state.drifts if alarm.monitor.startswith(_LEARNED_FROM)]
    held = min(1.0, sum(alarm.importance for alarm in moved))
    if not moved or state.champion_as_of is None or held < rule.min_alarmed_importance:
        return None
    worst = max(moved, key=lambda alarm: (alarm.importance * alarm.measurement / alarm.threshold, alarm.monitor))
    more = len(moved) - 1
    others = "" if not more else ", and 1 more alarm" if more == 1 else f", and {more} more alarms"
    weighs = "" if worst.importance >= 1 else f"; they hold {held:.0%} of the champion's importance"
    reason = (
        f"{worst.monitor.removeprefix(_LEARNED_FROM)} {worst.meaning} (z {worst.measurement:.3g} against "
        f"{worst.threshold:.3g}){others}{weighs}"
    )
    return _Cause("drift", reason, worst.monitor, worst.measurement, worst.threshold)


def _staleness(state: RetrainingState, rule: RetrainingSpec) -> _Cause | None:
    if state.champion_as_of is None:
        age = state.history
        if age < rule.first_after:
            return None
        said = f"no champion serves, and {age.days} days of history are there"
        return _Cause("staleness", said, "freshness/champion", float(age.days), float(rule.first_after.days))
    backed_off = stale_limit(rule, len(state.poor_gains))
    if state.training_age is None or state.training_age <= backed_off:
        return None
    age_days, limit_days = state.training_age / timedelta(days=1), backed_off / timedelta(days=1)
    reason = f"the champion's newest training row is {age_days:.0f} days older than what has matured"
    if state.poor_gains:
        gained = ", ".join("not measured" if gain is None else f"{gain:+.1%}" for gain in state.poor_gains[-3:])
        n = len(state.poor_gains)
        count = "the newest candidate" if n == 1 else f"the newest {n} candidates"
        reason += f"; {count} gained little: {gained} of {state.performance.loss}"
    return _Cause("staleness", reason, "freshness/training", age_days, limit_days)


def stale_limit(rule: RetrainingSpec, n_poor: int) -> timedelta:
    """Give the age from which on a champion is stale: doubled by each candidate that gained too little, at most twice.

    >>> stale_limit(RetrainingSpec(stale_after=timedelta(days=42)), 5).days
    168
    """
    return rule.stale_after * 2 ** min(n_poor, MOST_DOUBLINGS)


def _evidence(state: RetrainingState) -> list[str]:
    said = [f"champion as of {state.champion_as_of}" if state.champion_as_of else "no champion"]
    said += [f"{trigger}: last verdict as of {last}" for trigger, last in state.last_attempts.items()]
    if state.failure is not None:
        said.append(f"the champion has failed: {state.failure}")
    said += [f"{name} has no final state" for name in state.unfinished]
    for alarm in (*state.broken_feeds, *state.drifts):
        weight = f", importance {alarm.importance:.1%}" if alarm.importance else ""
        said.append(
            f"{alarm.monitor}: z {alarm.measurement:.1f} against {alarm.threshold:.1f}{weight}; {alarm.meaning}"
        )
    performance = state.performance
    if performance.gain is not None and performance.threshold is not None:
        said.append(f"gain over the baseline {performance.gain:.1%} against {performance.threshold:.1%}")
    else:
        said.append(f"performance: {performance.state}")
    return said


def _what_is_missing(state: RetrainingState, rule: RetrainingSpec) -> str:
    if state.champion_as_of is None:
        return f"a first model is due once {format_duration(rule.first_after)} of history are there"
    ignored = [alarm for alarm in state.drifts if alarm.importance and alarm.monitor.startswith(_LEARNED_FROM)]
    if state.drifts and not ignored:
        count = "1 alarm" if len(state.drifts) == 1 else f"{len(state.drifts)} alarms"
        return f"{count}, none against the training window of a feature that the champion uses: reported, not acted on"
    if ignored:
        held = sum(alarm.importance for alarm in ignored)
        needed = f"{rule.min_alarmed_importance:.0%} would be acted on"
        return f"alarmed features hold {held:.1%} of the champion's importance; {needed}"
    return "an alarm of features that matter, lost performance, or training data gone stale would be needed"
