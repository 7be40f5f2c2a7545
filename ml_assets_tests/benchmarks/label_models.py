"""Label models on two public tables of votes, on generated worlds, and on a million examples; docs/labeling.md shows it.

    python -m ml_assets_tests.benchmarks.label_models FOLDER [--worlds 50]

FOLDER holds `rte_annotations.csv` (item, worker, answer, gold: 800 textual entailments answered by 164 people, Snow et
al. 2008) and `comment_votes_*.csv` (item, gold, one column a function: ten functions on comments, the data set "youtube"
of WRENCH). Gold labels measure, and nothing else reads them. Intervals are Wilson's, 90 %; of alpha, resampled items.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np

from ml_assets.labeling.agreement import measure_agreement
from ml_assets.labeling.label_choice import choose_labels
from ml_assets.labeling.label_models import LABEL_MODELS, VOTE
from ml_assets.labeling.votes import VoteMatrix, mean_accuracy
from ml_assets.stats.proportions import wilson_interval
from ml_assets_tests.labeling.worlds import World, draw_world, read_annotators, read_functions


def _accuracies(world: World) -> dict[str, float]:
    return {
        name: mean_accuracy(fit(world.votes).probabilities(world.votes), world.gold)
        for name, fit in LABEL_MODELS.items()
    }


def _show_table(name: str, world: World) -> None:
    n = len(world.gold)
    cells = []
    for accuracy in _accuracies(world).values():
        low, high = wilson_interval(accuracy * n, n)
        cells.append(f"{accuracy:.3f} ({low:.3f} to {high:.3f})")
    _write(f"| {name} | {n} | {len(world.votes.voters)} | " + " | ".join(cells) + " |")


def _show_worlds(number: int) -> None:
    found = [_accuracies(draw_world(seed)) for seed in range(number)]
    n = len(draw_world(0).gold)
    _write("\n| model | mean accuracy | better than the vote | worse by more than its interval | largest loss |")
    _write("|---|---|---|---|---|")
    for name in LABEL_MODELS:
        gains = np.array([each[name] - each[VOTE] for each in found])
        worse = sum(each[name] < wilson_interval(each[VOTE] * n, n)[0] for each in found)
        mean = np.mean([each[name] for each in found])
        _write(f"| {name} | {mean:.3f} | {(gains > 0).sum()} of {number} | {worse} | {min(gains.min(), 0):+.3f} |")


def _show_size(n: int = 1_000_000, n_voters: int = 20) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, n)
    votes = np.full((n, n_voters), -1, dtype=np.int16)
    for place in range(n_voters):
        if place % 2:
            said = np.where(rng.random(n) < rng.uniform(0.6, 0.9), truth, 1 - truth)
            votes[:, place] = np.where(rng.random(n) < 0.3, said, -1)
        else:
            side = place // 2 % 2
            votes[:, place] = np.where(rng.random(n) < np.where(truth == side, 0.4, 0.1), side, -1)
    matrix = VoteMatrix(votes, (0, 1), tuple(map(str, range(n_voters))))
    gold = np.where(rng.random(n) < 0.001, truth, -1)
    begun = time.perf_counter()
    choice = choose_labels(matrix, gold)
    choice.probabilities(matrix)
    taken = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    _write(f"\n{n:,} examples x {n_voters} functions, all label models and the choice: {taken:.1f} s, {peak:.2f} GB")


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


def main() -> None:
    """Print the tables of docs/labeling.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--worlds", type=int, default=50)
    asked = parser.parse_args()
    annotators = read_annotators(asked.folder / "rte_annotations.csv")
    _write(f"| table | examples | voters | {' | '.join(LABEL_MODELS)} |")
    _write("|---" * (3 + len(LABEL_MODELS)) + "|")
    _show_table("RTE annotators", annotators)
    for part in ("train", "valid"):
        _show_table(f"comment functions, {part}", read_functions(asked.folder / f"comment_votes_{part}.csv"))
    said = np.where(annotators.votes.votes >= 0, annotators.votes.votes, np.nan)
    alpha = measure_agreement(said, "nominal", rng=np.random.default_rng(0))
    _write(f"\nRTE annotators agree with alpha {alpha.alpha:.3f}, 90 % {alpha.low:.3f} to {alpha.high:.3f}")
    _show_worlds(asked.worlds)
    _show_size()


if __name__ == "__main__":
    main()
