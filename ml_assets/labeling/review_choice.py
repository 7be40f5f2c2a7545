"""Which examples of a drop people are asked about: a share by each strategy, and a share by chance.

The share by chance is drawn first, from all candidates, so that every candidate has the same known probability of being
in it: estimates on these rows are unbiased. Strategies choose among the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ml_assets.labeling.votes import FloatArray, IntArray
from ml_assets.spec.review import DIVERSITY, RANDOM

Far = Callable[[IntArray, IntArray, int], tuple[IntArray, FloatArray]]  # candidates left, chosen so far, how many


@dataclass(frozen=True)
class ChosenExample:
    """A candidate that was chosen.

    Attributes
    ----------
    position
        Among the candidates.
    measure
        What its strategy measured; NaN where chance chose.
    """

    position: int
    strategy: str
    measure: float


@dataclass(frozen=True)
class ReviewChoice:
    """What was chosen, in the order in which people see it.

    Attributes
    ----------
    propensity
        Probability with which chance alone draws a candidate of the pool.
    """

    chosen: Sequence[ChosenExample]
    propensity: float


def choose_for_review(
    names: Sequence[str],
    measures: Mapping[str, FloatArray],
    counts: Mapping[str, int],
    salt: str,
    far: Far | None = None,
) -> ReviewChoice:
    """Choose among candidates.

    Parameters
    ----------
    names
        Of the candidates; chance draws by a hash of them, so that their order does not matter.
    measures
        By strategy one number a candidate, the highest is chosen first; NaN where the strategy has nothing to say.
    counts
        By strategy, and `random`, how many it chooses. What a strategy cannot fill is drawn by chance.
    salt
        What chance depends on beside the names.
    far
        Chooses the farthest for the strategy `diversity`; without it, chance takes its share.

    >>> found = choose_for_review(["a", "b", "c", "d"], {"uncertainty": np.array([0.1, 0.9, 0.5, 0.2])},
    ...                           {"uncertainty": 2, "random": 1}, "2024-01-02")
    >>> [(each.strategy, each.position) for each in found.chosen], found.propensity
    ([('uncertainty', 1), ('random', 3), ('uncertainty', 2)], 0.25)
    """
    n = len(names)
    offered = {name: _offered(name, measures, far, n) for name in counts if name != RANDOM}
    wanted = {name: min(counts[name], offered[name]) for name in offered}
    by_chance = min(n, sum(counts.values()) - sum(wanted.values()))
    order = sorted(range(n), key=lambda place: hash_of(salt, names[place]))
    drawn = order[:by_chance]
    parts = [[ChosenExample(place, RANDOM, float("nan")) for place in drawn]]
    taken = set(drawn)
    for name, count in ((name, count) for name, count in wanted.items() if count):
        left = np.array([place for place in range(n) if place not in taken], dtype=np.int64)
        if name == DIVERSITY and far is not None:
            positions, values = far(left, np.array(sorted(taken), dtype=np.int64), count)
        else:
            positions, values = _highest(left, measures[name], count, names)
        parts.append(
            [ChosenExample(int(place), name, float(value)) for place, value in zip(positions, values, strict=True)]
        )
        taken |= {int(place) for place in positions}
    return ReviewChoice(_in_turn(parts), by_chance / n if n else 0.0)


def share_out(capacity: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Cut a capacity by shares into whole numbers, the largest remainders rounded up; random gets at least one.

    >>> share_out(10, {"uncertainty": 0.75, "random": 0.25})
    {'uncertainty': 7, 'random': 3}
    >>> share_out(4, {"uncertainty": 0.95, "random": 0.05})
    {'uncertainty': 3, 'random': 1}
    """
    exact = {name: capacity * share for name, share in shares.items()}
    found = {name: int(each + 1e-9) for name, each in exact.items()}
    for name in sorted(exact, key=lambda each: (found[each] - exact[each], each != RANDOM))[
        : capacity - sum(found.values())
    ]:
        found[name] += 1
    if shares.get(RANDOM) and not found[RANDOM]:
        largest = max(found, key=lambda each: found[each])
        found[largest] -= 1
        found[RANDOM] = 1
    return found


def hash_of(salt: str, name: str) -> str:
    """Give what chance orders by: the same for the same salt and name, whatever else there is."""
    return hashlib.sha256(f"{salt}\0{name}".encode()).hexdigest()


def _offered(name: str, measures: Mapping[str, FloatArray], far: Far | None, n: int) -> int:
    """Count the candidates that a strategy has something to say about."""
    if name == DIVERSITY:
        return n if far is not None else 0
    return int(np.isfinite(measures[name]).sum()) if name in measures else 0


def _highest(left: IntArray, measure: FloatArray, count: int, names: Sequence[str]) -> tuple[IntArray, FloatArray]:
    """Take the candidates with the highest measure, equal ones in order of their names."""
    known = [int(place) for place in left if np.isfinite(measure[place])]
    best = sorted(known, key=lambda place: (-measure[place], names[place]))[:count]
    positions = np.array(best, dtype=np.int64)
    return positions, measure[positions]


def _in_turn(parts: Sequence[Sequence[ChosenExample]]) -> list[ChosenExample]:
    """Mix the strategies evenly, so that who stops early has seen something of each."""
    placed = [
        ((place + 0.5) / len(part), order, each) for order, part in enumerate(parts) for place, each in enumerate(part)
    ]
    return [each for _, _, each in sorted(placed, key=lambda item: (item[0], item[1]))]
