"""How soon a canary is aborted whose challenger got worse, and how often one is that did not.

Simulated days: the log odds of a day's examples share a shock, champion and challenger know the truth with errors of their
own, and both score every example. In half of the runs a fault begins with the canary that costs the challenger a tenth of
its log loss: noise in its scores, or scores that are too sure of themselves. The verdict of each day is the product's own;
drops before the start say how much days differ, as `experiment start` learns it.

    python -m ml_assets_tests.benchmarks.canaries [--runs 100]
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_assets.decisions.experiment_verdict import ExperimentProgress, MeasuredHarm, judge_experiment
from ml_assets.experiments.comparison import (
    ComparedExamples,
    ComparisonRule,
    HarmBound,
    compare_arms,
    example_losses,
    paired_estimate,
)
from ml_assets.stats.anytime import tuned_prior

FloatArray = NDArray[np.float64]
Fault = Callable[[FloatArray, np.random.Generator], FloatArray]
HALF_YEAR, BEFORE = 182, 14
COSTS = (1.0, 3.0)
BOUNDS = {"log_loss": HarmBound(0.01, is_relative=True), "brier": HarmBound(0.005), "cost": HarmBound(0.05)}


@dataclass(frozen=True)
class Traffic:
    """How many examples a drop has, how drops differ, and how far both models are off, in log odds."""

    rows: int = 900
    shock: float = 0.5
    error: float = 0.6


def noisy(size: float) -> Fault:
    """Add noise to the log odds, as a feature does that was filled with another's values."""
    return lambda odds, rng: odds + rng.normal(0, size, odds.size)


def too_sure(factor: float) -> Fault:
    """Stretch the log odds, as a calibration does that was applied twice."""
    return lambda odds, _: odds * factor


def draw(traffic: Traffic, days: int, fault: Fault | None, rng: np.random.Generator) -> ComparedExamples:
    """Draw days of examples that both models scored."""
    n = days * traffic.rows
    day = np.repeat(np.arange(days), traffic.rows)
    odds = -1.2 + 0.9 * rng.normal(size=n) + traffic.shock * rng.normal(size=days)[day]
    label = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    shared = traffic.error * (0.7 * rng.normal(size=n) + 0.3 * rng.normal(size=days)[day])  # what neither model knows
    own = [shared + 0.3 * rng.normal(size=n) + 0.1 * rng.normal(size=days)[day] for _ in range(2)]
    champion, challenger = odds + own[0], odds + own[1]
    if fault is not None:
        challenger = fault(challenger, rng)
    scores = [1 / (1 + np.exp(-each)) for each in (challenger, champion)]
    never = np.zeros(n, dtype=bool)
    losses = [example_losses(label, each, never, COSTS) for each in scores]
    return ComparedExamples(day, np.arange(n), rng.random(n) < 0.1, losses[0], losses[1], scores[1])


def abort_day(traffic: Traffic, days: int, fault: Fault | None, rng: np.random.Generator) -> int | None:
    """Run a canary; give after how many drops of labels it is aborted, None where it is not."""
    before, found = draw(traffic, BEFORE, None, rng), draw(traffic, days, fault, rng)
    reference = {
        measure: paired_estimate(before.challenger[measure], before.champion[measure], bound, before.drops)
        for measure, bound in BOUNDS.items()
    }
    rule = ComparisonRule(BOUNDS, True, True, 0.95, tuned_prior(4, 0.95), reference)
    for drop in range(3, days + 1):
        harms = [
            MeasuredHarm(each.measure, each.worse_by.estimate, each.worse_by.lower, each.worse_by.upper, each.p_value)
            for each in compare_arms(found.where(found.drops < drop), rule)
        ]
        if judge_experiment(harms, ExperimentProgress(drop, 3, False, False), rule.level).action == "abort":
            return drop
    return None


def relative_rise(traffic: Traffic, fault: Fault) -> float:
    """Give the share by which a fault raises the challenger's log loss."""
    losses = [
        draw(traffic, 300, each, np.random.default_rng(9)).challenger["log_loss"].mean() for each in (None, fault)
    ]
    return float(losses[1] / losses[0] - 1)


def calibrated(traffic: Traffic, fault_of: Callable[[float], Fault], low: float, high: float, rise: float) -> Fault:
    """Find the size of a fault that raises the log loss by `rise`."""
    for _ in range(18):
        size = (low + high) / 2
        low, high = (low, size) if relative_rise(traffic, fault_of(size)) > rise else (size, high)
    return fault_of(high)


def main() -> None:
    """Print the table of docs/experiments.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    runs = parser.parse_args().runs
    say = sys.stdout.write
    for rows in (900, 200, 50):
        traffic = Traffic(rows)
        for name, fault_of, bounds in (("noise", noisy, (0.0, 3.0)), ("too sure", too_sure, (1.0, 4.0))):
            fault = calibrated(traffic, fault_of, *bounds, 0.10)
            days = [abort_day(traffic, 28, fault, np.random.default_rng(100 + run)) for run in range(runs)]
            within = sum(day is not None and day <= 5 for day in days)
            counts = dict(sorted(Counter(str(day) for day in days).items()))
            say(f"{rows} a drop, {name}, log loss +10 %: aborted within 5 drops {within} of {runs}; by drop {counts}\n")
        equal = [abort_day(traffic, HALF_YEAR, None, np.random.default_rng(500 + run)) for run in range(runs)]
        say(f"{rows} a drop, half a year without a fault: {sum(day is not None for day in equal)} of {runs} aborted\n")


if __name__ == "__main__":
    main()
