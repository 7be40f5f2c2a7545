from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.stats import classification as c

NAN = float("nan")


def _flights(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    scores = rng.random(n).round(2)  # rounded, so that scores tie
    return (rng.random(n) < scores).astype(float), scores


def test_auc_log_loss_and_brier_are_those_of_scikit_learn() -> None:
    from sklearn import metrics

    labels, scores = _flights()

    assert c.auc(labels, scores) == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)
    assert c.brier(labels, scores) == pytest.approx(metrics.brier_score_loss(labels, scores), abs=1e-12)
    inner = np.clip(scores, 0.01, 0.99)
    assert c.log_loss(labels, inner) == pytest.approx(metrics.log_loss(labels, inner), abs=1e-12)


def test_a_certain_and_wrong_score_costs_a_finite_amount() -> None:
    assert c.pointwise_log_loss([1, 0], [0.0, 1.0]) == pytest.approx([34.539, 34.539], abs=1e-3)
    assert c.pointwise_log_loss([0, 1], [0.0, 1.0]) == pytest.approx([0, 0], abs=2e-15)


def test_scores_that_all_tie_rank_like_a_coin() -> None:
    assert c.auc([0, 1, 1, 0, 1], [0.3] * 5) == 0.5


def test_auc_of_one_class_is_undefined_while_the_losses_are_not() -> None:
    found = c.summary([0, 0], [0.5, 0.5])

    assert math.isnan(found.pop("auc"))
    assert found == {
        "n": 2,
        "label_share": 0.0,
        "mean_score": 0.5,
        "log_loss": pytest.approx(math.log(2)),
        "brier": 0.25,
        "ece": 0.5,
    }


def test_no_examples_measure_nothing() -> None:
    found = c.summary([], [])

    assert found.pop("n") == 0
    assert len(found) == 6
    assert all(math.isnan(value) for value in found.values())
    assert math.isnan(c.precision_at([], [], k=5))


def test_calibration_error_weighs_each_bin_by_its_examples() -> None:
    # three share a bin: said 0.2, happened 1/3. One is alone: said 1, happened 0.
    found = c.expected_calibration_error([1, 0, 0, 0], [0.2, 0.2, 0.2, 1.0])

    assert found == pytest.approx(3 / 4 * (1 / 3 - 0.2) + 1 / 4 * 1.0)


def test_calibration_error_of_rare_positives_is_not_hidden_in_one_bin() -> None:
    # 2 % positives: half the examples are said to be at 1 % and are at 3 %, the other half the other way around
    scores = np.repeat([0.01, 0.03], 5000)
    labels = np.r_[np.arange(5000) < 150, np.arange(5000) < 50].astype(float)

    assert c.expected_calibration_error(labels, scores) == pytest.approx(0.02)


@given(seed=st.integers(0, 200))
def test_calibration_error_is_the_same_in_any_order_of_rows_that_tie(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 7, 57) / 10
    labels = (rng.random(57) < 0.3).astype(float)
    order = rng.permutation(57)

    found = c.expected_calibration_error(labels, scores)

    assert c.expected_calibration_error(labels[order], scores[order]) == pytest.approx(found, abs=1e-12)


def test_bins_of_equal_count_hold_as_many_examples_where_no_scores_tie() -> None:
    scores = np.random.default_rng(0).random(200) ** 4

    assert np.bincount(c.equal_count_bin(scores, 10)).tolist() == [20] * 10


def test_points_of_the_reliability_curve_hold_as_many_examples_each_and_equal_scores_share_one() -> None:
    assert c.reliability_curve([0, 1, 1, 1], [0.0, 0.5, 0.75, 1.0], bins=2).mean_score.tolist() == [0.25, 0.875]

    curve = c.reliability_curve([0, 1, 1, 1, 0], [0.1, 0.1, 0.1, 0.1, 0.9], bins=5)

    assert curve.n.tolist() == [0, 0, 4, 0, 1]
    assert curve.observed_share.tolist()[2::2] == [0.75, 0.0]
    assert math.isnan(curve.mean_score[1])


def test_reliability_curve_agrees_with_scikit_learn_where_no_scores_are_equal() -> None:
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(0)
    scores = rng.random(2000) ** 6  # few are above a half
    labels = rng.random(2000) < scores
    observed, said = calibration_curve(labels, scores, n_bins=10, strategy="quantile")

    curve = c.reliability_curve(labels, scores)

    assert curve.observed_share == pytest.approx(observed)
    assert curve.mean_score == pytest.approx(said)


def test_an_example_without_label_takes_a_place_on_the_list_but_is_not_judged() -> None:
    labels, scores = [1, NAN, 0, 1], [0.9, 0.8, 0.7, 0.1]

    assert c.precision_at(labels, scores, k=2) == 1.0
    assert c.precision_at(labels, scores, k=3) == 0.5
    assert math.isnan(c.precision_at([NAN, 1], [0.9, 0.1], k=1))


def test_equal_scores_keep_the_given_order_on_the_list() -> None:
    assert c.precision_at([1, 0, 0], [0.5, 0.5, 0.5], k=1) == 1.0
    assert c.precision_at([0, 0, 1], [0.5, 0.5, 0.5], k=1) == 0.0


def test_a_list_longer_than_the_day_takes_all_of_it() -> None:
    assert c.precision_at([1, 0], [0.2, 0.9], k=50) == 0.5


@pytest.mark.parametrize("score", [NAN, math.inf, -0.1, 1.1])
def test_a_score_that_is_no_probability_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match=r"finite and in \[0, 1\]: 1 are not"):
        c.summary([0, 1], [0.5, score])
    with pytest.raises(ValueError, match="finite"):
        c.precision_at([0, 1], [0.5, score], k=1)


def test_a_label_that_is_no_label_is_refused() -> None:
    with pytest.raises(ValueError, match="labels must be 0 or 1: 1 are not"):
        c.log_loss([0, NAN], [0.5, 0.5])
    with pytest.raises(ValueError, match="labels must be 0 or 1"):
        c.precision_at([0, 2], [0.5, 0.5], k=1)
    with pytest.raises(ValueError, match="one length"):
        c.auc([0, 1], [0.5])


examples = st.lists(st.tuples(st.booleans(), st.integers(0, 20).map(lambda i: i / 20)), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(examples)
def test_flipping_labels_and_scores_keeps_auc_and_reversing_scores_mirrors_it(rows: list[tuple[bool, float]]) -> None:
    labels = np.array([label for label, _ in rows], dtype=float)
    scores = np.array([score for _, score in rows])

    area = c.auc(labels, scores)

    if np.isnan(area):
        assert labels.min() == labels.max()
    else:
        pairs = [(p > q) + (p == q) / 2 for p in scores[labels == 1] for q in scores[labels == 0]]
        assert area == pytest.approx(np.mean(pairs))  # the definition, pair by pair
        assert c.auc(1 - labels, 1 - scores) == pytest.approx(area)


@settings(max_examples=60, deadline=None)
@given(examples)
def test_bins_hold_every_example_once_and_the_error_stays_a_share(rows: list[tuple[bool, float]]) -> None:
    labels, scores = zip(*rows, strict=True)

    assert c.reliability_curve(labels, scores).n.sum() == len(rows)
    assert 0 <= c.expected_calibration_error(labels, scores) <= 1
