"""What each retraining policy hears, and what it then decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from ml_assets.decisions.policies import SIGNALS, Policy, heard, standard_policies
from ml_assets.decisions.retraining import Alarm, Performance, RetrainingState, decide
from ml_assets.spec.monitoring import RetrainingSpec

RULE = RetrainingSpec()
QUIET = RetrainingState(date(2024, 5, 1), timedelta(days=121), date(2024, 4, 1), training_age=timedelta(days=20))
DRIFTED = replace(QUIET, drifts=(Alarm("training/price", 9.0, 4.0, 0.5, "has moved"),))
STALE = replace(QUIET, training_age=timedelta(days=60))
LOST = replace(QUIET, performance=Performance("failed", 0.01, 0.04))
RISEN = replace(
    QUIET, performance=Performance("failed", 0.06, 0.04, date(2024, 4, 20), 0.6, 0.5, behind_since=date(2024, 4, 22))
)


def test_declared_policy_decides_what_the_sensors_act_on() -> None:
    declared = Policy("declared", SIGNALS)

    for known in (QUIET, DRIFTED, STALE, LOST, RISEN):
        assert declared.decides(known, RULE, None) == decide(known, RULE)


@pytest.mark.parametrize(
    ("signal", "asks"),
    [("drift", DRIFTED), ("staleness", STALE), ("gain", LOST), ("risk", RISEN)],
)
def test_policy_of_one_signal_hears_that_one_alone(signal: str, asks: RetrainingState) -> None:
    policy = Policy(signal, (signal,))  # pyright: ignore[reportArgumentType] - one of the signals

    # without the sequential tests the window alone is judged, and there the gain is large enough
    risen = RISEN if policy.needs_rises else replace(RISEN, performance=replace(RISEN.performance, state="ok"))
    retrained = [known for known in (QUIET, DRIFTED, STALE, LOST, risen)
                 if policy.decides(known, RULE, None).action == "retrain"]  # fmt: skip

    assert retrained == [asks]


def test_broken_feed_holds_back_every_policy_that_asks_sensors() -> None:
    broken = (Alarm("feed/weather rows", 9.0, 4.0, 0.0, "no rows"),)

    for known in (DRIFTED, STALE, LOST):
        found = Policy("declared", SIGNALS).decides(replace(known, broken_feeds=broken), RULE, None)
        assert found.action == "fix_upstream"


def test_schedule_retrains_once_so_many_cutoffs_have_passed_and_before_a_first_champion_at_once() -> None:
    policy = Policy("every 28d", every=4)

    actions = [policy.decides(QUIET, RULE, passed).action for passed in (1, 3, 4, 9)]

    assert actions == ["nothing", "nothing", "retrain", "retrain"]
    assert policy.decides(replace(QUIET, champion_as_of=None), RULE, None).action == "retrain"
    assert Policy("never").decides(QUIET, RULE, 99).action == "nothing"


def test_another_setting_replaces_the_declared_rule() -> None:
    patient = Policy("patient", SIGNALS, rule=RetrainingSpec(stale_after=timedelta(days=90)))

    assert (patient.decides(STALE, RULE, None).action, decide(STALE, RULE).action) == ("nothing", "retrain")


def test_hearing_everything_changes_nothing_and_hearing_nothing_leaves_the_feeds() -> None:
    known = replace(RISEN, unfinished=("weather",))

    assert heard(known, SIGNALS) == known
    assert heard(known, ()).unfinished == ("weather",)
    assert heard(known, ()).performance.state == "ok"


def test_at_least_eight_policies_are_compared_each_with_its_meaning() -> None:
    found = standard_policies(lambda k: f"{k}w")

    assert len({each.name for each in found}) == len(found) == 11
    assert all(each.meaning for each in found)
    assert found[3].name == "every 4w"
