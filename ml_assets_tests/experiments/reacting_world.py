"""Worlds in which acting changes what happens, with known truth: for tests and docs, never for a claim about real data.

Three bandit worlds: one arm is clearly best; two are close; the best one changes half way. Outcomes become known some
drops later. And a world of selective labels: an outcome is only known where somebody acted, so a model that underrates
a group never finds out, unless some decisions are drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_assets.experiments.bandits import (
    MaturedOutcomes,
    Regret,
    allocate,
    epsilon_greedy_shares,
    regret,
    thompson_shares,
)

FloatArray = NDArray[np.float64]
Policy = Callable[[MaturedOutcomes, int, np.random.Generator], FloatArray]
DROPS, UNITS, DELAY = 60, 100, 3
TESTED = DROPS // 3  # drops of the A/B test before everything goes to its winner


def clear(_: int) -> FloatArray:
    """One arm is clearly best."""
    return np.array([0.10, 0.14, 0.20])


def close(_: int) -> FloatArray:
    """Two arms are close to each other."""
    return np.array([0.10, 0.18, 0.20])


def changing(drop: int) -> FloatArray:
    """The best arm changes half way."""
    return np.array([0.10, 0.22, 0.12]) if drop < DROPS // 2 else np.array([0.10, 0.08, 0.24])


WORLDS: dict[str, Callable[[int], FloatArray]] = {"clear": clear, "close": close, "changing": changing}


def thompson(known: MaturedOutcomes, _: int, rng: np.random.Generator) -> FloatArray:
    """Thompson sampling with a floor of two percent an arm."""
    return thompson_shares(known, rng, least_share=0.02, draws=400)


def epsilon_greedy(known: MaturedOutcomes, _: int, __: np.random.Generator) -> FloatArray:
    """Epsilon-greedy with a tenth drawn at random."""
    return epsilon_greedy_shares(known, 0.1)


def ab_then_commit(known: MaturedOutcomes, drop: int, _: np.random.Generator) -> FloatArray:
    """Share out evenly for a third of the time, then give everything to the best: an A/B test, and its conclusion."""
    n_arms = known.decisions.size
    if drop < TESTED:
        return np.full(n_arms, 1 / n_arms)
    return np.eye(n_arms)[int((known.successes / np.maximum(known.decisions, 1)).argmax())]


POLICIES: dict[str, Policy] = {
    "Thompson": thompson, "epsilon-greedy": epsilon_greedy, "A/B, then commit": ab_then_commit
}  # fmt: skip


def play(world: Callable[[int], FloatArray], policy: Policy, seed: int, kept: float = 1.0) -> Regret:
    """Let a policy decide drop by drop on what has matured; `kept` fades what is known with each drop."""
    rng = np.random.default_rng(seed)
    n_arms = world(0).size
    known = MaturedOutcomes(np.zeros(n_arms), np.zeros(n_arms))
    waiting: list[MaturedOutcomes] = []
    committed: FloatArray | None = None
    shares: list[FloatArray] = []
    for drop in range(DROPS):
        if drop >= DELAY:
            known = known.fade(kept) + waiting[drop - DELAY]
        share = policy(known, drop, rng) if committed is None else committed
        if policy is ab_then_commit and drop >= TESTED:
            committed = share
        arms, _ = allocate(rng.random(UNITS), share)
        outcomes = (rng.random(UNITS) < world(drop)[arms]).astype(np.float64)
        waiting.append(MaturedOutcomes.of(arms, outcomes, n_arms))
        shares.append(share)
    return regret(shares, [world(drop) for drop in range(DROPS)], [UNITS] * DROPS)


@dataclass(frozen=True)
class LoopResult:
    """A feedback loop, by drop: what the model believes of the underrated group, and its share of the capacity."""

    believed: FloatArray
    share: FloatArray


def selective_labels(seed: int, explored: float, drops: int = 80, capacity: int = 50) -> LoopResult:
    """Let a model decide whom to act on, and learn from those alone.

    Two groups are alike: acting ends well for one in two. At first the second looks worse, by a few unlucky cases.
    `explored` is the share of the capacity that is drawn at random.
    """
    rng = np.random.default_rng(seed)
    truth = 0.5
    tried, won = np.array([40.0, 10.0]), np.array([22.0, 3.0])
    believed, share = np.zeros(drops), np.zeros(drops)
    for drop in range(drops):
        rates = won / tried
        by_model = capacity - round(explored * capacity)
        acted = np.array([by_model, 0.0]) if rates[0] >= rates[1] else np.array([0.0, by_model])
        acted += rng.multinomial(capacity - by_model, [0.5, 0.5])
        tried, won = tried + acted, won + rng.binomial(acted.astype(int), truth)
        believed[drop], share[drop] = (won / tried)[1], acted[1] / capacity
    return LoopResult(believed, share)
