"""Tests that may be looked at after every drop keep their error rates; the benchmark has them at full length."""

from __future__ import annotations

import numpy as np

from ml_assets.experiments.power import Design, detectable_effect, fixed_sample_size, plan_experiment
from ml_assets.experiments.sample_ratio import check_sample_ratio
from ml_assets_tests.benchmarks.experiment_looks import (
    assigned_days,
    log_losses,
    power_beside_plan,
    shared_days,
    two_arms,
)

TESTS = 800


def test_looking_after_every_drop_finds_nothing_too_often_by_hand_and_rarely_by_the_sequence() -> None:
    found = two_arms(log_losses, TESTS, 40, 40, 0.5, 0.0, np.random.default_rng(1))

    assert found.missed <= 0.05
    assert found.naive_missed > 0.2


def test_sequence_covers_a_true_effect_at_all_looks_together() -> None:
    assert two_arms(log_losses, TESTS, 40, 40, 0.2, 0.2, np.random.default_rng(2)).missed <= 0.05


def test_days_that_share_a_shock_need_the_day_as_the_unit() -> None:
    by_day, by_row = shared_days(TESTS, 40, 50, 0.3, np.random.default_rng(3))

    assert by_day.missed <= 0.05
    assert by_row.missed > 0.3
    assert assigned_days(TESTS, 40, 50, 0.3, np.random.default_rng(3)).missed <= 0.05


def test_planned_effect_is_found_as_often_as_planned() -> None:
    drops, planned, found = power_beside_plan(log_losses, 0.15, 100, 1000, np.random.default_rng(4))

    assert 5 < drops < 60
    assert abs(found - planned) < 0.05  # three points, and what a thousand tests add


def test_one_look_needs_fewer_units_than_many_and_unequal_arms_need_more() -> None:
    even, uneven = Design(0.1, 1.0, 200), Design(0.1, 1.0, 200, share=0.1)
    plan = plan_experiment(even, 100, np.random.default_rng(1))

    assert round(fixed_sample_size(even)) == 3141  # (1.96 + 0.84)^2 * 4 / 0.1^2, and t for z
    assert 2.6 < fixed_sample_size(uneven) / fixed_sample_size(even) < 2.9
    assert 1.2 < plan.cost_of_looking(even) < 2.2


def test_detectable_effect_is_the_one_that_the_plan_finds() -> None:
    design = Design(0.1, 1.0, 200)
    drops = plan_experiment(design, 100, np.random.default_rng(1)).drops
    assert drops is not None

    assert abs(detectable_effect(design, drops, np.random.default_rng(2)) - 0.1) < 0.006


def test_plan_that_does_not_fit_says_so() -> None:
    plan = plan_experiment(Design(0.01, 1.0, 10), 20, np.random.default_rng(1))

    assert plan.drops is None
    assert plan.power < 0.1


def test_sample_ratio_is_told_rarely_when_kept_and_soon_when_broken() -> None:
    rng = np.random.default_rng(5)
    shares = {"new": 0.1, "old": 0.9}

    def told(true_share: float) -> int:
        new = rng.binomial(900, true_share, 60).cumsum()
        return next(
            (drop for drop in range(60) if check_sample_ratio(
                {"new": int(new[drop]), "old": 900 * (drop + 1) - int(new[drop])}, shares).is_mismatch),
            -1,
        )  # fmt: skip

    assert sum(told(0.1) >= 0 for _ in range(300)) <= 1
    assert all(0 <= told(0.12) < 15 for _ in range(50))
