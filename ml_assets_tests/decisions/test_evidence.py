from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ml_assets.decisions.evidence import (
    LEAST_SPREAD,
    ClassCounts,
    Evidence,
    GroupGap,
    SliceGain,
    evidence_reasons,
)
from ml_assets.decisions.promotion import MOST_MONTHS, judge
from ml_assets.spec.gate import Guardrail
from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.window_measures import SimpleGain
from ml_assets_tests.decisions.measures import replace
from ml_assets_tests.decisions.test_promotion import CANDIDATE, CHAMPION, GAIN, HEURISTIC, RULE

NOW = datetime(2013, 9, 30, tzinfo=UTC)
SOUND = Evidence(
    constant_loss=0.6, score_spread=0.1, trained_until=NOW, champion_trained_until=NOW - timedelta(days=30),
    n_behaviours=3,
)  # fmt: skip
RULES = RULE.model_copy(update={"max_slice_loss": 0.05, "min_slice": 1000})


def slice_gain(estimate: float, upper: float, n: int = 1000, value: str = "UA") -> SliceGain:
    return SliceGain("carrier", value, Interval(estimate, estimate - 0.1, upper, 0.9, 14, n))


def codes(evidence: Evidence, *, passed: bool | None = None) -> list[str]:
    reasons = evidence_reasons(CANDIDATE, evidence, RULES)
    return [reason.code for reason in reasons if passed is None or reason.passed is passed]


def test_sound_evidence_leaves_every_rule_kept() -> None:
    sound = replace(SOUND, slices=(slice_gain(0.02, 0.1),), groups=(GroupGap("g", 0.1, 0.1),))

    assert codes(sound) == [
        "beats_constant", "scores_vary", "newer_than_champion", "no_leak", "slices_held", "behaves", "groups_alike",
    ]  # fmt: skip
    assert codes(sound, passed=False) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"constant_loss": CANDIDATE.loss - 1e-6}, "worse_than_constant"),
        ({"constant_loss": math.nan}, "worse_than_constant"),
        ({"score_spread": LEAST_SPREAD / 2}, "scores_constant"),
        ({"score_spread": math.nan}, "scores_constant"),
        ({"champion_trained_until": NOW + timedelta(seconds=1)}, "older_than_champion"),
        ({"leaks": ("target air_time",)}, "leak_found"),
        ({"slices": (slice_gain(-0.06, -0.01),)}, "slice_worse"),
        ({"broken_behaviours": ("more_lateness",)}, "behaviour_broken"),
        ({"groups": (GroupGap("g", 0.11, 0.1),)}, "groups_differ"),
        ({"groups": (GroupGap("g", math.nan, 0.1),)}, "groups_differ"),
    ],
)
def test_each_rule_about_the_evidence_is_broken_by_itself(change: dict[str, Any], code: str) -> None:
    assert codes(replace(SOUND, **change), passed=False) == [code]


@pytest.mark.parametrize(
    "held",
    [
        slice_gain(-0.05, -0.01),  # by no more than is allowed
        slice_gain(-0.30, 0.0),  # it may be chance
        slice_gain(-0.30, -0.2, n=999),  # too few to judge
        slice_gain(-0.30, math.nan),  # days of one alone: nothing is sure
    ],
)
def test_slice_that_is_not_surely_worse_refuses_nobody(held: SliceGain) -> None:
    assert codes(replace(SOUND, slices=(held,)), passed=False) == []


def test_every_slice_that_is_worse_is_named_and_the_least_gain_where_none_is() -> None:
    worse = replace(SOUND, slices=(slice_gain(-0.2, -0.1), slice_gain(-0.3, -0.1, value="B6"), slice_gain(0.1, 0.2)))
    held = replace(SOUND, slices=(slice_gain(0.1, 0.2), slice_gain(-0.01, 0.2, value="B6")))

    said = [reason.message for reason in evidence_reasons(CANDIDATE, worse, RULES) if not reason.passed]
    (kept,) = [reason for reason in evidence_reasons(CANDIDATE, held, RULES) if reason.code == "slices_held"]

    assert [each.split(" (")[0] for each in said] == ["carrier UA", "carrier B6"]
    assert kept.message.endswith("the least gain of 2 is at carrier B6")
    assert kept.measured == -0.01


def test_before_the_first_champion_nothing_is_newer_and_without_behaviours_none_is_kept() -> None:
    first = replace(SOUND, champion_trained_until=None, n_behaviours=0)

    assert first.newer_by == timedelta(0)
    assert codes(first) == ["beats_constant", "scores_vary", "no_leak"]


@pytest.mark.parametrize(
    ("days", "lower", "is_enough"),
    [(30, -0.049, True), (30, -0.051, False), (0, -0.019, True), (0, -0.021, False), (-30, -0.021, False),
     (300, -(0.02 + 0.03 * MOST_MONTHS) + 0.001, True), (300, -(0.02 + 0.03 * MOST_MONTHS) - 0.001, False)],
)  # fmt: skip
def test_newer_training_rows_widen_the_room_below_zero_by_their_months(
    days: int, lower: float, is_enough: bool
) -> None:
    rule = RULE.model_copy(update={"max_loss_per_30d_newer": 0.03})
    evidence = replace(SOUND, champion_trained_until=NOW - timedelta(days=days))

    verdict = judge(
        candidate=CANDIDATE, champion=CHAMPION, baseline=HEURISTIC, gain=replace(GAIN, lower=lower), rule=rule,
        evidence=evidence,
    )  # fmt: skip

    (bound,) = [reason for reason in verdict.reasons if reason.code in ("loss_bounded", "may_be_worse")]
    assert bound.passed is is_enough


def test_broken_evidence_refuses_what_its_measures_would_let_through() -> None:
    given = {"candidate": CANDIDATE, "champion": CHAMPION, "baseline": HEURISTIC, "gain": GAIN, "rule": RULE}

    assert judge(**given, evidence=SOUND).outcome == "promoted"
    assert judge(**given, evidence=replace(SOUND, leaks=("x",))).outcome == "refused"


@pytest.mark.parametrize(
    ("measures", "code"),
    [
        ({}, "guardrail_held"),  # trained anew: it has nothing to forget
        ({"log_loss_on_old_rows": (0.51, 0.5)}, "guardrail_held"),
        ({"log_loss_on_old_rows": (0.54, 0.5)}, "guardrail_broken"),
    ],
)
def test_guardrail_on_what_is_forgotten_is_of_warm_starts_alone(
    measures: dict[str, tuple[float, float]], code: str
) -> None:
    rules = RULES.model_copy(update={"guardrails": (Guardrail(measure="log_loss_on_old_rows", max_worse=0.02),)})
    found = evidence_reasons(CANDIDATE, replace(SOUND, measures=measures), rules)

    assert [reason.code for reason in found if reason.code.startswith("guardrail")] == [code]


@pytest.mark.parametrize(
    ("measures", "code"),
    [
        ({"minutes_mae": (12.0, math.nan)}, "guardrail_held"),  # a new objective: the champion foretells none
        ({"minutes_mae": (12.0, 12.0)}, "guardrail_held"),
        ({"minutes_mae": (14.0, 12.0)}, "guardrail_broken"),
        ({"minutes_mae": (math.nan, 12.0)}, "guardrail_broken"),
        ({}, "guardrail_broken"),
    ],
)
def test_guardrail_holds_where_the_champion_does_not_give_its_measure(
    measures: dict[str, tuple[float, float]], code: str
) -> None:
    rules = RULES.model_copy(update={"guardrails": (Guardrail(measure="minutes_mae", max_worse=1.0),)})

    reasons = evidence_reasons(CANDIDATE, replace(SOUND, measures=measures), rules)

    assert code in [reason.code for reason in reasons]


def test_champion_that_can_score_nothing_is_named_and_refuses_nobody() -> None:
    gone = replace(SOUND, champion_lacks=("wind_mph",), champion_trained_until=None)

    (said,) = [each for each in evidence_reasons(CANDIDATE, gone, RULES) if each.code == "champion_cannot_score"]

    assert said.passed
    assert said.message.endswith("wind_mph")


def test_window_of_one_class_is_refused_for_that_alone_and_auc_is_not_judged() -> None:
    window = replace(CANDIDATE, positives=0, auc=math.nan, ece=0.4)

    verdict = judge(candidate=window, champion=CHAMPION, baseline=HEURISTIC, gain=GAIN, rule=RULE, evidence=SOUND)

    assert verdict.outcome == "refused"
    (broken,) = [reason for reason in verdict.reasons if not reason.passed]
    assert (broken.code, broken.measured) == ("one_class", 0)
    assert "the holdout split has 0 positives of 12000 examples" in broken.message
    assert "labels.sql" in broken.message


@pytest.mark.parametrize("positives", [0, 624])
@pytest.mark.parametrize("mode", ["enabled", "disabled"])
def test_candidate_trained_on_one_class_is_refused_whatever_the_gate(positives: int, mode: str) -> None:
    evidence = replace(SOUND, trained_on=ClassCounts(624, positives), score_spread=0.0)
    rule = RULE.model_copy(update={"mode": mode})

    verdict = judge(candidate=CANDIDATE, champion=None, baseline=HEURISTIC, gain=None, rule=rule, evidence=evidence)

    assert verdict.outcome == "refused"
    told = [reason.message for reason in verdict.reasons if reason.code == "one_class"]
    assert len(told) == 1
    assert f"the training split has {positives} positives of 624 examples" in told[0]


def test_leak_is_told_of_a_candidate_of_one_class_too() -> None:
    evidence = replace(SOUND, trained_on=ClassCounts(624, 0), leaks=("target air_time",))

    verdict = judge(candidate=CANDIDATE, champion=None, baseline=HEURISTIC, gain=None, rule=RULE, evidence=evidence)

    assert [reason.code for reason in verdict.reasons if not reason.passed] == ["one_class", "leak_found"]


@pytest.mark.parametrize(
    ("champion_loss", "outcome"),
    [
        (HEURISTIC.loss + 0.01, "promoted"),  # it does worse than the baseline, and would serve instead
        (HEURISTIC.loss - 0.001, "refused"),
    ],
)
def test_gain_over_what_is_simple_need_not_be_sure_where_the_champion_loses_to_it(
    champion_loss: float, outcome: str
) -> None:
    unsure = SimpleGain("baseline", Interval(0.03, -0.02, 0.08, 0.9, 14, 12_000))
    champion = replace(CHAMPION, log_loss=champion_loss)

    verdict = judge(
        candidate=CANDIDATE, champion=champion, baseline=HEURISTIC, gain=GAIN, rule=RULES,
        evidence=replace(SOUND, over_simple=unsure),
    )  # fmt: skip

    assert verdict.outcome == outcome
    (reason,) = [each for each in verdict.reasons if each.code == "gain_over_constant_unsure"]
    assert ("the champion misses it too" in reason.message) is (outcome == "promoted")
