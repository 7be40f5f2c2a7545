"""Which labels are used, and what the record says."""

from __future__ import annotations

import numpy as np
import pytest

from ml_assets.labeling.label_choice import GOLD_ALONE, choose_labels
from ml_assets.labeling.label_models import VOTE
from ml_assets.labeling.training_labels import reasons_of, weak_labels_of
from ml_assets.labeling.votes import VoteMatrix, read_votes
from ml_assets_tests.labeling.worlds import draw_world


def test_label_model_that_beats_the_vote_on_held_out_gold_is_used() -> None:
    world = draw_world(3, n=1500)
    gold = np.where(np.random.default_rng(0).random(1500) < 0.2, world.gold, -1)

    choice = choose_labels(world.votes, gold)

    assert choice.chosen == "abstaining_em"
    assert "it beats the vote and is used" in choice.reason
    assert choice.gain[0] > 0
    assert choice.n_held_out == -(-choice.n_gold // 2)
    assert {each.name for each in choice.measured} == {VOTE, "dawid_skene", "abstaining_em"}


def test_vote_is_used_where_no_model_beats_it() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 300)
    votes = read_votes(np.stack([truth] * 3, axis=1), [0, 1])

    choice = choose_labels(votes, truth)

    assert choice.chosen == VOTE
    assert "no label model beats the vote" in choice.reason


def test_gold_alone_is_used_where_votes_are_noise() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random(400) < 0.2).astype(int)
    votes = read_votes(rng.integers(0, 2, (400, 4)), [0, 1])

    choice = choose_labels(votes, truth)

    assert choice.chosen == GOLD_ALONE
    assert choice.probabilities(votes) is None
    assert "so gold labels alone are used" in choice.reason


def test_too_little_gold_leaves_the_vote_and_says_so() -> None:
    world = draw_world(1)
    gold = np.where(np.arange(len(world.gold)) < 30, world.gold, -1)

    choice = choose_labels(world.votes, gold)

    assert choice.chosen == VOTE
    assert choice.reason.startswith("15 held-out gold labels; 20 are needed")
    assert choice.measured == ()


@pytest.mark.parametrize("n", [0, 60])
def test_examples_without_any_vote_have_no_label(n: int) -> None:
    votes = VoteMatrix(np.full((n, 3), -1, dtype=np.int16), (0, 1), ("a", "b", "c"))

    choice = choose_labels(votes, np.arange(n) % 2)

    assert choice.chosen == (VOTE if n == 0 else GOLD_ALONE)
    found = choice.models[VOTE].probabilities(votes)
    weak = weak_labels_of(votes, found)
    assert (weak.label == -1).all()
    assert reasons_of(votes, weak.label, VOTE).tolist() == [None] * n


def test_model_is_named_by_older_gold_and_judged_by_newer() -> None:
    world = draw_world(3, n=800)
    gold = np.where(np.random.default_rng(0).random(800) < 0.3, world.gold, -1)
    known = np.flatnonzero(gold >= 0)
    changed = gold.copy()
    changed[known[: len(known) // 2]] = 0  # the older half has no say in the figures of the newer one

    before, after = choose_labels(world.votes, gold), choose_labels(world.votes, changed)

    assert before.measured == after.measured
