"""Thresholds that come from placebos and a budget."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from scipy import stats

from ml_assets.monitoring.standing import (
    effective_monitors,
    false_alarm_rate,
    persistent,
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
    standing = standing_of(1e9, [0.0, 1.0, 2.0], rate=0.01, floor=0.1, n_independent=1)

    assert (standing.threshold, standing.is_over) == (np.inf, False)


def test_placebos_that_are_not_finite_are_left_out() -> None:
    clean = standing_of(4.0, [1.0, 2.0, 3.0], rate=0.01, floor=0.1)
    dirty = standing_of(4.0, [1.0, np.nan, 2.0, np.inf, 3.0], rate=0.01, floor=0.1)

    assert dirty == clean


def test_floor_stands_in_for_placebos_that_never_varied() -> None:
    assert standing_of(0.3, [0.0] * 20, rate=0.01, floor=0.1).z == pytest.approx(3.0)


def test_budget_is_shared_by_windows_monitors_and_families() -> None:
    rate = false_alarm_rate(timedelta(weeks=26), timedelta(days=7), 10, families=2)

    assert rate == pytest.approx(1 / (26 * 10 * 2))


def test_copies_of_one_monitor_count_once_and_independent_ones_each() -> None:
    rng = np.random.default_rng(2)
    one = rng.normal(size=(400, 1))
    independent = rng.normal(size=(400, 20))

    assert effective_monitors(np.repeat(one, 20, axis=1)) == pytest.approx(1.0)
    assert effective_monitors(independent) == pytest.approx(20, rel=0.05)


def test_monitors_that_never_vary_still_count() -> None:
    rng = np.random.default_rng(3)
    values = np.column_stack([np.zeros((50, 4)), np.repeat(rng.normal(size=(50, 1)), 3, axis=1)])

    assert effective_monitors(values) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("recent", "expected"), [([5.0, 0.0, 0.0], 0.0), ([5.0, 0.0, 4.0], 4.0), ([5.0, 5.0, 0.0, 0.0], 0.0), ([9.0], 0.0)]
)
def test_alarm_needs_two_of_the_last_three(recent: list[float], expected: float) -> None:
    assert persistent(recent, 2, 3) == expected


def test_unknown_value_does_not_count_towards_persistence() -> None:
    assert persistent([7.0, float("nan"), 6.0], 2, 3) == 6.0
