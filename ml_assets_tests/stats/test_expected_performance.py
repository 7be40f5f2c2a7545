"""What is expected of scores without labels, held against what labels then say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.stats.classification import auc, pointwise_log_loss
from ml_assets.stats.expected_performance import (
    LEAST_DAYS,
    ScoreCurve,
    band_of,
    expected_auc,
    expected_mean,
    fit_score_curve,
)
from ml_assets.stats.logit import logit, sigmoid


def scored(seed: int, n: int = 40_000, *, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Give scores that are too sure by a third, and outcomes."""
    rng = np.random.default_rng(seed)
    truth = sigmoid(rng.normal(-1 + offset, 1.2, n))
    return sigmoid(1.33 * logit(truth)), (rng.random(n) < truth).astype(float)


def test_expected_loss_and_auc_of_scores_that_are_too_sure_are_what_comes_true() -> None:
    curve = fit_score_curve(*scored(1))
    scores, labels = scored(2, offset=0.4)  # other examples come, and a score means what it did

    expected, ones = curve(scores), np.ones(scores.size)
    loss = expected_mean(expected, pointwise_log_loss(ones, scores), pointwise_log_loss(ones - 1, scores))

    assert loss == pytest.approx(float(pointwise_log_loss(labels, scores).mean()), abs=0.006)
    assert expected_auc(scores, expected) == pytest.approx(auc(labels, scores), abs=0.006)


def test_weighted_curve_is_that_of_the_rows_that_weigh() -> None:
    scores, labels = scored(3)
    other = (np.random.default_rng(4).random(scores.size) < 0.9).astype(float)
    both, weights = np.concatenate([labels, other]), np.concatenate([np.ones(scores.size), np.zeros(scores.size)])

    weighted = fit_score_curve(np.tile(scores, 2), both, weights)
    alone = fit_score_curve(scores, labels)

    assert (weighted.intercept, weighted.slope) == pytest.approx((alone.intercept, alone.slope), abs=1e-4)


def test_labels_of_one_class_leave_the_scores_as_they_are() -> None:
    assert fit_score_curve(np.array([0.2, 0.8]), np.ones(2)) == ScoreCurve(0.0, 1.0)
    assert fit_score_curve(np.empty(0), np.empty(0)) == ScoreCurve(0.0, 1.0)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=40))
def test_expected_auc_of_rows_whose_labels_are_known_is_the_auc(rows: list[tuple[int, bool]]) -> None:
    scores, labels = np.array([score / 10 for score, _ in rows]), np.array([float(label) for _, label in rows])

    assert expected_auc(scores, labels) == pytest.approx(auc(labels, scores), nan_ok=True)


def test_band_covers_nine_of_ten_where_errors_are_exchangeable() -> None:
    rng = np.random.default_rng(5)
    held = [band_of(0.0, errors[:-1]).covers(errors[-1]) for errors in rng.gamma(2.0, 1.0, (4000, 60))]

    assert 0.885 <= float(np.mean(held)) <= 0.94  # at least nine of ten, and not much more


def test_too_few_errors_give_an_estimate_and_no_band() -> None:
    found = band_of(0.4, np.zeros(LEAST_DAYS - 1))

    assert found.estimate == 0.4
    assert math.isnan(found.lower)
    assert not found.covers(0.4)
    assert math.isnan(band_of(math.nan, np.zeros(40)).lower)
