"""The decision on retraining: a table of states, and laws over all of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.decisions.retraining import TRIGGERS, Alarm, ChangeState, Performance, RetrainingState, decide
from ml_assets.spec.drop import day_of_key
from ml_assets.spec.monitoring import RetrainingSpec

RULE = RetrainingSpec()
DROP = date(2013, 6, 1)
LEANED_ON = Alarm("training/carrier_late_share_7d", 9.0, 5.0, 0.2, "has moved")
UNUSED = Alarm("training/is_holiday", 9.0, 5.0, 0.0, "has moved")
ABRUPT = Alarm("before/carrier_late_share_7d", 9.0, 5.0, 0.2, "changed within weeks")
BROKEN = Alarm("feed/weather.temp_f null_share", 20.0, 5.0, 0.0, "missing values: 90.0% where 0.1% is usual")
LOST = Performance("failed", 0.01, 0.02)


def state(**changes: object) -> RetrainingState:
    """Make a state; `last_attempt` is that of every trigger."""
    last = changes.pop("last_attempt", date(2013, 3, 31))
    known: dict[str, object] = {
        "drop": DROP, "history": DROP - date(2013, 1, 1), "champion_as_of": date(2013, 3, 31),
        "last_attempts": {} if last is None else dict.fromkeys(TRIGGERS, last),
        "performance": Performance("ok", 0.06, 0.02),
        "training_age": timedelta(days=30),
    }  # fmt: skip
    return RetrainingState(**{**known, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "action", "trigger"),
    [
        ({}, "nothing", None),
        ({"drifts": (LEANED_ON,)}, "retrain", "drift"),
        ({"drifts": (UNUSED,)}, "nothing", None),
        ({"drifts": (ABRUPT,)}, "nothing", None),
        ({"performance": LOST}, "retrain", "performance"),
        ({"training_age": timedelta(days=43)}, "retrain", "staleness"),
        ({"training_age": timedelta(days=42)}, "nothing", None),
        ({"performance": LOST, "drifts": (LEANED_ON,)}, "retrain", "performance"),
        ({"drifts": (LEANED_ON,), "last_attempt": DROP - timedelta(days=27)}, "wait", "drift"),
        ({"drifts": (LEANED_ON,), "last_attempt": DROP - timedelta(days=28)}, "retrain", "drift"),
        ({"drifts": (LEANED_ON,), "broken_feeds": (BROKEN,)}, "fix_upstream", "drift"),
        ({"broken_feeds": (BROKEN,)}, "fix_upstream", None),
        ({"unfinished": ("weather",)}, "fix_upstream", None),
        ({"champion_as_of": None, "last_attempt": None, "training_age": None}, "retrain", "staleness"),
        (
            {"champion_as_of": None, "last_attempt": None, "training_age": None, "history": timedelta(days=59)},
            "nothing",
            None,
        ),
        ({"performance": Performance("not enough data")}, "nothing", None),
    ],
)
def test_each_state_has_its_decision(changes: dict[str, object], action: str, trigger: str | None) -> None:
    decision = decide(state(**changes), RULE)

    assert (decision.action, decision.trigger) == (action, trigger)


def test_decision_names_the_monitor_its_measurement_and_the_threshold() -> None:
    decision = decide(state(drifts=(LEANED_ON, UNUSED)), RULE)

    assert (decision.monitor, decision.measurement, decision.threshold) == (LEANED_ON.monitor, 9.0, 5.0)
    assert decision.reason == (
        "carrier_late_share_7d has moved (z 9 against 5), and 1 more alarm; they hold 20% of the champion's importance"
    )


def test_wait_says_when_the_cooldown_ends() -> None:
    decision = decide(state(drifts=(LEANED_ON,), last_attempt=date(2013, 5, 20)), RULE)

    assert decision.would_change == "the cooldown ends with drop 2013-06-17"


def test_broken_feed_names_what_a_retraining_would_have_learned() -> None:
    decision = decide(state(drifts=(LEANED_ON,), broken_feeds=(BROKEN,)), RULE)

    assert decision.monitor == BROKEN.monitor
    assert decision.reason.startswith("feed/weather.temp_f null_share looks broken: missing values: 90.0%")
    assert "would learn the fault" in decision.reason


def test_alarm_of_what_the_champion_does_not_use_is_reported_and_not_acted_on() -> None:
    decision = decide(state(drifts=(UNUSED,)), RULE)

    assert decision.would_change == (
        "1 alarm, none against the training window of a feature that the champion uses: reported, not acted on"
    )
    assert any(UNUSED.monitor in line for line in decision.evidence)


def test_feature_that_alarms_against_both_references_counts_once() -> None:
    twice = (LEANED_ON, Alarm("before/carrier_late_share_7d", 7.0, 5.0, 0.2, "changed"))

    assert decide(state(drifts=twice), RetrainingSpec(min_alarmed_importance=0.3)).action == "nothing"


alarms = st.builds(
    Alarm, st.sampled_from(["training/a", "training/b", "before/a", "feed/x rows"]), st.floats(0.1, 1e6),
    st.floats(0.1, 100), st.floats(0, 1), st.just("said"),
)  # fmt: skip
dates = st.dates(date(2013, 1, 1), date(2014, 1, 3))
lengths = st.timedeltas(timedelta(0), timedelta(days=400))
states = st.builds(
    RetrainingState, drop=dates, history=lengths, champion_as_of=st.none() | dates,
    last_attempts=st.dictionaries(st.sampled_from(TRIGGERS), dates),
    broken_feeds=st.lists(alarms, max_size=3).map(tuple), drifts=st.lists(alarms, max_size=4).map(tuple),
    performance=st.builds(Performance, st.sampled_from(["ok", "failed", "not enough data", "no champion"]),
                          st.none() | st.floats(-1, 1), st.none() | st.floats(-1, 1)),
    unfinished=st.lists(st.sampled_from(["weather", "schedule"]), max_size=2).map(tuple),
    training_age=st.none() | st.timedeltas(timedelta(0), timedelta(days=400)),
)  # fmt: skip


@given(states)
def test_decide_is_total_and_deterministic(known: RetrainingState) -> None:
    decision = decide(known, RULE)

    assert decision == decide(known, RULE)
    assert decision.action in ("retrain", "wait", "fix_upstream", "nothing")
    assert decision.reason
    assert decision.would_change
    assert (decision.trigger is not None) or decision.action in ("fix_upstream", "nothing")


@given(states)
def test_broken_feed_is_never_learned_from(known: RetrainingState) -> None:
    decision = decide(known, RULE)

    assert (decision.action == "fix_upstream") == bool(known.broken_feeds or known.unfinished)


@given(states)
def test_no_retraining_within_the_cooldown(known: RetrainingState) -> None:
    decision = decide(known, RULE)

    last = known.last_attempts.get(decision.trigger) if decision.trigger else None
    if decision.action == "retrain" and last is not None:
        assert known.drop >= day_of_key(last) + RULE.cooldown


CHANGE = ChangeState(since=date(2013, 4, 20), matured=20, matured_at_attempt=0, needed=14)
RISEN = Performance("failed", 0.06, 0.02, date(2013, 4, 20), 0.61, 0.44)


def test_a_risen_loss_waits_until_enough_of_the_change_has_matured_and_says_so() -> None:
    found = decide(state(performance=RISEN, change=replace(CHANGE, matured=5)), RULE)
    assert (found.action, found.trigger) == ("wait", "performance")
    assert "only 5 drops since 2013-04-20 have matured labels" in found.reason
    assert "it retrains once 14 drops since" in found.would_change


def test_a_risen_loss_retrains_whatever_the_cooldown_once_there_is_enough_of_the_change() -> None:
    found = decide(state(performance=RISEN, change=CHANGE, last_attempt=date(2013, 5, 30)), RULE)
    assert (found.action, found.trigger, found.monitor) == ("retrain", "performance", "performance/loss")
    assert "has risen since 2013-04-20: 0.6100 in the last matured window, 0.4400 before it served" in found.reason


def test_after_a_refusal_it_retrains_again_when_twice_as_much_has_matured() -> None:
    again = replace(CHANGE, matured_at_attempt=14)
    lately = DROP - timedelta(days=10)
    few, enough = (replace(again, matured=n) for n in (27, 28))
    assert decide(state(performance=RISEN, change=few, last_attempt=lately), RULE).action == "wait"
    assert decide(state(performance=RISEN, change=enough, last_attempt=lately), RULE).action == "retrain"


def test_a_champion_of_few_rows_since_a_change_is_trained_again_when_they_have_doubled() -> None:
    young = ChangeState(date(2013, 4, 20), matured=27, matured_at_attempt=14, needed=14, is_learned=True)
    assert decide(state(change=young), RULE).action == "nothing"
    found = decide(state(change=replace(young, matured=28)), RULE)
    assert (found.action, found.monitor) == ("retrain", "performance/change")


def test_staleness_backs_off_when_candidates_gain_nothing() -> None:
    age = RULE.stale_after + timedelta(days=1)
    old = {"training_age": age, "last_attempt": None}
    assert decide(state(**old), RULE).trigger == "staleness"
    assert decide(state(**old, poor_gains=(0.001,)), RULE).action == "nothing"
    later = decide(state(training_age=4 * age, last_attempt=None, poor_gains=(None, 0.01, 0.0, -0.02, 0.001)), RULE)
    assert "the newest 5 candidates gained little: +0.0%, -2.0%, +0.1% of log loss" in later.reason


def test_a_risen_loss_that_waits_for_rows_does_not_hold_back_a_drift_that_is_free_to_retrain() -> None:
    found = decide(state(performance=RISEN, change=replace(CHANGE, matured=5), drifts=(LEANED_ON,)), RULE)
    assert (found.action, found.trigger) == ("retrain", "drift")
    assert "also: the champion's log loss has risen since 2013-04-20" in found.reason


def test_a_failed_champion_is_retrained_whatever_the_cooldown_that_began_before() -> None:
    failed = {"failure": "it gave all rows the same score", "last_attempt": DROP - timedelta(days=3)}
    since = {"fallback_since": DROP - timedelta(days=1), "last_attempt": DROP - timedelta(days=3)}
    learned = ChangeState(date(2013, 4, 20), matured=60, matured_at_attempt=50, needed=14, is_learned=True)

    assert decide(state(**failed), RULE).action == "wait"  # the drop it is proven in; the fallback begins with the next
    assert decide(state(**since), RULE).action == "retrain"
    assert decide(state(**since, change=learned), RULE).action == "retrain"
    waits = decide(state(**since, change=replace(CHANGE, matured=5)), RULE)
    assert (waits.action, waits.trigger) == ("wait", "performance")  # too few rows of what it would have to learn


def test_doublings_do_not_wait_for_longer_than_a_cooldown() -> None:
    late = replace(CHANGE, matured=60, matured_at_attempt=50)
    before = {"performance": RISEN, "change": late}
    assert decide(state(**before, last_attempt=DROP - timedelta(days=27)), RULE).action == "wait"
    assert decide(state(**before, last_attempt=DROP - timedelta(days=28)), RULE).action == "retrain"


def test_a_refused_candidate_of_one_trigger_does_not_hold_back_another() -> None:
    attempts = {"last_attempts": {"staleness": DROP - timedelta(days=2)}}
    assert decide(state(drifts=(LEANED_ON,), **attempts), RULE).action == "retrain"
