"""Which of two rankings people prefer, from one list that both of them filled.

Each list is drafted in turns from both rankings, and who drafted a place is recorded. A ranking wins a list when more
of what was acted on came from it. Each person compares both rankings on the same list, so what people differ in
cancels, and far fewer lists are needed than when each sees one ranking alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_assets.stats.anytime import Estimate, SequenceInterval, anytime_interval
from ml_assets.stats.clustered import paired_difference

Source = Literal["a", "b", "both"]


@dataclass(frozen=True)
class Interleaved:
    """A list that two rankings filled: its items in order, and which ranking drafted each place."""

    items: tuple[str, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Preference:
    """How much more of a list is acted on where ranking b drafted it than where ranking a did.

    Attributes
    ----------
    interval
        Mean credit of a list, in items acted on, with bounds that hold at all looks together.
    wins_a, wins_b, ties
        Lists.
    """

    interval: SequenceInterval
    wins_a: int
    wins_b: int
    ties: int
    estimate: Estimate


def team_draft(a: Sequence[str], b: Sequence[str], length: int, coins: ArrayLike) -> Interleaved:
    """Draft a list from two rankings as captains draft teams (Radlinski, Kurup and Joachims, 2008, CIKM).

    In each round a coin says who drafts first; each takes the first of its ranking that is not drafted yet. Where both
    would take the same item, it is drafted by both and says nothing about either: a coin would decide whose it is,
    which is noise. A ranking that has nothing left passes.

    Parameters
    ----------
    a, b
        Items of each ranking, the best first, each once.
    length
        Places of the list.
    coins
        One point in [0, 1) a place, such as `assignment.points` gives: below a half a drafts first.

    >>> found = team_draft(["x", "y", "z", "v"], ["x", "z", "w", "y"], 4, [0.9, 0.9])
    >>> found.items, found.sources
    (('x', 'z', 'y', 'w'), ('both', 'b', 'a', 'b'))
    """
    drafted: dict[str, Source] = {}
    rounds = iter(np.asarray(coins, dtype=np.float64).tolist())
    while len(drafted) < length:
        wanted = [next((item for item in ranking if item not in drafted), None) for ranking in (a, b)]
        if wanted[0] == wanted[1]:
            if wanted[0] is None:
                break
            drafted[wanted[0]] = "both"
            continue
        teams: list[tuple[Source, str | None]] = [("a", wanted[0]), ("b", wanted[1])]
        for captain, item in teams if next(rounds) < 0.5 else teams[::-1]:
            if item is not None and len(drafted) < length:
                drafted[item] = captain
    return Interleaved(tuple(drafted), tuple(drafted.values()))


def list_credit(interleaved: Interleaved, acted_on: ArrayLike) -> int:
    """Count what was acted on of ranking b's places less of a's: above zero b wins the list.

    `acted_on` says of each place whether it was acted on. The difference says more than who won: on lists drawn in
    tests it finds a better ranking with a fifth fewer lists.

    >>> list_credit(Interleaved(("x", "y"), ("a", "b")), [False, True])
    1
    """
    hits = np.asarray(acted_on, dtype=bool)
    sign = np.array([{"a": -1, "b": 1, "both": 0}[source] for source in interleaved.sources])
    return int((sign * hits).sum())


def preference(credits: ArrayLike, units: ArrayLike, level: float, prior: float) -> Preference:
    """Estimate which ranking is preferred, with lists of one unit (a person, a drop) taken for one piece of evidence.

    Parameters
    ----------
    credits
        Of each list, as `list_credit` gives it.
    prior
        Prior precision of the sequence, from `anytime.tuned_prior` of the planned number of units.

    >>> found = preference([1, 1, 0, 1, 1, 1], range(6), 0.95, prior=1.0)
    >>> round(found.interval.estimate, 2), found.wins_b, found.ties
    (0.83, 5, 1)
    """
    won: NDArray[np.float64] = np.asarray(credits, dtype=np.float64)
    _, place = np.unique(np.asarray(units), return_inverse=True)
    if not won.size:
        nothing = Estimate(math.nan, math.nan, 0, 0, 0, 0)
        return Preference(anytime_interval(nothing, level, prior), 0, 0, 0, nothing)
    found = paired_difference(np.bincount(place, won), np.bincount(place))
    wins_a, wins_b, ties = (int((np.sign(won) == sign).sum()) for sign in (-1, 1, 0))
    return Preference(anytime_interval(found, level, prior), wins_a, wins_b, ties, found)
