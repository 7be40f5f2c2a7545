"""How often the gate that `new` writes promotes: candidates that are no better, and some that are truly better.

The truth is a logistic regression of four readings on rows of days that differ. Champion and candidate know it with errors
of their own: equally large for the equal ones, and smaller for the better, so that its expected log loss is lower by the
gain that is asked for. Each time new days are drawn, and the real gate decides by the numbers of `new`.

    python -m ml_assets_tests.benchmarks.gate_power [--repeats 200] [--rows 100]
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root_scalar

from ml_assets.decisions.promotion import judge
from ml_assets.spec.gate import GateRule
from ml_assets.stats.binary import BINARY
from ml_assets.stats.block_bootstrap import paired_day_block_bootstrap
from ml_assets.stats.classification import log_loss, pointwise_log_loss
from ml_assets.stats.window_measures import measure_window

FloatArray = NDArray[np.float64]
WEIGHTS = np.array([1.2, -0.8, 0.6, 0.3])
DAY_SPREAD = 0.3  # of the log odds, between days
LARGE = 0.9  # what the champion gets wrong, in log odds: it leaves room for candidates that are five percent better
LENGTHS = (7, 14, 28, 56, 84)
GAINS = (0.0, 0.01, 0.03, 0.05)


def rule_of(n: int, days: int) -> GateRule:
    """The gate that `new` writes for so many rows and days."""
    return GateRule(
        min_gain=0.002, max_loss=0, interval_level=0.95, resamples=1000, min_auc=0.55, max_auc_drop=0.02, max_ece=0.1,
        min_examples=n // 3, min_days=max(2, days // 2),
    )  # fmt: skip


def draw(days: int, rows: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    """Draw the day, the log odds and the label of each row."""
    day = np.repeat(np.arange(days), rows)
    odds = -1.0 + rng.normal(size=(days * rows, 4)) @ WEIGHTS + rng.normal(0, DAY_SPREAD, days)[day]
    return day, odds, (rng.random(odds.size) < 1 / (1 + np.exp(-odds))).astype(float)


def scored(odds: FloatArray, error: float, rng: np.random.Generator) -> FloatArray:
    """Score as a model does that errs by so much, and is calibrated no worse for it."""
    return 1 / (1 + np.exp(-(odds + rng.normal(0, error, odds.size)) / np.sqrt(1 + error**2 / 4)))


def error_for(gain: float) -> float:
    """Find the error with which the expected log loss is lower by `gain`, relative to that of LARGE."""
    rng = np.random.default_rng(7)
    _, odds, label = draw(2000, 100, rng)
    noise = rng.normal(size=odds.size)

    def loss(error: float) -> float:
        score = 1 / (1 + np.exp(-(odds + error * noise) / np.sqrt(1 + error**2 / 4)))
        return log_loss(label, score)

    wanted = (1 - gain) * loss(LARGE)
    return LARGE if gain == 0 else root_scalar(lambda error: loss(error) - wanted, 0.0, LARGE).root


def promoted(days: int, rows: int, error: float, repeats: int) -> int:
    """Count how often the gate promotes the candidate."""
    count = 0
    for seed in range(repeats):
        rng = np.random.default_rng([seed, days, rows])
        day, odds, label = draw(days, rows, rng)
        names = np.array([f"{each:03}" for each in day])
        champion, candidate = scored(odds, LARGE, rng), scored(odds, error, rng)
        flat = np.full(odds.size, label.mean())
        rule = rule_of(odds.size, days)
        gain = paired_day_block_bootstrap(
            pointwise_log_loss(label, champion), pointwise_log_loss(label, candidate), names,
            rng=np.random.default_rng(seed), resamples=rule.resamples, level=rule.interval_level,
        )  # fmt: skip
        measures = [measure_window(BINARY, label, each, names) for each in (candidate, champion, flat)]
        count += judge(candidate=measures[0], champion=measures[1], baseline=measures[2], gain=gain, rule=rule).promoted
    return count


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--rows", type=int, default=100, help="a day")
    asked = parser.parse_args()
    errors = {gain: error_for(gain) for gain in GAINS}
    sys.stdout.write("| holdout | rows | " + " | ".join(f"{gain:.0%} better" for gain in GAINS) + " |\n")
    sys.stdout.write("|---" * (2 + len(GAINS)) + "|\n")
    for days in LENGTHS:
        shares = [promoted(days, asked.rows, errors[gain], asked.repeats) / asked.repeats for gain in GAINS]
        cells = [f"{days} days", f"{days * asked.rows:,}", *(f"{share:.1%}" for share in shares)]
        sys.stdout.write("| " + " | ".join(cells) + " |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
