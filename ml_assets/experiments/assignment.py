"""Which arm a unit is in.

An arm is a function of the unit's name and the experiment's name: row order, the drop, a rerun and other experiments
change nothing. Experiments of one layer share out its units, so that no unit is in two of them; layers are independent
of each other. A holdout group is kept out of every experiment and is never treated.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOT_IN", "Allocation", "Assigned", "allocate_layer", "assign", "choose_with_exploration", "hash_units",
           "points"]  # fmt: skip
NOT_IN = ""  # the arm of a unit that an experiment does not take
HOLDOUT = "holdout"
_HOLDOUT_SALT = "holdout"
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Allocation:
    """Which units an experiment takes, and how it shares them out.

    Attributes
    ----------
    arms
        Share of each arm among the units that the experiment takes, by name; they add up to 1.
    first, last
        The part of its layer that it takes, from 0 to 1.
    holdout
        Share of all units that no experiment takes.
    """

    experiment: str
    layer: str
    arms: Mapping[str, float]
    first: float = 0.0
    last: float = 1.0
    holdout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse shares that are none, and a part that is none."""
        if any(share <= 0 for share in self.arms.values()) or not math.isclose(sum(self.arms.values()), 1):
            raise ValueError(f"{self.experiment}: shares must be above 0 and add up to 1, got {dict(self.arms)}")
        if not 0 <= self.first < self.last <= 1 + _TOLERANCE or not 0 <= self.holdout < 1:
            raise ValueError(f"{self.experiment}: found part {self.first} to {self.last}, holdout {self.holdout}")


@dataclass(frozen=True)
class Assigned:
    """The arms of units, in the order in which the units were given.

    Attributes
    ----------
    arms
        Name of the arm; `holdout` of a unit that is kept out, empty of one that the experiment does not take.
    propensities
        Probability with which the unit got its arm, over all names it could have had: for an arm its share, times the
        part of the layer, times what is not held out.
    """

    arms: NDArray[np.object_]
    propensities: NDArray[np.float64]


def hash_units(units: Iterable[str]) -> NDArray[np.uint64]:
    """Hash names of units to 64 bits, the same on every machine and in every process.

    >>> hash_units(["a", "b"]).tolist() == hash_units(["a", "b"]).tolist()
    True
    """
    found = [int.from_bytes(hashlib.blake2b(unit.encode(), digest_size=8).digest(), "little") for unit in units]
    return np.array(found, dtype=np.uint64)


def points(hashes: NDArray[np.uint64], salt: str) -> NDArray[np.float64]:
    """Place hashed units in [0, 1), evenly, and independently of where another salt places them.

    The finaliser of splitmix64 (Steele, Lea and Flood, 2014, OOPSLA), twice, with the salt between.
    """
    mixed = _mix(_mix(hashes) ^ hash_units([salt])[0])
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53


def assign(hashes: NDArray[np.uint64], allocation: Allocation) -> Assigned:
    """Give each hashed unit its arm.

    >>> found = assign(hash_units(["a", "b", "c"]), Allocation("prices", "main", {"new": 0.5, "old": 0.5}))
    >>> found.arms.tolist(), found.propensities.tolist()
    (['new', 'old', 'old'], [0.5, 0.5, 0.5])
    """
    is_held = points(hashes, _HOLDOUT_SALT) < allocation.holdout
    place = points(hashes, f"layer:{allocation.layer}")
    is_taken = (place >= allocation.first) & (place < allocation.last) & ~is_held
    names, shares = list(allocation.arms), np.array(list(allocation.arms.values()))
    edges = np.cumsum(shares)
    edges[-1] = 1.0  # whatever rounding made of the sum
    chosen = np.searchsorted(edges, points(hashes, f"experiment:{allocation.experiment}"), side="right")
    arms = np.array(names, dtype=object)[chosen]
    arms[~is_taken] = NOT_IN
    arms[is_held] = HOLDOUT
    taken = (1 - allocation.holdout) * (min(allocation.last, 1.0) - allocation.first)
    propensities = np.where(is_taken, shares[chosen] * taken, (1 - allocation.holdout) - taken)
    return Assigned(arms, np.where(is_held, allocation.holdout, propensities))


def allocate_layer(
    layer: str, experiments: Sequence[tuple[str, Mapping[str, float], float]], holdout: float = 0.0
) -> list[Allocation]:
    """Give experiments of one layer parts of it that do not overlap.

    Parameters
    ----------
    experiments
        Name, shares of the arms, and share of the layer's units, in the order of declaration.

    Raises
    ------
    ValueError
        Where they ask for more than the layer has.

    >>> [(each.first, each.last) for each in allocate_layer("main", [("a", {"x": 1.0}, 0.5), ("b", {"x": 1.0}, 0.25)])]
    [(0.0, 0.5), (0.5, 0.75)]
    """
    found: list[Allocation] = []
    first = 0.0
    for name, arms, share in experiments:
        last = first + share
        if last > 1 + _TOLERANCE:
            raise ValueError(f"layer {layer}: found {last:g} of its units asked for; allowed: at most 1")
        found.append(Allocation(name, layer, arms, first, last, holdout))
        first = last
    return found


def choose_with_exploration(
    preferred: NDArray[np.int64], n_actions: int, epsilon: float, draws: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Take the preferred action, but in a share of decisions any action at random; give actions and propensities.

    Parameters
    ----------
    preferred
        Of each decision, the action to take otherwise, from 0.
    epsilon
        Share of decisions that are drawn at random.
    draws
        One point in [0, 1) a decision, such as `points` gives, so that a rerun takes the same actions.

    >>> choose_with_exploration(np.array([1, 1]), 2, 0.2, np.array([0.05, 0.5]))
    (array([0, 1]), array([0.1, 0.9]))
    """
    drawn = np.minimum((draws / max(epsilon, 1e-300) * n_actions).astype(np.int64), n_actions - 1)
    actions = np.where(draws < epsilon, drawn, preferred)
    return actions, np.where(actions == preferred, 1 - epsilon, 0.0) + epsilon / n_actions


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = values + _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
