"""The threshold from which on the machine decides keeps its promise on examples that it has not seen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ml_assets.serving.selective import NOBODY, confidence_of, find_threshold, least_examples, upper_bound
from ml_assets.stats.proportions import wilson_interval


def world(rng: np.random.Generator, n: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw examples whose scores are right about themselves; the sharper, the more are near 0 and 1."""
    truth = rng.beta(sharpness, sharpness, n)
    return truth, (rng.random(n) < truth).astype(float)


@pytest.mark.parametrize(("n", "sharpness"), [(300, 0.4), (1500, 0.3), (1500, 2.0)])
def test_risk_is_kept_in_new_examples_as_often_as_the_level_says(n: int, sharpness: float) -> None:
    rng, broken, decided, worlds = np.random.default_rng(1), 0, 0.0, 400
    new_scores, new_labels = world(rng, 40_000, sharpness)
    sure, wrong = confidence_of(new_scores), (new_scores >= 0.5) != (new_labels > 0.5)
    for _ in range(worlds):
        found = find_threshold(*world(rng, n, sharpness), max_risk=0.1, level=0.9)
        is_decided = sure >= found.threshold
        decided += is_decided.mean() / worlds
        broken += bool(is_decided.any() and wrong[is_decided].mean() > 0.1)

    assert broken / worlds <= wilson_interval(0.1 * worlds, worlds, 0.99)[1]
    if sharpness < 1:
        assert decided > 0.3  # and it is no promise that is kept by deciding nothing


def test_curve_is_that_of_counting_by_hand() -> None:
    scores = np.concatenate([np.linspace(0.99, 0.6, 400), np.linspace(0.01, 0.4, 400)])
    labels = (scores > 0.5).astype(float)
    labels[350:400] = 0  # the least sure positives are none

    found = find_threshold(scores, labels, 0.02, 0.9)

    for point in found.points:
        is_decided = confidence_of(scores) >= point.confidence
        wrong = ((scores >= 0.5) != (labels > 0.5))[is_decided]
        assert (point.n, point.errors) == (is_decided.sum(), wrong.sum())
        assert point.coverage == is_decided.mean()
        assert point.upper == pytest.approx(upper_bound(point.errors, point.n, 0.9))
    chosen = [point for point in found.points if point.confidence == found.threshold]
    assert chosen[0].upper <= 0.02
    after = found.points[found.points.index(chosen[0]) + 1]
    assert after.upper > 0.02


def test_equal_scores_are_decided_together_or_not_at_all() -> None:
    scores = np.repeat([0.9, 0.7], 200)

    found = find_threshold(scores, np.r_[np.ones(200), np.zeros(200)], 0.05, 0.9)

    assert [point.n for point in found.points] == [200, 400]
    assert found.threshold == 0.9


@pytest.mark.parametrize("n", [0, 1, 21])
def test_too_few_matured_examples_are_no_evidence(n: int) -> None:
    found = find_threshold(np.full(n, 0.99), np.ones(n), 0.1, 0.9)

    assert least_examples(0.1, 0.9) == 22
    assert found.threshold == NOBODY
    assert math.isinf(found.threshold)
    assert found.reason == f"not enough data: {n} matured examples, 22 without an error would be needed"


def test_model_that_is_wrong_where_it_is_surest_decides_nothing() -> None:
    scores = np.linspace(0.5, 1, 500)

    found = find_threshold(scores, np.zeros(500), 0.1, 0.9)

    assert found.threshold == NOBODY
    assert found.points  # the curve is kept: it is the evidence
    assert "of the 22 surest 22 were wrong: at most 1.000, 0.1 is allowed" in found.reason
