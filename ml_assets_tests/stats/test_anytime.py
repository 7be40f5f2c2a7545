"""The sequence at single looks: against closed forms, and against what must not happen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ml_assets.stats.anytime import Estimate, anytime_interval, anytime_p_value, e_value, tuned_prior
from ml_assets.stats.clustered import clustered_difference, design_effect, mean_difference, paired_difference
from ml_assets.stats.covariate_adjustment import adjust_by_covariate
from ml_assets.stats.several_metrics import holm


def estimate(value: float, error: float, n: int) -> Estimate:
    return Estimate(value, error, n - 1, n, n, n)


def test_many_units_give_the_asymptotic_confidence_sequence() -> None:
    n, level = 100_000, 0.95
    prior = tuned_prior(20_000, level)
    rho = 1 / prior
    spread, alpha = 2.0, 1 - level
    half = spread * math.sqrt(2 * (n * rho + 1) / (n**2 * rho) * math.log(math.sqrt(n * rho + 1) / alpha))

    found = anytime_interval(estimate(1.0, spread / math.sqrt(n), n), level, prior)

    assert found.upper - 1 == pytest.approx(half, rel=1e-3)


@pytest.mark.parametrize("n", [3, 12, 400])
def test_bound_is_where_the_e_value_reaches_one_over_the_error_rate(n: int) -> None:
    found = anytime_interval(estimate(0.3, 0.1, n), 0.95, prior=0.1)

    assert e_value(estimate(0.3, 0.1, n), found.lower, prior=0.1) == pytest.approx(20, rel=1e-6)
    assert anytime_p_value(estimate(0.3, 0.1, n), found.upper, prior=0.1) == pytest.approx(0.05, rel=1e-6)


def test_too_few_units_bound_nothing() -> None:
    two = anytime_interval(estimate(5.0, 0.1, 2), 0.95, prior=1.0)
    none = anytime_interval(mean_difference([1.0], [2.0]), 0.95, prior=1.0)

    assert (two.lower, two.upper) == (-math.inf, math.inf)
    assert (none.lower, none.upper) == (-math.inf, math.inf)
    assert e_value(mean_difference([1.0], [2.0]), 0.0, prior=1.0) == 1.0


def test_units_without_spread_do_not_divide_by_zero() -> None:
    same = paired_difference([0.0, 0.0, 0.0], [1, 1, 1])

    assert e_value(same, 0.0, prior=1.0) <= 1
    assert anytime_interval(same, 0.95, prior=0.05).lower == 0.0


def test_rows_of_a_day_count_once_when_they_are_copies() -> None:
    rng = np.random.default_rng(1)
    per_day = rng.normal(size=30)
    one = paired_difference(per_day, np.ones(30))
    copied = paired_difference(per_day * 50, np.full(30, 50))

    assert copied.standard_error == pytest.approx(one.standard_error)
    assert copied.information == pytest.approx(30)


def test_days_in_one_arm_are_as_many_units_as_days() -> None:
    rng = np.random.default_rng(2)
    day = np.repeat(np.arange(40), 25)
    values = rng.normal(size=1000) + rng.normal(size=40)[day]

    found = clustered_difference(values, day % 2 == 0, day)
    means = np.array([values[day == each].mean() for each in range(40)])

    assert found.value == pytest.approx(mean_difference(means[::2], means[1::2]).value)
    assert found.standard_error == pytest.approx(mean_difference(means[::2], means[1::2]).standard_error, rel=0.02)
    assert found.information == pytest.approx(10)
    assert design_effect(values, day % 2 == 0, day) > 5


def test_what_both_arms_of_a_day_share_cancels() -> None:
    rng = np.random.default_rng(3)
    day = np.repeat(np.arange(40), 50)
    arm = rng.random(2000) < 0.5
    noise = rng.normal(size=2000)

    with_shock = clustered_difference(noise + 5 * rng.normal(size=40)[day], arm, day)

    assert with_shock.standard_error < 1.0  # rows alone would say 0.23 of a spread of 5 and above
    assert with_shock.degrees == 39


def test_covariate_takes_the_variance_it_explains() -> None:
    rng = np.random.default_rng(4)
    score = rng.normal(size=20_000)
    outcome = score + rng.normal(size=20_000)

    found = adjust_by_covariate(outcome, score)

    assert found.variance_reduction == pytest.approx(0.5, abs=0.02)
    assert found.values.mean() == pytest.approx(outcome.mean())
    assert adjust_by_covariate(outcome, np.ones(20_000)).variance_reduction == 0


def test_holm_keeps_the_order_of_what_was_given() -> None:
    assert holm({"b": 0.2, "a": 0.01, "c": 0.02}) == {"b": 0.2, "a": 0.03, "c": 0.04}
    assert holm({}) == {}
