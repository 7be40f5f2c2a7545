"""How many lists interleaving needs beside an A/B test, and what bandits lose beside the best fixed arm.

python -m ml_assets_tests.benchmarks.rankings_and_bandits [--seeds 200]
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from numpy.typing import NDArray

from ml_assets.experiments.interleaving import list_credit, preference, team_draft
from ml_assets.experiments.power import Design, fixed_sample_size
from ml_assets.stats.anytime import tuned_prior
from ml_assets_tests.experiments.reacting_world import POLICIES, WORLDS, play, selective_labels

FloatArray = NDArray[np.float64]
N_ITEMS, PLACES = 30, 10


def ranked(appeal: FloatArray, error: float, rng: np.random.Generator) -> list[str]:
    """Rank items by their appeal, seen with an error."""
    return [str(item) for item in np.argsort(-(appeal + error * rng.normal(size=N_ITEMS)))]


def hits(
    items: tuple[str, ...] | list[str], appeal: FloatArray, mood: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw which places of a list are acted on: by appeal, by how far down they are, and by who looks."""
    place = np.arange(len(items))
    odds = -2.5 + mood + appeal[[int(item) for item in items]] - 0.15 * place
    return rng.random(len(items)) < 1 / (1 + np.exp(-odds))


def one_list(errors: tuple[float, float], rng: np.random.Generator) -> tuple[int, float, float]:
    """Let one person see an interleaved list, and in other lives each ranking alone; give credit and both counts."""
    appeal, mood = rng.normal(size=N_ITEMS), 1.5 * rng.normal()  # people differ a lot in how often they act at all
    a, b = (ranked(appeal, error, rng) for error in errors)
    drafted = team_draft(a, b, PLACES, rng.random(PLACES))
    credit = list_credit(drafted, hits(drafted.items, appeal, mood, rng))
    return credit, float(hits(a[:PLACES], appeal, mood, rng).sum()), float(hits(b[:PLACES], appeal, mood, rng).sum())


def sample_sizes(errors: tuple[float, float], n: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """Give the lists that each method needs for a power of 80 % in one look, and the relative gain of the better ranking."""
    drawn = np.array([one_list(errors, rng) for _ in range(n)])
    credit, of_a, of_b = drawn.T
    interleaved = fixed_sample_size(Design(abs(credit.mean()), credit.std(), 1, is_paired=True))
    spread = float(np.sqrt((of_a.var() + of_b.var()) / 2))
    by_arms = fixed_sample_size(Design(abs(of_b.mean() - of_a.mean()), spread, 1))
    return interleaved, by_arms, float(of_b.mean() / of_a.mean() - 1)


def power_at(errors: tuple[float, float], lists: int, runs: int, rng: np.random.Generator) -> float:
    """Give the share of interleaved experiments of so many lists, looked at in ten steps, that find the better ranking."""
    found = 0
    prior = tuned_prior(lists, 0.95)
    for _ in range(runs):
        credits = [one_list(errors, rng)[0] for _ in range(lists)]
        steps = np.linspace(lists // 10, lists, 10).astype(int)
        found += any(preference(credits[:n], range(n), 0.95, prior).interval.lower > 0 for n in steps)
    return found / runs


def equal_rankings(runs: int, lists: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """Let two equal rankings compete; give the mean preference, its standard error, and how often one was found."""
    credits = np.array([one_list((0.8, 0.8), rng)[0] for _ in range(runs)], dtype=np.float64)
    prior = tuned_prior(lists, 0.95)
    wrong = 0
    for start in range(0, runs - lists + 1, lists):
        steps = np.linspace(lists // 10, lists, 10).astype(int)
        part = credits[start : start + lists]
        intervals = [preference(part[:n], range(n), 0.95, prior).interval for n in steps]
        wrong += any(each.lower > 0 or each.upper < 0 for each in intervals)
    return float(credits.mean()), float(credits.std() / np.sqrt(runs)), wrong / (runs // lists)


def main() -> None:
    """Print the tables of docs/experiments.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    seeds = parser.parse_args().seeds
    say, rng = sys.stdout.write, np.random.default_rng(1)
    say(
        "| errors of the rankings | gain in actions | lists, interleaved | lists, A/B | share |\n|---|---|---|---|---|\n"
    )
    for errors in ((1.0, 0.8), (1.0, 0.5), (1.5, 0.5)):
        interleaved, by_arms, gain = sample_sizes(errors, 20_000, rng)
        say(f"| {errors[0]} and {errors[1]} | {gain:+.1%} | {interleaved:,.0f} | {by_arms:,.0f} | "
            f"{interleaved / by_arms:.1%} |\n")  # fmt: skip
    interleaved, by_arms, _ = sample_sizes((1.0, 0.5), 20_000, rng)
    tenth = int(by_arms / 10)
    say(f"\nwith a tenth of the A/B lists ({tenth}), looked at ten times: found in "
        f"{power_at((1.0, 0.5), tenth, 200, rng):.0%} of 200\n")  # fmt: skip
    mean, error, wrong = equal_rankings(10_000, 200, rng)
    say(f"equal rankings, 10,000 lists: mean preference {mean:+.4f} ± {error:.4f}; a preference found in {wrong:.1%} of "
        "experiments of 200 lists\n")  # fmt: skip
    say("\n| world | policy | regret, mean | standard error | 95th of 100 |\n|---|---|---|---|---|\n")
    for name, world in WORLDS.items():
        for policy, play_by in POLICIES.items():
            for kept in (1.0, 0.95) if name == "changing" and policy != "A/B, then commit" else (1.0,):
                lost = np.array([play(world, play_by, seed, kept).total for seed in range(seeds)])
                faded = ", older outcomes faded" if kept < 1 else ""
                say(f"| {name} | {policy}{faded} | {lost.mean():.0f} | {lost.std() / np.sqrt(seeds):.1f} | "
                    f"{np.quantile(lost, 0.95):.0f} |\n")  # fmt: skip
    for explored in (0.0, 0.1):
        loops = [selective_labels(seed, explored) for seed in range(seeds)]
        believed = float(np.mean([loop.believed[-1] for loop in loops]))
        share = float(np.mean([loop.share[-40:].mean() for loop in loops]))
        say(f"\nselective labels, {explored:.0%} explored: the model believes {believed:.2f} of the underrated group "
            f"(truth 0.50), which gets {share:.0%} of the capacity\n")  # fmt: skip


if __name__ == "__main__":
    main()
