from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.classification import auc, brier, expected_calibration_error, log_loss
from ml_assets.stats.measured_intervals import MEASURES, measured_intervals


def measured(y: np.ndarray, p: np.ndarray, day: np.ndarray, resamples: int = 60, seed: int = 0) -> dict[str, Interval]:
    return measured_intervals(y, p, day, rng=np.random.default_rng(seed), resamples=resamples, level=0.9)


def sample(seed: int, n: int = 200, days: int = 8, ties: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    p = np.round(p, 1) if ties else p  # 0, 1 and the edges of the bins among them
    y = (rng.random(n) < 0.2 + 0.6 * p).astype(float)
    return y, p, rng.integers(0, days, n)


@given(seed=st.integers(0, 500), n=st.integers(3, 200), ties=st.booleans())
def test_estimates_are_the_plain_measures_of_all_rows(seed: int, n: int, ties: bool) -> None:
    y, p, day = sample(seed, n, ties=ties)
    y[:2] = 0, 1

    found = measured(y, p, day, resamples=2)

    plain = {"auc": auc(y, p), "average_precision": average_precision_score(y, p), "log_loss": log_loss(y, p),
             "brier": brier(y, p), "ece": expected_calibration_error(y, p)}  # fmt: skip
    assert {name: each.estimate for name, each in found.items()} == pytest.approx(plain, abs=1e-12)
    assert {(each.n, each.n_days) for each in found.values()} == {(n, np.unique(day).size)}


@given(seed=st.integers(0, 100))
def test_order_of_the_rows_and_names_of_the_days_change_nothing(seed: int) -> None:
    y, p, day = sample(seed)
    order = np.random.default_rng(seed + 1).permutation(y.size)
    names = np.array([f"2013-01-{number + 1:02d}" for number in range(8)])

    plain, mixed = measured(y, p, day), measured(y[order], p[order], names[day[order]])

    for name in MEASURES:
        for end in ("estimate", "lower", "upper"):
            assert getattr(mixed[name], end) == pytest.approx(getattr(plain[name], end), abs=1e-12)


def test_bounds_are_those_of_days_drawn_again_and_measured_plainly() -> None:
    y, p, day = sample(3, ties=False)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(60):
        rows = np.concatenate([np.flatnonzero(day == each) for each in rng.integers(0, 8, 8)])
        drawn.append((log_loss(y[rows], p[rows]), auc(y[rows], p[rows])))
    low, high = np.min(drawn, axis=0), np.max(drawn, axis=0)

    found = measured(y, p, day)

    for place, name in enumerate(("log_loss", "auc")):
        each = found[name]
        assert low[place] - 1e-12 <= each.lower < each.estimate < each.upper <= high[place] + 1e-12


def test_more_days_give_narrower_intervals() -> None:
    few, many = (measured(*sample(1, n=days * 40, days=days), resamples=200)["log_loss"] for days in (5, 60))

    assert many.upper - many.lower < (few.upper - few.lower) / 2


def test_what_is_undefined_is_no_number() -> None:
    nothing = measured(np.empty(0), np.empty(0), np.empty(0))
    one_class = measured(np.zeros(6), np.linspace(0.1, 0.6, 6), np.arange(6) % 2)
    one_day = measured(np.array([0.0, 1.0]), np.array([0.2, 0.8]), np.array([1, 1]))

    assert all(np.isnan(each.estimate) and (each.n, each.n_days) == (0, 0) for each in nothing.values())
    assert np.isnan([one_class["auc"].estimate, one_class["average_precision"].estimate]).all()
    assert one_class["brier"].estimate == pytest.approx(np.mean(np.linspace(0.1, 0.6, 6) ** 2))
    assert (one_day["auc"].estimate, np.isnan(one_day["auc"].lower)) == (1.0, True)
