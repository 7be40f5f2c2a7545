"""Paths through a triangular table of losses, against every schedule tried one by one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from ml_assets.stats.schedules import best_schedules, excess_by_age, random_schedules, schedule_loss


def triangle(n: int, seed: int) -> np.ndarray:
    losses = np.random.default_rng(seed).uniform(1, 2, (n, n))
    losses[np.tril_indices(n, -1)] = np.nan
    return losses


@pytest.mark.parametrize("seed", range(5))
def test_best_schedule_of_each_length_is_the_least_of_all_that_could_be_tried(seed: int) -> None:
    losses = triangle(7, seed)

    found = best_schedules(losses)

    for k, (total, chosen) in enumerate(found, start=1):
        tried = [(0, *rest) for rest in combinations(range(1, 7), k - 1)]
        assert total == pytest.approx(min(schedule_loss(losses, each) for each in tried))
        assert schedule_loss(losses, chosen) == pytest.approx(total)
        assert len(chosen) == k


def test_schedule_serves_each_period_by_the_newest_model_chosen() -> None:
    losses = np.array([[1.0, 10.0, 100.0], [np.nan, 20.0, 200.0], [np.nan, np.nan, 300.0]])

    assert schedule_loss(losses, [0]) == 111
    assert schedule_loss(losses, [0, 1]) == 221
    assert schedule_loss(losses, [0, 2]) == 311


def test_random_schedules_have_the_asked_number_of_models_and_no_more_than_there_are() -> None:
    losses = np.ones((4, 4))

    assert random_schedules(losses, 9, 5, np.random.default_rng(1)).tolist() == [4.0] * 5
    drawn = random_schedules(triangle(6, 1), 3, 50, np.random.default_rng(1))
    assert drawn.min() >= best_schedules(triangle(6, 1))[2][0]
    assert len(set(drawn.tolist())) > 5


def test_excess_by_age_pairs_each_period_with_the_model_of_that_age_and_leaves_out_empty_periods() -> None:
    losses = np.array([[1.0, 4.0, 9.0], [np.nan, 2.0, 5.0], [np.nan, np.nan, 3.0]])

    older, newest = excess_by_age(losses, np.array([10.0, 10.0, 10.0]), 1)
    assert (older.tolist(), newest.tolist()) == ([4.0, 5.0], [2.0, 3.0])
    older, newest = excess_by_age(losses, np.array([10.0, 0.0, 10.0]), 1)
    assert (older.tolist(), newest.tolist()) == ([5.0], [3.0])
