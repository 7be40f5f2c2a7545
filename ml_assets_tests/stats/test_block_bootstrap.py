from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from ml_assets.stats.block_bootstrap import Interval, expanded_tail, paired_day_block_bootstrap, pointwise_log_loss
from ml_assets.stats.classification import log_loss


def _interval(a: ArrayLike, b: ArrayLike, days: ArrayLike, *, seed: int = 0, level: float = 0.9) -> Interval:
    rng = np.random.default_rng(seed)
    return paired_day_block_bootstrap(a, b, days, rng=rng, resamples=400, level=level)


def _two_weeks(rows_per_day: int = 50) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    days = np.repeat(np.arange("2013-04-01", "2013-04-15", dtype="datetime64[D]"), rows_per_day)
    loss_a = rng.exponential(0.5, days.size)
    day_effect = np.repeat(rng.normal(0.02, 0.05, 14), rows_per_day)
    return loss_a, np.clip(loss_a - day_effect, 0, None), days


def test_the_estimate_is_the_share_of_the_reference_loss_that_is_saved() -> None:
    a, b, days = _two_weeks()

    found = _interval(a, b, days)

    assert found.estimate == pytest.approx((a.sum() - b.sum()) / a.sum())
    assert found.lower < found.estimate < found.upper
    assert (found.level, found.n_days, found.n) == (0.9, 14, 700)


def test_whole_days_are_drawn() -> None:
    # Of two days one saves half and one nothing: a resample can only hold 0, 1 or 2 of the first.
    a, b, days = [1.0] * 4, [0.5, 0.5, 1.0, 1.0], ["mon", "mon", "tue", "tue"]

    found = _interval(a, b, days)

    assert (found.estimate, found.lower, found.upper) == (0.25, 0.0, 0.5)


def test_it_equals_a_plain_loop_over_resamples() -> None:
    a, b, days = _two_weeks(rows_per_day=3)
    draws = np.random.default_rng(0).integers(0, 14, size=(400, 14))
    unique = np.unique(days)
    gains = []
    for draw in draws:
        rows = np.concatenate([np.flatnonzero(days == unique[day]) for day in draw])
        gains.append(1 - b[rows].sum() / a[rows].sum())

    found = _interval(a, b, days)

    assert [found.lower, found.upper] == pytest.approx(
        np.quantile(gains, [expanded_tail(0.9, unique.size), 1 - expanded_tail(0.9, unique.size)]), abs=1e-12
    )


def test_days_that_share_their_weather_give_a_wider_interval_than_rows_that_do_not() -> None:
    a, b, days = _two_weeks()

    by_day, by_row = _interval(a, b, days), _interval(a, b, np.arange(a.size))

    assert by_day.upper - by_day.lower > 2 * (by_row.upper - by_row.lower)


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_row_order_changes_nothing_to_the_bit(random: Random) -> None:
    a, b, days = _two_weeks(rows_per_day=4)
    order = list(range(a.size))
    random.shuffle(order)

    assert _interval(a[order], b[order], days[order]) == _interval(a, b, days)


def test_the_same_generator_state_gives_the_same_interval_and_another_one_does_not() -> None:
    a, b, days = _two_weeks()

    assert _interval(a, b, days, seed=1) == _interval(a, b, days, seed=1)
    assert _interval(a, b, days, seed=1).lower != _interval(a, b, days, seed=2).lower


def test_a_higher_level_gives_a_wider_interval() -> None:
    a, b, days = _two_weeks()

    narrow, wide = _interval(a, b, days, level=0.5), _interval(a, b, days, level=0.99)

    assert wide.lower < narrow.lower < narrow.upper < wide.upper


def test_one_day_or_none_gives_no_bounds() -> None:
    one, none = _interval([1.0, 1.0], [0.5, 0.5], ["mon", "mon"]), _interval([], [], [])

    assert one.estimate == 0.5
    assert math.isnan(one.lower)
    assert math.isnan(one.upper)
    assert math.isnan(none.estimate)
    assert (one.n_days, none.n_days, none.n) == (1, 0, 0)


def test_a_reference_without_loss_leaves_the_share_undefined() -> None:
    found = _interval([0.0, 0.0], [0.1, 0.1], ["mon", "tue"])

    assert math.isnan(found.estimate)
    assert math.isnan(found.lower)


def test_invalid_input_is_refused() -> None:
    with pytest.raises(ValueError, match="finite and not negative: 1 rows"):
        _interval([1.0, math.nan], [1.0, 1.0], ["mon", "tue"])
    with pytest.raises(ValueError, match="one length"):
        _interval([1.0], [1.0, 1.0], ["mon", "tue"])
    with pytest.raises(ValueError, match="days must not be missing: 1"):
        _interval([1.0, 1.0], [1.0, 1.0], np.array(["2013-01-01", "NaT"], dtype="datetime64[D]"))
    with pytest.raises(ValueError, match="level"):
        _interval([1.0], [1.0], ["mon"], level=1.0)


def test_pointwise_losses_add_up_to_the_log_loss() -> None:
    labels, scores = [1, 0, 1], [0.7, 0.2, 0.1]

    assert pointwise_log_loss(labels, scores).mean() == log_loss(labels, scores)
