from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.spec.model import CalibrationMethod
from ml_assets.stats.classification import expected_calibration_error, log_loss
from ml_assets.training.calibration import CalibratedModel, fit_curve
from ml_assets.training.estimators import fit_candidate, load_model, part_of
from ml_assets_tests.training.conftest import CANDIDATES, made_up_flights

METHODS: tuple[CalibrationMethod, ...] = ("platt", "isotonic")
GRID = np.linspace(0, 1, 501)


def too_sure(seed: int, n: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are twice as sure, in log odds, as the outcomes bear out."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-1, 1, n)
    labels = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float)
    return 1 / (1 + np.exp(-2 * odds)), labels


@pytest.mark.parametrize("method", METHODS)
def test_curve_mends_scores_that_are_too_sure_on_rows_it_was_not_learned_on(method: CalibrationMethod) -> None:
    scores, labels = too_sure(0)
    others, outcomes = too_sure(1)

    curve = fit_curve(method, scores, labels)

    assert curve is not None
    assert expected_calibration_error(outcomes, others) > 0.08
    assert expected_calibration_error(outcomes, curve(others)) < 0.03
    assert log_loss(outcomes, curve(others)) < log_loss(outcomes, others) - 0.05


def test_platt_finds_the_slope_that_was_planted() -> None:
    scores, labels = too_sure(2, 20_000)

    curve = fit_curve("platt", scores, labels)

    assert curve is not None
    assert curve.values == pytest.approx((0, 0.5), abs=0.06)


@given(seed=st.integers(0, 1000), n=st.integers(2, 200), method=st.sampled_from(METHODS))
def test_curve_never_turns_the_order_around_and_gives_probabilities(
    seed: int, n: int, method: CalibrationMethod
) -> None:
    rng = np.random.default_rng(seed)  # noise: what is learned may as well fall as rise
    scores, labels = rng.random(n), (rng.random(n) < 0.5).astype(float)

    curve = fit_curve(method, scores, labels)

    assert curve is not None
    given_back = curve(GRID)
    assert np.diff(given_back).min() >= 0
    assert 0 <= given_back[0] <= given_back[-1] <= 1
    again = fit_curve(method, scores, labels)
    assert again is not None
    assert again.values == curve.values


def test_scores_that_fall_with_the_outcome_are_flattened_and_not_turned_around() -> None:
    scores, labels = too_sure(3)

    curve = fit_curve("platt", 1 - scores, labels)

    assert curve is not None
    assert curve.values[1] == 0
    assert curve(GRID) == pytest.approx(np.full(GRID.size, labels.mean()), abs=0.002)


@given(seed=st.integers(0, 1000), level=st.floats(-9, 9), slope=st.floats(-4, 4))
def test_platt_ends_where_no_other_line_loses_less(seed: int, level: float, slope: float) -> None:
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 2, 400)
    labels = (rng.random(400) < 1 / (1 + np.exp(-level - slope * odds))).astype(float)
    scores = 1 / (1 + np.exp(-odds))

    curve = fit_curve("platt", scores, labels)

    assert curve is not None
    intercept, slope = curve.values

    if curve.values[1] > 0:  # a falling slope is flattened instead
        wrong_by = 1 / (1 + np.exp(-intercept - curve.values[1] * odds)) - labels
        steepness = (wrong_by.sum() + 0.4 * intercept, (wrong_by * odds).sum() + 0.4 * (curve.values[1] - 1))
        assert steepness == pytest.approx((0, 0), abs=1e-9)

    def lost(a: float, b: float) -> float:
        at = a + b * odds
        return float((np.logaddexp(0, at) - labels * at).sum() + 0.2 * (a**2 + (b - 1) ** 2))

    nearby = [(intercept + da, max(slope + db, 0)) for da in (-0.01, 0, 0.01) for db in (-0.01, 0, 0.01)]
    assert lost(intercept, slope) <= min(lost(*each) for each in nearby) + 1e-9


def test_isotonic_step_never_rests_on_one_or_two_rows() -> None:
    rng = np.random.default_rng(5)
    scores = rng.random(400)
    labels = (rng.random(400) < 0.05).astype(float)
    labels[np.argsort(scores)[-2:]] = 1  # the two highest happen to be positives
    labels[np.argsort(scores)[:2]] = 0

    curve = fit_curve("isotonic", scores, labels)

    assert curve is not None
    given_back = curve(scores)
    assert given_back.max() < 0.3  # twenty rows, two or three of them positive; unsmoothed it is 0.9999
    assert given_back.min() > 1e-4
    assert given_back.mean() == pytest.approx(labels.mean(), abs=0.01)


def test_twenty_positives_in_a_row_are_no_certainty() -> None:
    scores, labels = np.r_[np.full(980, 0.1), np.linspace(0.8, 0.9, 20)], np.r_[np.zeros(980), np.ones(20)]

    curve = fit_curve("isotonic", scores, labels)

    assert curve is not None
    assert curve(np.array([0.1, 0.9])) == pytest.approx([2 * 0.02 / 982, 20.04 / 22], abs=1e-4)


def test_nothing_is_learned_where_nothing_is_asked_for() -> None:
    assert fit_curve("none", *too_sure(0)) is None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", sorted(CANDIDATES))
def test_calibrated_model_reads_back_to_the_bit(method: CalibrationMethod, kind: str) -> None:
    frame, labels = made_up_flights()
    inner = fit_candidate(CANDIDATES[kind], frame, labels, seed=0)
    curve = fit_curve(method, inner.predict(frame), labels.astype(float))
    assert curve is not None
    model = CalibratedModel(inner, curve)

    read = load_model("calibrated", model.to_files())

    assert isinstance(read, CalibratedModel)
    assert read.curve == curve
    assert read.predict(frame).tolist() == model.predict(frame).tolist() == curve(inner.predict(frame)).tolist()
    assert read.to_files() == model.to_files()
    assert (read.kind, part_of(read, "x").kind, read.feature_names) == ("calibrated", kind, inner.feature_names)
    assert read.importance() == inner.importance()
