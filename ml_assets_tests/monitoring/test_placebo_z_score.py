"""Thresholds that come from placebos and a budget."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from scipy import stats

from ml_assets.monitoring.placebo_z_score import (
    false_alarm_rate,
    persistent,
    share_interval,
    standing_of,
    threshold_of,
)


def test_threshold_is_students_quantile_for_a_new_observation() -> None:
    expected = stats.t.ppf(1 - 0.01 / 2, df=11) * np.sqrt(1 + 1 / 12)

    assert threshold_of(0.01, 12) == pytest.approx(expected, rel=1e-9)


def test_threshold_is_kept_by_new_observations_at_the_rate_it_promises() -> None:
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(20_000, 9))
    over = [standing_of(row[-1], row[:-1], rate=0.02, floor=1e-9).is_over for row in draws]

    assert np.mean(over) == pytest.approx(0.02, abs=4 * np.sqrt(0.02 * 0.98 / 20_000))


def test_one_independent_placebo_gives_no_threshold_and_nothing_is_over() -> None:
    z_score = standing_of(1e9, [0.0, 1.0, 2.0], rate=0.01, floor=0.1, n_independent=1)

    assert (z_score.threshold, z_score.is_over) == (np.inf, False)


def test_placebos_that_are_not_finite_are_left_out() -> None:
    clean = standing_of(4.0, [1.0, 2.0, 3.0], rate=0.01, floor=0.1)
    dirty = standing_of(4.0, [1.0, np.nan, 2.0, np.inf, 3.0], rate=0.01, floor=0.1)

    assert dirty == clean


def test_floor_stands_in_for_placebos_that_never_varied() -> None:
    assert standing_of(0.3, [0.0] * 20, rate=0.01, floor=0.1).z == pytest.approx(3.0)


def test_budget_is_shared_by_windows_monitors_and_families() -> None:
    rate = false_alarm_rate(timedelta(weeks=26), timedelta(days=7), 10, families=2)

    assert rate == pytest.approx(1 / (26 * 10 * 2))


@pytest.mark.parametrize(
    ("recent", "expected"), [([5.0, 0.0, 0.0], 0.0), ([5.0, 0.0, 4.0], 4.0), ([5.0, 5.0, 0.0, 0.0], 0.0), ([9.0], 0.0)]
)
def test_alarm_needs_two_of_the_last_three(recent: list[float], expected: float) -> None:
    assert persistent(recent, 2, 3) == expected


def test_unknown_value_does_not_count_towards_persistence() -> None:
    assert persistent([7.0, float("nan"), 6.0], 2, 3) == 6.0


@pytest.mark.parametrize(("k", "n"), [(0, 8), (1, 8), (4, 9), (8, 8), (3, 200)])
def test_interval_is_that_of_the_exact_binomial_test(k: int, n: int) -> None:
    expected = stats.binomtest(k, n).proportion_ci(0.9, method="exact")

    assert share_interval(k, n, 0.9) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(("k", "n", "level"), [(-1, 8, 0.9), (9, 8, 0.9), (0, 0, 0.9), (1, 2, 1.0)])
def test_impossible_counts_are_refused(k: int, n: int, level: float) -> None:
    with pytest.raises(ValueError, match="allowed: 0 <= k <= n"):
        share_interval(k, n, level)
