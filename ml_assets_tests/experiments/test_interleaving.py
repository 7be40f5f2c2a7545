"""Team draft: lists are fair, credit is counted by who drafted, and a better ranking is found soon."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.experiments.interleaving import Interleaved, list_credit, preference, team_draft
from ml_assets_tests.benchmarks.rankings_and_bandits import equal_rankings, power_at, sample_sizes

ITEMS = [f"i{number}" for number in range(12)]


@given(st.permutations(ITEMS), st.permutations(ITEMS), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_every_list_has_each_item_once_and_both_rankings_draft_alike(
    a: list[str], b: list[str], length: int, seed: int
) -> None:
    found = team_draft(a, b, length, np.random.default_rng(seed).random(length))

    counts = [found.sources.count(source) for source in ("a", "b")]
    assert len(set(found.items)) == len(found.items) == length
    assert abs(counts[0] - counts[1]) <= 1
    assert all(item == a[0] == b[0] for item, source in zip(found.items[:1], found.sources, strict=False)
               if source == "both")  # fmt: skip
    assert found.items[0] in (a[0], b[0])


def test_first_place_is_that_of_the_ranking_whose_coin_fell() -> None:
    assert team_draft(["x", "y"], ["y", "x"], 2, [0.4, 0.4]) == Interleaved(("x", "y"), ("a", "b"))
    assert team_draft(["x", "y"], ["y", "x"], 2, [0.6, 0.6]) == Interleaved(("y", "x"), ("b", "a"))


def test_same_rankings_draft_everything_together_and_nobody_wins() -> None:
    drafted = team_draft(ITEMS, ITEMS, 12, [0.5] * 12)

    assert drafted.items == tuple(ITEMS)
    assert set(drafted.sources) == {"both"}
    assert list_credit(drafted, [True] * 12) == 0


def test_ranking_that_has_nothing_left_passes() -> None:
    assert team_draft(["x"], ["x", "y", "z"], 5, [0.1] * 5).items == ("x", "y", "z")


def test_list_is_won_by_who_drafted_more_of_what_was_acted_on() -> None:
    drafted = Interleaved(("x", "y", "z"), ("a", "b", "b"))

    assert list_credit(drafted, [True, False, False]) == -1
    assert list_credit(drafted, [True, True, True]) == 1
    assert list_credit(drafted, [True, True, False]) == 0
    assert list_credit(drafted, [False, True, True]) == 2


def test_lists_of_one_person_are_one_piece_of_evidence() -> None:
    credits = [1, 1, -1, 1, 1, 0]
    alone = preference(credits, range(6), 0.95, prior=1.0)
    together = preference(credits * 10, list(range(6)) * 10, 0.95, prior=1.0)

    assert together.estimate.standard_error == pytest.approx(alone.estimate.standard_error)
    assert (alone.wins_a, alone.wins_b, alone.ties) == (1, 4, 1)


def test_equal_rankings_are_preferred_alike() -> None:
    mean, error, wrong = equal_rankings(4000, 200, np.random.default_rng(1))

    assert abs(mean) < 3 * error
    assert wrong <= 0.1  # of twenty experiments, at a rate of five percent


def test_better_ranking_is_found_with_a_tenth_of_the_lists_of_an_ab_test() -> None:
    rng = np.random.default_rng(2)
    interleaved, by_arms, gain = sample_sizes((1.0, 0.5), 20_000, rng)

    assert gain > 0.05
    assert interleaved < by_arms / 10
    assert power_at((1.0, 0.5), 400, 40, rng) >= 0.7  # 0.84 of 200, with a tenth of the lists of the benchmark
