"""Label models: against an independent implementation, on worlds whose truth is known, and laws of any table."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml_assets.labeling.abstaining_em import correlations_of, find_one_sided, fit_abstaining_em
from ml_assets.labeling.dawid_skene import SMOOTHING, fit_dawid_skene
from ml_assets.labeling.label_models import LABEL_MODELS, VOTE, fit_majority_vote
from ml_assets.labeling.redundancy import find_correlated
from ml_assets.labeling.votes import VoteMatrix, mean_accuracy, read_votes
from ml_assets.stats.proportions import wilson_interval
from ml_assets_tests.labeling.worlds import draw_world


def _second_dawid_skene(votes: NDArray[np.int16], n_classes: int) -> list[list[float]]:
    """Fit as the paper writes it, in loops over examples, voters and classes; nothing is shared with the package."""
    n, m = votes.shape
    tally = [[sum(1 for v in row if v == k) for k in range(n_classes)] for row in votes.tolist()]
    voted = [[c / sum(row) for c in row] for row in tally if sum(row)]
    base = [sum(row[k] for row in voted) / len(voted) for k in range(n_classes)]
    found = [[(row[k] + base[k]) / (sum(row) + 1) for k in range(n_classes)] for row in tally]
    for _ in range(100):
        prior = [sum(row[k] for row in found) / n for k in range(n_classes)]
        error = [[[SMOOTHING] * n_classes for _ in range(n_classes)] for _ in range(m)]
        for i in range(n):
            for j in range(m):
                if votes[i, j] >= 0:
                    for k in range(n_classes):
                        error[j][k][votes[i, j]] += found[i][k]
        for j in range(m):
            error[j] = [[cell / sum(row) for cell in row] for row in error[j]]
        moved = 0.0
        for i in range(n):
            likely = [
                math.log(max(prior[k], 1e-300))
                + sum(math.log(error[j][k][votes[i, j]]) for j in range(m) if votes[i, j] >= 0)
                for k in range(n_classes)
            ]
            scale = [math.exp(each - max(likely)) for each in likely]
            new = [each / sum(scale) for each in scale]
            moved = max(moved, *(abs(a - b) for a, b in zip(new, found[i], strict=True)))
            found[i] = new
        if moved < 1e-6:
            break
    return found


@pytest.mark.parametrize("seed", [0, 3, 5])
def test_dawid_skene_equals_a_second_implementation(seed: int) -> None:
    world = draw_world(seed, n=150)

    found = fit_dawid_skene(world.votes).probabilities(world.votes)

    expected = _second_dawid_skene(world.votes.votes, world.votes.n_classes)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_abstaining_em_is_never_worse_than_the_vote_by_more_than_the_interval_of_the_vote() -> None:
    worse, gains = [], []
    for seed in range(50):
        world = draw_world(seed)
        vote = mean_accuracy(fit_majority_vote(world.votes).probabilities(world.votes), world.gold)
        model = mean_accuracy(fit_abstaining_em(world.votes).probabilities(world.votes), world.gold)
        n = len(world.gold)
        gains.append(model - vote)
        if model < wilson_interval(vote * n, n, 0.9)[0]:
            worse.append((seed, vote, model))

    assert worse == []
    assert np.mean(gains) > 0.05
    assert np.mean(np.array(gains) > 0) > 0.8


def test_function_that_votes_for_one_class_says_something_by_its_silence() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 1000)
    fires = [np.where(rng.random(1000) < np.where(truth == 1, 0.8, 0.1), 1, np.nan) for _ in range(3)]
    ham = np.where(rng.random(1000) < np.where(truth == 0, 0.3, 0.1), 0, np.nan)
    votes = read_votes(np.stack([*fires, ham], axis=1), [0, 1])

    accuracy = {name: mean_accuracy(fit(votes).probabilities(votes), truth) for name, fit in LABEL_MODELS.items()}

    assert find_one_sided(votes).all()
    assert accuracy["abstaining_em"] > accuracy[VOTE] + 0.05
    assert accuracy["abstaining_em"] > accuracy["dawid_skene"]


def test_copies_of_a_function_weigh_as_one() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 800)
    good = [np.where(rng.random(800) < 0.8, truth, 1 - truth) for _ in range(3)]
    bad = np.where(rng.random(800) < 0.55, truth, 1 - truth)
    votes = read_votes(np.stack([*good, bad, bad, bad, bad], axis=1), [0, 1])

    pairs = find_correlated(votes, correlations_of(votes))
    model = fit_abstaining_em(votes)

    assert {(pair.first, pair.second) for pair in pairs} == {(a, b) for a in "3456" for b in "3456" if a < b}
    np.testing.assert_allclose(model.weights, [1, 1, 1, 0.25, 0.25, 0.25, 0.25], atol=0.02)
    assert mean_accuracy(model.probabilities(votes), truth) > 0.85
    assert mean_accuracy(fit_dawid_skene(votes).probabilities(votes), truth) < 0.6  # it believes the copies


def test_adversarial_function_is_turned_around() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 900)
    said = [np.where(rng.random(900) < 0.75, truth, rng.integers(0, 3, 900)) for _ in range(4)]
    votes = read_votes(np.stack([*said, (truth + 1) % 3], axis=1), [0, 1, 2])

    model = fit_abstaining_em(votes)

    assert model.emission[4].argmax(axis=1).tolist() == [1, 2, 0]
    assert mean_accuracy(model.probabilities(votes), truth) > 0.97


def test_classes_can_be_permuted() -> None:
    world = draw_world(11)
    order = np.random.default_rng(0).permutation(world.votes.n_classes)
    renamed = np.where(world.votes.votes >= 0, order[world.votes.votes], -1).astype(np.int16)
    other = VoteMatrix(renamed, world.votes.classes, world.votes.voters)

    for name, fit in LABEL_MODELS.items():
        found, again = fit(world.votes).probabilities(world.votes), fit(other).probabilities(other)
        np.testing.assert_allclose(found, again[:, order], atol=1e-6, err_msg=name)


@st.composite
def _tables(draw: st.DrawFn) -> VoteMatrix:
    n, m, k = draw(st.integers(1, 12)), draw(st.integers(1, 7)), draw(st.integers(2, 4))
    votes = draw(st.lists(st.lists(st.integers(-1, k - 1), min_size=m, max_size=m), min_size=n, max_size=n))
    return VoteMatrix(np.array(votes, dtype=np.int16), tuple(range(k)), tuple(map(str, range(m))))


@settings(deadline=None, max_examples=60)
@given(_tables())
def test_any_table_gives_probabilities(votes: VoteMatrix) -> None:
    for fit in LABEL_MODELS.values():
        found = fit(votes).probabilities(votes)
        assert found.shape == (votes.n_examples, votes.n_classes)
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found.sum(axis=1), 1)


def test_packed_votes_give_what_each_voter_said() -> None:
    world = draw_world(8, n=70)
    from ml_assets.labeling.vote_codes import encode_votes

    rng = np.random.default_rng(0)
    weights = rng.random((70, world.votes.n_classes))
    packed = encode_votes(world.votes)
    found = packed.expected_votes(weights)

    assert len(packed.groups) > 1
    for voter in range(len(world.votes.voters)):
        for value in range(-1, world.votes.n_classes):
            rows = world.votes.votes[:, voter] == value
            np.testing.assert_allclose(found[voter, :, value], weights[rows].sum(axis=0))


def test_vote_that_is_no_class_is_refused() -> None:
    with pytest.raises(ValueError, match=r"votes: found 'eggs'; allowed: 'ham', 'spam', or null"):
        read_votes([["ham", "eggs"]], ["ham", "spam"])
    with pytest.raises(ValueError, match="classes: found 1; allowed: two or more"):
        read_votes([["ham"]], ["ham"])
