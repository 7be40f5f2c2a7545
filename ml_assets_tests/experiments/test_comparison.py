"""How arms are compared: paired or apart, by drop or by unit, with what was learned before the start."""

from __future__ import annotations

import numpy as np
import pytest

from ml_assets.experiments.comparison import (
    ComparedExamples,
    ComparisonRule,
    HarmBound,
    compare_arms,
    example_losses,
    paired_estimate,
)
from ml_assets.stats.anytime import tuned_prior
from ml_assets_tests.benchmarks.canaries import BOUNDS, Traffic, abort_day, calibrated, draw, too_sure


def rule(**others: object) -> ComparisonRule:
    return ComparisonRule(**{"bounds": BOUNDS, "is_paired": True, "by_drop": True, "level": 0.95,
                             "prior": tuned_prior(5, 0.95), "reference": {}, **others})  # fmt: skip


def world(days: int = 10, **traffic: float) -> ComparedExamples:
    return draw(Traffic(**{"rows": 200, **traffic}), days, None, np.random.default_rng(1))


def test_bound_is_a_share_of_the_champions_loss_or_in_the_unit_of_the_measure() -> None:
    (loss, brier, _) = compare_arms(world(), rule())

    assert loss.worse_by.estimate == pytest.approx(loss.challenger - loss.champion * 1.01)
    assert brier.worse_by.estimate == pytest.approx(brier.challenger - brier.champion - 0.005)


def test_arms_that_are_compared_apart_use_each_arms_own_examples() -> None:
    found = world()
    (loss, *_) = compare_arms(found, rule(is_paired=False))

    arm = found.is_challenger
    assert loss.challenger == pytest.approx(found.challenger["log_loss"][arm].mean())
    assert loss.champion == pytest.approx(found.champion["log_loss"][~arm].mean())
    assert loss.worse_by.upper - loss.worse_by.lower > 0


def test_pairing_says_more_than_two_arms() -> None:
    found = world()

    paired, apart = (compare_arms(found, rule(is_paired=each))[0].worse_by for each in (True, False))

    assert paired.upper - paired.lower < (apart.upper - apart.lower) / 2


def test_units_that_came_again_are_one_piece_of_evidence() -> None:
    found = world()
    again = ComparedExamples(
        np.tile(found.drops, 2), np.tile(found.units, 2), np.tile(found.is_challenger, 2),
        {name: np.tile(each, 2) for name, each in found.challenger.items()},
        {name: np.tile(each, 2) for name, each in found.champion.items()}, np.tile(found.champion_scores, 2),
    )  # fmt: skip

    once, twice = (compare_arms(each, rule(by_drop=False))[0] for each in (found, again))

    assert twice.n == 2 * once.n
    assert twice.n_units == once.n_units
    assert (twice.worse_by.lower, twice.worse_by.upper) == pytest.approx((once.worse_by.lower, once.worse_by.upper))


def test_drops_before_the_start_make_few_drops_say_more() -> None:
    found = world(days=3)
    before = draw(Traffic(200), 14, None, np.random.default_rng(2))
    reference = {
        name: paired_estimate(before.challenger[name], before.champion[name], bound, before.drops)
        for name, bound in BOUNDS.items()
    }

    alone, learned = (compare_arms(found, rule(reference=each))[0].worse_by for each in ({}, reference))

    assert learned.estimate == alone.estimate
    assert learned.upper - learned.lower < alone.upper - alone.lower


def test_first_measure_has_half_of_the_error_rate_and_alone_all_of_it() -> None:
    found = world(error=0.9)
    worse = ComparedExamples(
        found.drops, found.units, found.is_challenger,
        {name: each * 1.05 for name, each in found.champion.items()}, found.champion, found.champion_scores,
    )  # fmt: skip
    only = {"log_loss": HarmBound(0.01, is_relative=True)}

    alone, among = compare_arms(worse, rule(bounds=only))[0], compare_arms(worse, rule())[0]

    assert 0 < alone.p_value < 0.01
    assert among.p_value == pytest.approx(2 * alone.p_value)


def test_abstaining_is_a_loss_of_its_own() -> None:
    found = example_losses(np.array([1.0, 0.0]), np.array([0.9, 0.5]), np.array([True, False]), (1.0, 1.0))

    assert found["abstained"].tolist() == [1.0, 0.0]
    assert found["brier"].tolist() == pytest.approx([0.01, 0.25])


def test_regression_of_a_tenth_is_aborted_soon_and_equal_models_are_not() -> None:
    traffic = Traffic(900)
    fault = calibrated(traffic, too_sure, 1.0, 4.0, 0.10)

    hurt = [abort_day(traffic, 8, fault, np.random.default_rng(seed)) for seed in range(12)]
    equal = [abort_day(traffic, 40, None, np.random.default_rng(seed)) for seed in range(6)]

    assert sum(day is not None and day <= 5 for day in hurt) >= 9
    assert equal == [None] * 6
