from __future__ import annotations

import math

import pytest

from ml_assets.decisions.promotion import Verdict, judge
from ml_assets.decisions.reasons import Reason
from ml_assets.spec.gate import GateMode, GateRule
from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.window_measures import WindowMeasures
from ml_assets_tests.decisions.measures import measures, replace

RULE = GateRule(
    min_gain=0.0,
    max_loss=0.02,
    interval_level=0.9,
    resamples=500,
    min_auc=0.6,
    max_auc_drop=0.02,
    max_ece=0.1,
    min_examples=1000,
    min_days=7,
)
CANDIDATE = measures(n=12_000, n_days=14, log_loss=0.506, auc=0.707, ece=0.046)
CHAMPION = replace(CANDIDATE, log_loss=0.513, auc=0.688, ece=0.043)
HEURISTIC = replace(CANDIDATE, log_loss=0.539, auc=0.650, ece=0.068)
GAIN = Interval(estimate=0.0136, lower=-0.004, upper=0.03, level=0.9, n_days=14, n=12_000)


def _judge(
    candidate: WindowMeasures = CANDIDATE,
    champion: WindowMeasures | None = CHAMPION,
    baseline: WindowMeasures = HEURISTIC,
    gain: Interval | None = GAIN,
    gate: GateMode = "enabled",
) -> Verdict:
    return judge(
        candidate=candidate,
        champion=champion,
        baseline=baseline,
        gain=gain,
        rule=RULE.model_copy(update={"mode": gate}),
    )


def _broken(verdict: Verdict) -> list[str]:
    return [reason.code for reason in verdict.reasons if not reason.passed]


def test_a_better_candidate_is_promoted_and_the_record_shows_every_rule() -> None:
    verdict = _judge()

    assert verdict.promoted
    assert [reason.code for reason in verdict.reasons] == [
        "enough_data",
        "enough_data",
        "finite",
        "auc_enough",
        "auc_plausible",
        "ece_small",
        "beats_baseline",
        "finite",
        "same_window",
        "auc_held",
        "gain_enough",
        "loss_bounded",
    ]
    assert verdict.reasons[10] == Reason(
        code="gain_enough",
        message="relative log-loss gain over the champion: 0.0136, at least 0 is asked",
        measured=0.0136,
        threshold=0.0,
        passed=True,
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"n": 999}, "not_enough_data"),
        ({"n_days": 6}, "not_enough_data"),
        ({"auc": 0.59}, "auc_too_low"),
        ({"ece": 0.11}, "ece_too_high"),
        ({"auc": 0.667}, "auc_dropped"),
    ],
)
def test_each_rule_on_the_candidate_refuses_by_itself(change: dict[str, float], code: str) -> None:
    # The champion's AUC moves along where the floor is meant, its window where the amount of data is.
    champion = replace(CHAMPION, **({"auc": 0.6} if code == "auc_too_low" else {}))
    champion = replace(champion, **{key: value for key, value in change.items() if key in ("n", "n_days")})

    verdict = _judge(candidate=replace(CANDIDATE, **change), champion=champion)

    assert not verdict.promoted
    assert _broken(verdict) == [code]


@pytest.mark.parametrize(
    ("gain", "code"),
    [
        (replace(GAIN, estimate=-0.001), "gain_too_small"),
        (replace(GAIN, lower=-0.021), "may_be_worse"),
        (replace(GAIN, lower=math.nan), "may_be_worse"),
        (None, "not_enough_data"),
    ],
)
def test_each_rule_on_the_gain_refuses_by_itself(gain: Interval | None, code: str) -> None:
    verdict = _judge(gain=gain)

    assert not verdict.promoted
    assert _broken(verdict) == [code]


def test_thresholds_themselves_are_still_inside() -> None:
    edge = measures(n=1000, n_days=7, log_loss=0.5, auc=0.6, ece=0.1)
    champion = replace(edge, auc=0.62)

    assert _judge(edge, champion, gain=replace(GAIN, estimate=0.0, lower=-0.02)).promoted
    assert _judge(edge, None, replace(edge, log_loss=0.5)).promoted


def test_all_broken_rules_are_named_and_not_only_the_first() -> None:
    bad = measures(n=10, n_days=2, log_loss=0.9, auc=0.4, ece=0.5)

    verdict = _judge(bad, replace(CHAMPION, n=10, n_days=2), gain=replace(GAIN, estimate=-0.5, lower=-0.9))

    assert _broken(verdict) == [
        "not_enough_data",
        "not_enough_data",
        "auc_too_low",
        "ece_too_high",
        "worse_than_baseline",
        "auc_dropped",
        "gain_too_small",
        "may_be_worse",
    ]


def test_without_a_champion_the_baseline_is_the_one_to_beat() -> None:
    better = _judge(champion=None, gain=None)
    worse = _judge(candidate=replace(CANDIDATE, log_loss=0.54), champion=None, gain=None)

    assert better.promoted
    assert better.reasons[-1].code == "beats_baseline"
    assert not worse.promoted
    assert _broken(worse) == ["worse_than_baseline"]
    assert (worse.reasons[-1].measured, worse.reasons[-1].threshold) == (0.54, 0.539)


def test_without_a_champion_the_absolute_guardrails_still_hold() -> None:
    assert _broken(_judge(replace(CANDIDATE, ece=0.2), None)) == ["ece_too_high"]


def test_without_a_champion_an_unmeasured_baseline_promotes_nobody() -> None:
    assert _broken(_judge(champion=None, baseline=replace(HEURISTIC, log_loss=math.nan))) == ["worse_than_baseline"]


@pytest.mark.parametrize("measure", ["log_loss", "auc", "ece"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_measure_that_is_not_finite_is_refused_whatever_the_gate(measure: str, value: float) -> None:
    candidate = replace(CANDIDATE, **{measure: value})

    enabled, disabled = _judge(candidate), _judge(candidate, gate="disabled")

    assert "non_finite" in _broken(enabled)
    assert not enabled.promoted
    assert not disabled.promoted
    assert disabled.reasons[0].code == "gate_disabled"
    assert "can never serve" in disabled.reasons[0].message
    assert all(reason.measured is None or math.isfinite(reason.measured) for reason in enabled.reasons)


def test_measures_of_different_windows_are_not_compared() -> None:
    assert _broken(_judge(champion=replace(CHAMPION, n=11_000))) == ["windows_differ"]


def test_a_disabled_gate_promotes_and_records_what_it_would_have_said() -> None:
    bad = replace(CANDIDATE, auc=0.3, ece=0.4)

    enabled, disabled = _judge(bad), _judge(bad, gate="disabled")

    assert disabled.promoted
    assert disabled.gate == "disabled"
    assert disabled.reasons[0].code == "gate_disabled"
    assert disabled.reasons[1:] == enabled.reasons
    assert _broken(disabled) == ["auc_too_low", "ece_too_high", "auc_dropped"]


def test_a_disabled_gate_promotes_even_over_a_champion_without_measures() -> None:
    broken_champion = replace(CHAMPION, log_loss=math.nan)

    assert "non_finite" in _broken(_judge(champion=broken_champion))
    assert _judge(champion=broken_champion, gate="disabled").promoted


@pytest.mark.parametrize("is_sound", [True, False])
def test_a_dry_run_measures_all_and_lets_nothing_through(is_sound: bool) -> None:
    candidate = CANDIDATE if is_sound else replace(CANDIDATE, ece=0.2)

    enabled, dry = _judge(candidate), _judge(candidate, gate="dry_run")

    assert (dry.outcome, dry.promoted, dry.would_promote, dry.gate) == ("dry_run", False, is_sound, "dry_run")
    assert dry.reasons[0].code == "gate_dry_run"
    assert dry.reasons[1:] == enabled.reasons


@pytest.mark.parametrize(
    ("gate", "is_sound", "outcome"),
    [
        ("enabled", True, "awaiting_approval"),
        ("enabled", False, "refused"),
        ("dry_run", True, "dry_run"),
        ("disabled", False, "promoted"),
    ],
)
def test_a_person_has_the_last_word_only_on_what_kept_every_rule(gate: GateMode, is_sound: bool, outcome: str) -> None:
    candidate = CANDIDATE if is_sound else replace(CANDIDATE, ece=0.2)
    rule = RULE.model_copy(update={"approval": True, "mode": gate})

    verdict = judge(candidate=candidate, champion=CHAMPION, baseline=HEURISTIC, gain=GAIN, rule=rule)

    assert (verdict.outcome, verdict.would_promote) == (outcome, is_sound)
    assert verdict.promoted is (outcome == "promoted")


def test_an_auc_beyond_what_can_be_known_is_refused() -> None:
    rule = RULE.model_copy(update={"max_auc": 0.8})

    verdict = judge(candidate=replace(CANDIDATE, auc=0.81), champion=None, baseline=HEURISTIC, gain=None, rule=rule)

    assert _broken(verdict) == ["auc_too_good"]


@pytest.mark.parametrize(("bar", "missed"), [("auc_too_low", {"auc": 0.58}), ("ece_too_high", {"ece": 0.15})])
def test_bar_that_the_champion_misses_too_does_not_refuse_what_beats_it_and_is_told(
    bar: str, missed: dict[str, float]
) -> None:
    candidate, worse = replace(CANDIDATE, **missed), replace(CHAMPION, **missed)

    verdict = _judge(candidate, worse)

    assert verdict.promoted
    (reason,) = [each for each in verdict.reasons if each.code == bar]
    assert reason.passed
    assert "the champion misses it too" in reason.message
    # one that does not beat it is refused, and so is one whose champion keeps the bar
    assert bar in _broken(_judge(candidate, worse, gain=replace(GAIN, lower=-0.5)))
    assert bar in _broken(_judge(candidate, replace(CHAMPION, auc=0.6), gain=GAIN))
