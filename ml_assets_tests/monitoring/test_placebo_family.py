"""Thresholds for many monitors at once, kept by new windows."""

from __future__ import annotations

import numpy as np
import pytest

from ml_assets.monitoring.placebo_family import PlaceboFamily, _inverse_trigamma, moderated_deviations

RATE = 0.02
REPEATS = 1500


def draw(rng: np.random.Generator, n: int, monitors: int, shared: float) -> np.ndarray:
    """Windows of monitors that share a part of their variance."""
    common = rng.normal(size=(n, 1))
    return np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(size=(n, monitors))


@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_new_windows_exceed_both_thresholds_as_rarely_as_promised(shared: float) -> None:
    rng = np.random.default_rng(1)
    weights = np.full(30, 1 / 30)
    over = np.zeros((REPEATS, 2))
    for repeat in range(REPEATS):
        values = draw(rng, 9, 30, shared)
        family = PlaceboFamily(values[:8], 0.01)
        z = family.standardised(values[8])
        over[repeat] = z.max() > family.largest_threshold(RATE), z @ weights > family.mean_threshold(RATE, weights)

    noise = 3 * np.sqrt(RATE * (1 - RATE) / REPEATS)
    assert over.mean(axis=0) == pytest.approx(RATE, abs=noise + 0.01)


@pytest.mark.parametrize("value", [1e-6, 0.01, 0.3, 1.0, 20.0, 1e4])
def test_inverse_of_the_trigamma_function_gives_the_value_back(value: float) -> None:
    from scipy.special import polygamma

    assert polygamma(1, _inverse_trigamma(value)) == pytest.approx(value, rel=1e-9)


def test_moderation_leaves_the_mean_variance_and_calms_the_extremes() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(8, 200)) * rng.choice([1.0, 3.0], 200)
    plain, moderated = values.std(axis=0, ddof=1), moderated_deviations(values, 0.0)

    assert np.corrcoef(plain, moderated)[0, 1] > 0.95
    assert moderated.min() > plain.min()
    assert moderated.max() < plain.max()


def test_one_wild_monitor_does_not_hide_in_the_others() -> None:
    rng = np.random.default_rng(3)
    family = PlaceboFamily(draw(rng, 8, 30, 0.3), 0.25)
    moved = np.zeros(30)
    moved[7] = 12.0

    assert family.standardised(moved).max() > family.largest_threshold(RATE)


def test_weights_say_whose_move_matters() -> None:
    rng = np.random.default_rng(4)
    family = PlaceboFamily(draw(rng, 8, 10, 0.0), 0.25)
    moved = np.zeros(10)
    moved[0] = 6.0
    for weighs, is_over in ((0, True), (1, False)):
        weights = np.zeros(10)
        weights[weighs] = 1.0
        assert (family.standardised(moved) @ weights > family.mean_threshold(RATE, weights)) is np.bool_(is_over)
