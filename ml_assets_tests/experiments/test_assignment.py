"""Arms are a function of names alone, shared out as declared, and independent between experiments."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ml_assets.experiments.assignment import (
    HOLDOUT,
    NOT_IN,
    Allocation,
    allocate_layer,
    assign,
    choose_with_exploration,
    hash_units,
    points,
)

EVEN = {"new": 0.5, "old": 0.5}
N_UNITS, N_EXPERIMENTS = 1_000_000, 100


@pytest.fixture(scope="module")
def million() -> np.ndarray:
    return hash_units(f"unit-{number}" for number in range(N_UNITS))


def test_arms_are_balanced_and_independent_over_a_million_units_and_a_hundred_experiments(million: np.ndarray) -> None:
    shares = [(0.5, 0.1, 0.01)[number % 3] for number in range(N_EXPERIMENTS)]
    together = np.zeros((N_EXPERIMENTS, N_EXPERIMENTS))
    counts = np.zeros(N_EXPERIMENTS)
    for start in range(0, N_UNITS, 200_000):
        chunk = million[start : start + 200_000]
        is_new = np.stack(
            [
                assign(chunk, Allocation(f"e{number}", f"layer{number}", {"new": share, "old": 1 - share})).arms
                == "new"
                for number, share in enumerate(shares)
            ]
        ).astype(np.float32)
        together += is_new @ is_new.T
        counts += is_new.sum(axis=1)

    share = np.array(shares)
    z_balance = (counts - N_UNITS * share) / np.sqrt(N_UNITS * share * (1 - share))
    expected = np.outer(share, share)
    z_pairs = (together / N_UNITS - expected) / np.sqrt(expected * (1 - expected) / N_UNITS)
    pairs = z_pairs[np.triu_indices(N_EXPERIMENTS, 1)]

    assert np.abs(z_balance).max() < 4  # the largest of a hundred normal values is below it in 99.4 % of cases
    assert abs(float((z_balance**2).mean()) - 1) < 0.5  # neither worse nor suspiciously better than chance
    assert np.abs(pairs).max() < 5
    assert 0.8 < float(pairs.std()) < 1.2


def test_arms_do_not_depend_on_order_or_on_who_else_is_assigned(million: np.ndarray) -> None:
    some = million[:20_000]
    allocation = Allocation("prices", "main", {"a": 0.2, "b": 0.3, "c": 0.5})
    order = np.random.default_rng(1).permutation(some.size)

    at_once = assign(some, allocation).arms

    assert (assign(some[order], allocation).arms == at_once[order]).all()
    assert (np.concatenate([assign(some[:7], allocation).arms, assign(some[7:], allocation).arms]) == at_once).all()


def test_arms_are_the_same_in_another_process_with_another_hash_seed() -> None:
    code = (
        "from ml_assets.experiments.assignment import *; "
        "print(','.join(assign(hash_units(f'u{i}' for i in range(50)), Allocation('e', 'l', {'a': .5, 'b': .5})).arms))"
    )
    here = assign(hash_units(f"u{i}" for i in range(50)), Allocation("e", "l", {"a": 0.5, "b": 0.5})).arms

    there = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip

    assert there == ",".join(here)
    assert ",".join(here[:8]) == "b,a,a,a,a,b,a,b"  # written down: a new release must not move a unit


def test_experiments_of_a_layer_share_no_unit_and_layers_are_independent(million: np.ndarray) -> None:
    first, second = allocate_layer("main", [("a", EVEN, 0.6), ("b", EVEN, 0.4)])

    in_first, in_second = (assign(million[:100_000], each).arms != NOT_IN for each in (first, second))

    assert (in_first != in_second).all()
    assert abs(in_first.mean() - 0.6) < 0.01


def test_holdout_is_the_same_group_in_every_experiment(million: np.ndarray) -> None:
    groups = [
        assign(million[:100_000], Allocation(name, layer, EVEN, holdout=0.05)).arms == HOLDOUT
        for name, layer in (("a", "main"), ("b", "main"), ("c", "other"))
    ]

    assert (groups[0] == groups[1]).all()
    assert (groups[0] == groups[2]).all()
    assert abs(groups[0].mean() - 0.05) < 0.005


def test_propensities_are_the_shares_with_which_arms_occur(million: np.ndarray) -> None:
    allocation = Allocation("a", "main", {"new": 0.2, "old": 0.8}, first=0.1, last=0.6, holdout=0.1)

    found = assign(million[:200_000], allocation)

    for arm in ("new", "old", HOLDOUT, NOT_IN):
        is_arm = found.arms == arm
        (propensity,) = np.unique(found.propensities[is_arm].round(12))
        assert abs(is_arm.mean() - propensity) < 5 * np.sqrt(propensity / 200_000), arm


def test_exploration_takes_each_action_as_often_as_its_propensity_says(million: np.ndarray) -> None:
    preferred = np.arange(200_000) % 3

    actions, propensities = choose_with_exploration(preferred, 4, 0.2, points(million[:200_000], "explore"))

    weighted = [float(((actions == action) / propensities).mean()) for action in range(4)]
    assert set(propensities.round(9)) == {0.05, 0.85}
    assert np.allclose(weighted, 1, atol=0.05)


def test_a_layer_that_is_asked_for_too_much_is_refused() -> None:
    with pytest.raises(ValueError, match=r"layer main: found 1\.1 of its units asked for"):
        allocate_layer("main", [("a", EVEN, 0.6), ("b", EVEN, 0.5)])


def test_shares_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="add up to 1"):
        Allocation("a", "main", {"new": 0.5, "old": 0.4})
