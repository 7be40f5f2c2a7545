"""A change of the loss whose cause is planted is split into the part that it belongs to."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ml_assets.stats.classification import pointwise_log_loss
from ml_assets.stats.logit import logit, sigmoid
from ml_assets.stats.loss_change import (
    LEAST_EFFECTIVE,
    LossChange,
    LossRows,
    best_shift,
    domain_weights,
    effective_share,
    expected_rise,
    shifted_ahead,
    split_change,
)

FloatArray = NDArray[np.float64]
DAYS, ROWS = 30, 200


def world(seed: int, *, center: float = 0.0, base: float = -1.0, weight: float = 1.2) -> tuple[FloatArray, FloatArray]:
    """Give a reading and an outcome for each example of thirty days; the model knows base -1 and weight 1.2."""
    rng = np.random.default_rng(seed)
    x = rng.normal(center, 1, DAYS * ROWS)
    return x, (rng.random(x.size) < sigmoid(base + weight * x)).astype(float)


def rows_of(x: FloatArray, y: FloatArray) -> LossRows:
    days = np.arange(DAYS).repeat(ROWS)
    scores = sigmoid(-1.0 + 1.2 * x)
    shifted, ones = shifted_ahead(scores, y, days), np.ones(x.size)
    rise = expected_rise(scores, shifted, pointwise_log_loss(ones, scores), pointwise_log_loss(ones - 1, scores))
    return LossRows(pointwise_log_loss(y, scores), rise, days)


def split(*, center: float = 0.0, base: float = -1.0, weight: float = 1.2) -> LossChange:
    """Split the change from a world as the model knows it to another; the true density ratio weighs the rows."""
    x, y = world(1)
    now = world(2, center=center, base=base, weight=weight)
    is_now = sigmoid(center * x - center**2 / 2)  # of two normal distributions with variance one
    weights = domain_weights(is_now, x.size, x.size)
    return split_change(rows_of(x, y), rows_of(*now), weights, rng=np.random.default_rng(3), resamples=300, level=0.9)


def sure_parts(found: LossChange) -> set[str]:
    return {name for name in ("covariate", "label", "concept") if (part := getattr(found, name)) and part.lower > 0.01}


def test_same_world_again_has_no_sure_part() -> None:
    found = split()

    assert sure_parts(found) == set()
    assert abs(found.total.estimate) < 0.02


@pytest.mark.parametrize(
    ("changed", "cause"),
    [({"center": 1.0}, "covariate"), ({"base": 0.0}, "label"), ({"weight": -0.6}, "concept")],
)
def test_planted_change_is_the_part_it_belongs_to(changed: dict[str, float], cause: str) -> None:
    found = split(**changed)

    assert sure_parts(found) == {cause}
    assert getattr(found, cause).estimate == pytest.approx(found.total.estimate, abs=0.03)


def test_parts_add_up_to_the_total() -> None:
    found = split(center=0.5, base=-0.5, weight=0.8)

    assert found.covariate is not None
    assert found.label is not None
    assert found.concept is not None
    parts = found.covariate.estimate + found.label.estimate + found.concept.estimate
    assert parts == pytest.approx(found.total.estimate, abs=1e-12)
    assert found.total.estimate == pytest.approx(found.now - found.before, abs=1e-12)


def test_rows_of_before_that_say_nothing_of_now_leave_the_parts_unknown() -> None:
    x, y = world(1)
    now = rows_of(*world(2, center=6.0))
    weights = np.where(x > np.quantile(x, 0.99), 20.0, 1e-3)

    found = split_change(rows_of(x, y), now, weights, rng=np.random.default_rng(3), resamples=50, level=0.9)

    assert found.effective < LEAST_EFFECTIVE
    assert (found.covariate, found.label, found.concept) == (None, None, None)
    assert found.total.is_sure


def test_best_shift_makes_the_mean_score_the_share_of_labels() -> None:
    rng = np.random.default_rng(5)
    scores, labels = rng.uniform(0.01, 0.6, 5000), (rng.random(5000) < 0.7).astype(float)

    shift = best_shift(scores, labels)

    assert float(sigmoid(logit(scores) + shift).mean()) == pytest.approx(labels.mean(), abs=1e-6)


def test_shift_of_one_class_is_finite_and_days_are_moved_by_other_days() -> None:
    scores, days = np.full(40, 0.3), np.arange(4).repeat(10)
    labels = (days % 2 == 0).astype(float)

    assert np.isfinite(best_shift(scores, np.ones(40)))
    moved = shifted_ahead(scores, labels, days)
    assert moved[days == 0].max() < 0.3 < moved[days == 1].min()  # even days learn from odd ones, where none is true


def test_weights_have_mean_one_and_an_effective_share_below_one_where_they_differ() -> None:
    weights = domain_weights(np.array([0.1, 0.5, 0.9, 1.0]), 4, 4)

    assert weights.mean() == pytest.approx(1.0)
    assert 0 < effective_share(weights) < 1
