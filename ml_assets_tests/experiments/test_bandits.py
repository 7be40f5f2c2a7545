"""Bandits in worlds whose truth is known: regret, late labels, propensities, and a loop that exploration breaks."""

from __future__ import annotations

import numpy as np
import pytest

from ml_assets.experiments.bandits import (
    MaturedOutcomes,
    allocate,
    epsilon_greedy_shares,
    regret,
    thompson_shares,
    with_least_share,
)
from ml_assets.experiments.off_policy import LoggedDecisions, estimate_policy
from ml_assets_tests.experiments.reacting_world import POLICIES, WORLDS, play, selective_labels

SEEDS = 40


def mean_regret(world: str, policy: str, kept: float = 1.0) -> float:
    return float(np.mean([play(WORLDS[world], POLICIES[policy], seed, kept).total for seed in range(SEEDS)]))


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("policy", ["Thompson", "epsilon-greedy"])
def test_bandit_loses_less_than_a_test_that_is_concluded_and_followed(world: str, policy: str) -> None:
    assert mean_regret(world, policy) < 0.75 * mean_regret(world, "A/B, then commit")


def test_fading_finds_the_arm_that_became_best() -> None:
    assert mean_regret("changing", "Thompson", kept=0.95) < 0 < mean_regret("changing", "Thompson")


def test_outcomes_that_have_not_matured_change_nothing() -> None:
    taken, outcomes = [0, 0, 1, 1], [1.0, float("nan"), 0.0, float("nan")]

    found = MaturedOutcomes.of(taken, outcomes, 2)

    assert found.decisions.tolist() == [1, 1]
    assert found.successes.tolist() == [1, 0]


def test_every_arm_keeps_its_least_share() -> None:
    sure = MaturedOutcomes(np.array([5000.0, 5000.0, 5000.0]), np.array([100.0, 100.0, 2000.0]))

    shares = thompson_shares(sure, np.random.default_rng(1), least_share=0.05)

    assert shares.tolist() == pytest.approx([0.05, 0.05, 0.9])
    with pytest.raises(ValueError, match=r"found least share 0\.5 of 3 arms"):
        with_least_share(shares, 0.5)


def test_arm_that_was_never_tried_is_tried() -> None:
    assert (
        epsilon_greedy_shares(MaturedOutcomes(np.array([10.0, 0.0]), np.array([5.0, 0.0])), 0.1).tolist() == [0.5] * 2
    )


def test_log_of_a_bandit_tells_what_each_fixed_arm_would_have_earned() -> None:
    rng, truth = np.random.default_rng(2), np.array([0.1, 0.2])
    shares = [np.array([0.5, 0.5]), np.array([0.2, 0.8]), np.array([0.1, 0.9])]
    parts = [allocate(rng.random(4000), share) for share in shares]
    arms, propensities = (np.concatenate(each) for each in zip(*parts, strict=True))
    rewards = (rng.random(arms.size) < truth[arms]).astype(float)

    for arm in (0, 1):
        log = LoggedDecisions(rewards, propensities, (arms == arm).astype(float), np.arange(arms.size))
        value = estimate_policy(log).values["snips"]
        assert value.lower <= truth[arm] <= value.upper
    naive = rewards[arms == 0].mean(), rewards[arms == 1].mean()
    assert naive[1] > naive[0]


def test_regret_is_what_the_best_fixed_arm_would_have_had_more() -> None:
    found = regret([np.array([1.0, 0.0]), np.array([0.0, 1.0])], [np.array([0.1, 0.3])] * 2, [10, 20])

    assert found.best_arm == 1
    assert found.by_drop.tolist() == pytest.approx([2.0, 2.0])


def test_model_that_learns_from_its_own_choices_keeps_its_prejudice_until_some_are_drawn_at_random() -> None:
    closed, open_ = ([selective_labels(seed, explored) for seed in range(100)] for explored in (0.0, 0.1))

    assert {loop.share[-1] for loop in closed} == {0.0}  # the underrated group never gets a chance
    assert np.mean([loop.believed[-1] for loop in closed]) == pytest.approx(0.3)
    assert np.mean([loop.believed[-1] for loop in open_]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([loop.share[-40:].mean() for loop in open_]) > 0.2
