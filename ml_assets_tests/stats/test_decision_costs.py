from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.stats.decision_costs import cost_curve, lists_of_days

pairs = st.lists(st.tuples(st.sampled_from([0, 1]), st.floats(0, 1)), min_size=1, max_size=50)


@given(rows=pairs, false_alarm=st.floats(0, 5), missed=st.floats(0, 5))
def test_cost_at_each_threshold_is_counted_over_the_rows(
    rows: list[tuple[int, float]], false_alarm: float, missed: float
) -> None:
    labels, scores = [row[0] for row in rows], [row[1] for row in rows]

    curve = cost_curve(labels, scores, false_alarm=false_alarm, missed=missed, steps=11)

    for threshold, cost in zip(curve.thresholds, curve.costs, strict=True):
        counted = sum(
            false_alarm * (score >= threshold and not label) + missed * (score < threshold and label)
            for label, score in rows
        )
        assert cost == pytest.approx(counted / len(rows))
    assert curve.best_cost == curve.costs.min()
    assert curve.costs[0] == pytest.approx(false_alarm * np.mean([not label for label in labels]))


def test_scores_that_are_true_are_cheapest_near_the_threshold_that_the_costs_imply() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(50_000)
    labels = (rng.random(50_000) < scores).astype(int)

    curve = cost_curve(labels, scores, false_alarm=1, missed=4)

    assert curve.implied_threshold == 0.2
    assert curve.best_threshold == pytest.approx(0.2, abs=0.03)
    assert curve.implied_cost == pytest.approx(curve.best_cost, abs=0.001)


def test_costs_of_nothing_imply_a_half_and_no_rows_are_an_error() -> None:
    assert cost_curve([0, 1], [0.2, 0.9], false_alarm=0, missed=0).implied_threshold == 0.5
    with pytest.raises(ValueError, match="no rows"):
        cost_curve([], [], false_alarm=1, missed=1)


def test_lists_are_of_each_day_and_days_without_a_positive_have_no_recall() -> None:
    labels = [1, 0, 1, 0, 0]
    scores = [0.9, 0.8, 0.1, 0.7, 0.6]
    days = ["mon", "mon", "mon", "tue", "tue"]

    precision, recall = lists_of_days(labels, scores, days, capacity=2)

    assert (precision, recall) == ((0.5 + 0) / 2, 0.5)
    assert np.isnan(lists_of_days([], [], [], 2)).all()
    assert np.isnan(lists_of_days([0], [0.5], ["mon"], 2)[1])
