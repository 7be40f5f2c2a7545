"""How often tests that are looked at after every drop find what is not there, miss the truth, and find what is planned.

Each test takes units for some drops and is looked at after each of them, once it holds enough units (days from the second
on). Beside the product's sequence stands the t-test that people repeat by hand. Four kinds of outcome: normal, yes or no,
the log loss of a calibrated model, and heavy tails; then days that share a shock, with the day as the unit, and with its
rows taken for independent.

    python -m ml_assets_tests.benchmarks.experiment_looks [--tests 10000]
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ml_assets.experiments.comparison import LEAST_UNITS
from ml_assets.experiments.power import Design, plan_experiment
from ml_assets.stats.anytime import Estimate, anytime_interval, tuned_prior
from ml_assets.stats.clustered import moment_difference, paired_difference

FloatArray = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], FloatArray]
LEVEL = 0.95
NOTHING = moment_difference((0, 0.0, 0.0), (0, 0.0, 0.0))


def yes_or_no(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw outcomes of which one in five is yes."""
    return (rng.random(shape) < 0.2).astype(float)


def log_losses(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw losses of a calibrated model: a long tail to the right."""
    score = 1 / (1 + np.exp(-(-1.3 + rng.normal(size=shape))))
    return -np.log(np.where(rng.random(shape) < score, score, 1 - score))


OUTCOMES: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "yes or no": yes_or_no,
    "log loss": log_losses,
    "heavy tails (log-normal)": lambda rng, shape: rng.lognormal(0, 1, shape),
}


@dataclass(frozen=True)
class Looks:
    """What became of simulated tests. All are shares of them.

    Attributes
    ----------
    missed
        The sequence left the truth out at some look.
    naive_missed
        The interval of a t-test, looked at as often, left it out at some look.
    """

    missed: float
    naive_missed: float


def watch(estimates: Callable[[int, int], Estimate], tests: int, drops: int, truth: float, prior: float) -> Looks:
    """Look at each test after each drop. `estimates` gives that of a test (from 0) after a drop (from 1)."""
    missed, naive = 0, 0
    critical = [math.inf, *(float(stats.t.ppf(0.5 + LEVEL / 2, nu)) for nu in range(1, 5000))]
    for test in range(tests):
        is_out = is_naive_out = False
        for drop in range(1, drops + 1):
            found = estimates(test, drop)
            if not found.is_defined:
                continue
            if not is_out:
                interval = anytime_interval(found, LEVEL, prior)
                is_out = not interval.lower <= truth <= interval.upper
            reach = critical[min(int(found.degrees), 4999)] * found.standard_error
            is_naive_out = is_naive_out or abs(found.value - truth) > reach
        missed, naive = missed + is_out, naive + is_naive_out
    return Looks(missed / tests, naive / tests)


def two_arms(
    draw: Draw, tests: int, drops: int, units: int, share: float, effect: float, rng: np.random.Generator
) -> Looks:
    """Simulate tests of two arms whose units are independent; `effect` is added to the treated."""
    ones = round(units * share)
    moments = []
    for count, shift in ((ones, effect), (units - ones, 0.0)):
        values = draw(rng, (tests, drops, count)) + shift
        sums, squares = values.sum(axis=2).cumsum(axis=1), (values**2).sum(axis=2).cumsum(axis=1)
        n = count * np.arange(1, drops + 1)
        means = sums / n
        moments.append((n, means, np.maximum(squares - n * means**2, 0) / np.maximum(n - 1, 1)))

    def estimate(test: int, drop: int) -> Estimate:
        sides = [
            (int(n[drop - 1]), float(mean[test, drop - 1]), float(var[test, drop - 1])) for n, mean, var in moments
        ]
        return moment_difference(*sides) if min(sides)[0] >= LEAST_UNITS else NOTHING

    prior = tuned_prior(drops * units * share * (1 - share), LEVEL)
    return watch(estimate, tests, drops, effect, prior)


def shared_days(tests: int, drops: int, rows: int, shock: float, rng: np.random.Generator) -> tuple[Looks, Looks]:
    """Simulate paired differences whose rows share a shock by day: with the day as the unit, and with the row."""
    values = rng.normal(size=(tests, drops, rows)) + shock * rng.normal(size=(tests, drops, 1))
    sums, squares = values.sum(axis=2), (values**2).sum(axis=2)
    counts = np.full(drops, float(rows))
    totals, total_squares = sums.cumsum(axis=1), squares.cumsum(axis=1)

    def by_day(test: int, drop: int) -> Estimate:
        return paired_difference(sums[test, :drop], counts[:drop])

    def by_row(test: int, drop: int) -> Estimate:
        n = drop * rows
        mean = totals[test, drop - 1] / n
        variance = (total_squares[test, drop - 1] - n * mean**2) / (n - 1)
        return Estimate(float(mean), math.sqrt(variance / n), n - 1, n, n, n)

    return (
        watch(by_day, tests, drops, 0.0, tuned_prior(drops, LEVEL)),
        watch(by_row, tests, drops, 0.0, tuned_prior(drops * rows, LEVEL)),
    )


def assigned_days(tests: int, drops: int, rows: int, shock: float, rng: np.random.Generator) -> Looks:
    """Simulate tests that assign whole days to arms, one look a pair of days, with the day as the unit."""
    means = shock * rng.normal(size=(tests, drops, 2)) + rng.normal(size=(tests, drops, 2)) / math.sqrt(rows)

    def estimate(test: int, drop: int) -> Estimate:
        seen = means[test, :drop]
        sides = [(drop, float(each.mean()), float(each.var(ddof=1)) if drop > 1 else 0.0) for each in seen.T]
        return moment_difference(*sides)

    return watch(estimate, tests, drops, 0.0, tuned_prior(drops / 2, LEVEL))


def power_beside_plan(
    draw: Draw, effect_in_spreads: float, units: int, tests: int, rng: np.random.Generator
) -> tuple[int, float, float]:
    """Give the drops that the plan asks for, the power it promises, and the share of simulated tests that find it."""
    sample = draw(rng, (400_000,))
    spread = float(sample.std())
    design = Design(effect_in_spreads * spread, spread, units)
    plan = plan_experiment(design, 120, rng)
    drops = plan.drops or 120
    found = 0
    for _ in range(0, tests, 500):
        arms = [draw(rng, (500, drops, units // 2)), draw(rng, (500, drops, units // 2)) + design.effect]
        n = units // 2 * np.arange(1, drops + 1)
        sums = [each.sum(axis=2).cumsum(axis=1) / n for each in arms]
        squares = [(each**2).sum(axis=2).cumsum(axis=1) for each in arms]
        variances = [(square - n * mean**2) / (n - 1) for square, mean in zip(squares, sums, strict=True)]
        for test in range(500):
            for drop in range(drops):
                sides = [
                    (int(n[drop]), float(sums[arm][test, drop]), float(variances[arm][test, drop])) for arm in (1, 0)
                ]
                interval = anytime_interval(moment_difference(*sides), LEVEL, plan.prior)
                if interval.lower > 0 or interval.upper < 0:
                    found += 1
                    break
    return drops, plan.power, found / tests


def main() -> None:
    """Print the tables of docs/experiments.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=10_000)
    tests = parser.parse_args().tests
    rng = np.random.default_rng(1)
    say = sys.stdout.write
    say("| outcome | units a drop | share treated | truth left out, sequence | truth left out, repeated t-test |\n")
    say("|---|---|---|---|---|\n")
    for name, draw in OUTCOMES.items():
        for units, share in ((20, 0.5), (100, 0.5), (100, 0.1)):
            found = two_arms(draw, tests, 60, units, share, 0.0, rng)
            say(f"| {name} | {units} | {share:.0%} | {found.missed:.2%} | {found.naive_missed:.1%} |\n")
    moved = two_arms(log_losses, tests, 60, 100, 0.5, 0.1, rng)
    say(f"\nlog loss, a true effect of 0.1: left out {moved.missed:.2%}, t-test {moved.naive_missed:.1%}\n")
    say("\n| shock by day, in spreads of a row | unit day | unit row |\n|---|---|---|\n")
    for shock in (0.1, 0.3, 1.0):
        day, row = shared_days(tests, 60, 50, shock, rng)
        say(f"| {shock} | {day.missed:.2%} | {row.missed:.1%}, repeated t-test {row.naive_missed:.1%} |\n")
    say(f"\nwhole days assigned to arms: {assigned_days(tests, 60, 50, 0.3, rng).missed:.2%}\n")
    say("\n| outcome | effect in spreads | drops planned | power planned | power found |\n|---|---|---|---|---|\n")
    for name, draw in OUTCOMES.items():
        drops, planned, found = power_beside_plan(draw, 0.1, 200, max(500, tests // 5), rng)
        say(f"| {name} | 0.1 | {drops} | {planned:.1%} | {found:.1%} |\n")


if __name__ == "__main__":
    main()
