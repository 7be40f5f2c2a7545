"""Which examples people are asked about, and by whom they are answered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.labeling.k_center import choose_centers, standardize
from ml_assets.labeling.review_choice import choose_for_review, share_out
from ml_assets.labeling.review_duties import assign_reviewers

NAMES = [f"e{number:03}" for number in range(200)]


def test_strategies_take_their_highest_and_chance_does_not_look_at_them() -> None:
    measure = np.linspace(0, 1, 200)

    found = choose_for_review(NAMES, {"uncertainty": measure}, {"uncertainty": 5, "random": 10}, "a")

    by = {name: [each.position for each in found.chosen if each.strategy == name] for name in ("uncertainty", "random")}
    without = [place for place in range(199, -1, -1) if place not in by["random"]]
    assert sorted(by["uncertainty"], reverse=True) == without[:5]
    assert len(by["random"]) == 10
    assert found.propensity == 10 / 200
    again = choose_for_review(NAMES, {"uncertainty": -measure}, {"uncertainty": 5, "random": 10}, "a")
    assert sorted(by["random"]) == sorted(each.position for each in again.chosen if each.strategy == "random")


def test_propensity_is_how_often_chance_draws_each_candidate() -> None:
    draws = 2000
    counts = np.zeros(20)
    for salt in range(draws):
        found = choose_for_review(
            NAMES[:20], {"uncertainty": np.arange(20.0)}, {"uncertainty": 3, "random": 4}, str(salt)
        )
        counts[[each.position for each in found.chosen if each.strategy == "random"]] += 1
        assert found.propensity == 0.2

    assert np.abs(counts / draws - 0.2).max() < 4 * np.sqrt(0.2 * 0.8 / draws)


def test_what_a_strategy_cannot_fill_is_drawn_by_chance_and_the_propensity_says_so() -> None:
    measure = np.full(200, np.nan)
    measure[7] = 1.0

    found = choose_for_review(NAMES, {"abstained": measure}, {"abstained": 5, "random": 5}, "a")

    strategies = [each.strategy for each in found.chosen]
    assert (strategies.count("abstained"), strategies.count("random")) in {(1, 9), (0, 9)}  # chance may have drawn it
    assert found.propensity == 9 / 200


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 40), st.integers(1, 30), st.floats(0.05, 1.0), st.integers(0, 5)
)  # fmt: skip
def test_nobody_is_asked_twice_and_never_more_than_the_capacity(
    n: int, capacity: int, random: float, salt: int
) -> None:
    counts = share_out(capacity, {"uncertainty": 1 - random, "random": random})

    found = choose_for_review(NAMES[:n], {"uncertainty": np.sin(np.arange(n))}, counts, str(salt))

    positions = [each.position for each in found.chosen]
    assert len(positions) == len(set(positions)) == min(n, capacity)
    assert sum(counts.values()) == capacity
    assert counts["random"] >= 1


def test_order_of_candidates_plays_no_part() -> None:
    measure = {name: value for value, name in enumerate(NAMES)}
    counts, turned = {"uncertainty": 5, "random": 5}, NAMES[::-1]

    found = []
    for names in (NAMES, turned):
        of_order = {"uncertainty": np.array([float(measure[name]) for name in names])}
        chosen = choose_for_review(names, of_order, counts, "s").chosen
        found.append({(names[each.position], each.strategy) for each in chosen})

    assert found[0] == found[1]


def test_farthest_points_cover_what_margins_miss() -> None:
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(8), 25)
    points = np.stack([np.cos(clusters), np.sin(clusters)], axis=1) * 10 + rng.normal(0, 0.1, (200, 2))

    positions, distances = choose_centers(points, 8)

    assert set(clusters[positions]) == set(range(8))  # one of each, where any eight of a margin can lie in one
    assert np.all(np.diff(distances[1:]) <= 1e-9)
    seen, _ = choose_centers(points, 7, points[clusters == 2])
    assert 2 not in clusters[seen]


def test_copies_of_a_point_are_still_chosen_when_there_is_nothing_else() -> None:
    positions, distances = choose_centers(np.zeros((4, 2)), 4, np.zeros((1, 2)))

    assert sorted(positions.tolist()) == [0, 1, 2, 3]
    assert distances.tolist() == [0, 0, 0, 0]


def test_unknown_and_constant_columns_say_nothing() -> None:
    scaled = standardize(np.array([[1.0, 5.0, np.nan], [3.0, 5.0, np.nan]]))

    assert scaled.tolist() == [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_people_get_what_they_can_answer_and_a_share_goes_to_two(share: float) -> None:
    capacities = {"ana": 12, "ben": 12, "cem": 6}

    duties = assign_reviewers(NAMES[:10], capacities, ["ana", "ben"], share, "a")

    by_example = {place: [each for each in duties if each.position == place] for place in range(10)}
    assert sum(len(each) == 2 for each in by_example.values()) == round(share * 10)
    assert all({each.reviewer for each in both} == {"ana", "ben"} for both in by_example.values() if len(both) == 2)
    assert all(sum(each.reviewer == name for each in duties) <= n for name, n in capacities.items())
    assert all(by_example.values())


def test_examples_that_nobody_has_time_for_are_left_out() -> None:
    duties = assign_reviewers(NAMES[:10], {"ana": 3}, ["ana"], 0.0, "a")

    assert [each.position for each in duties] == [0, 1, 2]
