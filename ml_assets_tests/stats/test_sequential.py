from __future__ import annotations

import numpy as np
import pytest

from ml_assets.stats.sequential import DailyMeans, daily_means, rise_of


def days_of(rng: np.random.Generator, mean: float, n_days: int, rows: int) -> DailyMeans:
    values = rng.exponential(mean, size=n_days * rows)  # losses are skewed
    return daily_means(np.repeat(np.arange(n_days), rows), values)[1]


@pytest.mark.parametrize("rows", [20, 200])
def test_a_mean_that_stays_is_seldom_over_in_half_a_year_though_it_is_looked_at_daily(rows: int) -> None:
    over = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        reference, days = days_of(rng, 0.5, 28, rows), days_of(rng, 0.5, 180, rows)
        over += any(
            rise_of(reference, first(days, n), budget_days=180, chance=0.05, rng=np.random.default_rng(0)).is_over
            for n in range(10, 181, 10)
        )
    assert over <= 6  # 5 % are wanted; the reference of 28 days is itself an estimate


def test_a_rise_is_seen_within_days_and_dated_to_its_first() -> None:
    rng = np.random.default_rng(3)
    reference, calm, bad = days_of(rng, 0.5, 28, 100), days_of(rng, 0.5, 30, 100), days_of(rng, 0.8, 10, 100)
    days = DailyMeans(
        *(np.concatenate([getattr(calm, name), getattr(bad, name)]) for name in ("n", "means", "variances"))
    )

    found = [rise_of(reference, first(days, n), budget_days=180, chance=0.05, rng=np.random.default_rng(0))
             for n in range(30, 41)]  # fmt: skip

    assert not found[0].is_over
    seen = next(place for place, rise in enumerate(found) if rise.is_over)
    assert seen <= 4
    assert found[seen].since in range(27, 32)


def test_a_fall_is_no_rise() -> None:
    rng = np.random.default_rng(4)
    found = rise_of(days_of(rng, 0.5, 28, 50), days_of(rng, 0.2, 60, 50), budget_days=180, chance=0.05, rng=rng)
    assert (found.level, found.since) == (0.0, None)


def test_too_short_a_reference_says_nothing() -> None:
    rng = np.random.default_rng(5)
    found = rise_of(days_of(rng, 0.5, 4, 50), days_of(rng, 5.0, 60, 50), budget_days=180, chance=0.05, rng=rng)
    assert not found.is_over


def test_the_sum_comes_down_within_days_of_the_end_of_a_rise() -> None:
    rng = np.random.default_rng(6)
    reference, bad, calm = days_of(rng, 0.5, 28, 100), days_of(rng, 2.0, 60, 100), days_of(rng, 0.45, 40, 100)
    days = DailyMeans(
        *(np.concatenate([getattr(bad, name), getattr(calm, name)]) for name in ("n", "means", "variances"))
    )

    assert rise_of(reference, first(days, 60), budget_days=180, chance=0.05, rng=np.random.default_rng(0)).is_over
    assert not rise_of(reference, days, budget_days=180, chance=0.05, rng=np.random.default_rng(0)).is_over


def first(days: DailyMeans, n: int) -> DailyMeans:
    return DailyMeans(days.n[:n], days.means[:n], days.variances[:n])
