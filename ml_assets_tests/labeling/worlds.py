"""Tables of votes: generated ones whose truth is known, and the two public ones that tests and benchmarks read."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_assets.labeling.votes import VoteMatrix, gather_votes, read_votes


@dataclass(frozen=True, eq=False)
class World:
    """Votes, the true class of each example, and what kind each function is."""

    votes: VoteMatrix
    gold: NDArray[np.int64]
    kinds: tuple[str, ...] = ()


def draw_world(seed: int, n: int = 600) -> World:
    """Draw 5 to 14 functions on `n` examples of 2 to 4 classes.

    Kinds: `one` votes for one class only, `both` for all, `adversarial` is worse than chance, `copy` repeats an earlier
    function but for up to 15 % of its votes. Each abstains on 10 to 90 % of the examples.
    """
    rng = np.random.default_rng(seed)
    n_classes, n_voters = int(rng.choice([2, 2, 2, 3, 4])), int(rng.integers(5, 15))
    shares = rng.dirichlet(np.full(n_classes, 4.0))
    truth = rng.choice(n_classes, n, p=shares)
    votes, kinds = np.full((n, n_voters), -1, dtype=np.int16), []
    for place in range(n_voters):
        drawn = rng.choice(["one", "both", "adversarial", "copy"], p=[0.4, 0.3, 0.1, 0.2])
        kind = str(drawn) if place > 2 else str(rng.choice(["one", "both"]))
        kinds.append(kind)
        if kind == "copy":
            votes[:, place] = votes[:, int(rng.integers(0, place))]
            votes[rng.random(n) < rng.uniform(0, 0.15), place] = -1
            continue
        accuracy = rng.uniform(0.15, 0.4) if kind == "adversarial" else rng.uniform(0.55, 0.95)
        coverage = rng.uniform(0.1, 0.9)
        if kind == "one":
            side, hit = int(rng.integers(n_classes)), rng.uniform(0.1, 0.7)
            false = min(hit * shares[side] * (1 - accuracy) / accuracy / (1 - shares[side]), 0.95)
            votes[:, place] = np.where(rng.random(n) < np.where(truth == side, hit, false), side, -1)
        else:
            wrong = (truth + rng.integers(1, n_classes, n)) % n_classes
            said = np.where(rng.random(n) < accuracy, truth, wrong)
            votes[:, place] = np.where(rng.random(n) < coverage, said, -1)
    names = tuple(f"f{place}" for place in range(n_voters))
    return World(VoteMatrix(votes, tuple(range(n_classes)), names), truth, tuple(kinds))


def read_annotators(file: Path) -> World:
    """Read `item, worker, answer, gold`: one row an answer."""
    with file.open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    items, item = np.unique([row["item"] for row in rows], return_inverse=True)
    workers, worker = np.unique([row["worker"] for row in rows], return_inverse=True)
    said = np.array([int(row["answer"]) for row in rows])
    gold = np.zeros(len(items), dtype=np.int64)
    gold[item] = [int(row["gold"]) for row in rows]
    table = gather_votes(item, worker, said, (len(items), len(workers)))
    return World(VoteMatrix(table, (0, 1), tuple(map(str, workers))), gold)


def read_functions(file: Path) -> World:
    """Read `item, gold` and one column a function; -1 abstains."""
    with file.open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    names = [name for name in rows[0] if name not in ("item", "gold")]
    said = [[None if row[name] == "-1" else int(row[name]) for name in names] for row in rows]
    return World(read_votes(said, (0, 1), names), np.array([int(row["gold"]) for row in rows]))
