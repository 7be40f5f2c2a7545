"""Facts in order of entity and time, and how many of them were there at a moment, for many moments at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.int64]
_FARTHEST = np.iinfo(np.int64).max
_SHORT = 1 << 16  # what a radix sort takes in one pass


def join_codes(
    facts: Mapping[str, Whole], asked: Mapping[str, Whole], columns: Sequence[str], sizes: tuple[int, int]
) -> tuple[Whole, Whole, int]:
    """Make one code of the codes of several columns, for facts and for what is asked, and say how many there are.

    It is -1 where one of them is, and where no fact has the combination that is asked for. Without columns all is one
    entity.
    """
    if not columns:
        return np.zeros(sizes[0], dtype=np.int64), np.zeros(sizes[1], dtype=np.int64), 1
    joined, wanted, count = facts[columns[0]], asked[columns[0]], _count(facts[columns[0]])
    for name in columns[1:]:
        width = _count(facts[name])
        joined = np.where((joined < 0) | (facts[name] < 0), -1, joined * width + facts[name])
        wanted = np.where((wanted < 0) | (asked[name] < 0), -1, wanted * width + asked[name])
        count *= width
        if count > _SHORT:  # keep the combinations that there are
            known = np.unique(joined[joined >= 0])
            joined, wanted, count = _placed(known, joined), _placed(known, wanted), known.size
    return joined, wanted, count


def _count(codes: Whole) -> int:
    return int(codes.max(initial=-1)) + 1


def _placed(known: Whole, codes: Whole) -> Whole:
    places = np.searchsorted(known, codes)
    is_known = (codes >= 0) & (known[np.minimum(places, known.size - 1)] == codes) if known.size else codes < -1
    return np.where(is_known, places, -1)


def order_by_code(codes: Whole, count: int) -> Whole:
    """Give the positions in order of `codes` (from 0, below `count`); equal ones keep their order."""
    if count <= _SHORT:
        return np.argsort(codes.astype(np.uint16), kind="stable")
    low = np.argsort((codes & (_SHORT - 1)).astype(np.uint16), kind="stable")
    return low[order_by_code((codes >> 16)[low], (count >> 16) + 1)]


@dataclass(frozen=True)
class EntityIndex:
    """Facts in order of (entity, time), packed into one ascending number each, so that one search finds both."""

    packed: Whole
    ticks: Whole
    span: int
    beyond: int = 0

    @classmethod
    def of(cls, entity: Whole, times: Whole) -> EntityIndex:
        """Index facts that are ordered by entity, then time."""
        if times.size == 0:
            return cls(times, times, 1)
        ticks = np.array([times.min()])
        span = int(times.max()) - int(ticks[0]) + 2
        if span * (int(entity.max()) + 2) >= _FARTHEST:  # too long a time for so many: count distinct moments
            ticks = np.unique(times)
            span = ticks.size + 1
        index = cls(times, ticks, span, int(entity.max()) + 1)
        return replace(index, packed=entity * span + index._tick(times))

    def _tick(self, moments: Whole) -> Whole:
        if self.ticks.size == 1:
            return np.clip(moments - self.ticks[0] + 1, 0, self.span - 1)
        return np.searchsorted(self.ticks, moments, side="right")

    def count_until(self, entity: Whole, moments: Whole) -> Whole:
        """Count the facts of all entities up to each (entity, moment), in the order of the index."""
        if self.packed.size == 0:
            return np.zeros(entity.size, dtype=np.int64)
        known = np.minimum(entity, self.beyond)  # a greater code has no fact here, and packed it could overflow
        return np.searchsorted(self.packed, known * self.span + self._tick(moments), side="right")


@dataclass(frozen=True)
class ExampleProbes:
    """Pairs of entity and moment, each once, in order; and which of them each example asks for."""

    entity: Whole
    moments: Whole
    places: Whole

    @classmethod
    def of(cls, entity: Whole, moments: Whole, count: int) -> ExampleProbes:
        """Ask once for each pair: many examples share theirs."""
        by_time = np.argsort(moments, kind="stable") if np.any(moments[1:] < moments[:-1]) else np.arange(moments.size)
        order = by_time[order_by_code(entity[by_time] + 1, count + 1)]  # -1 comes first
        entity, moments = entity[order], moments[order]
        is_new = np.ones(order.size, dtype=bool)
        is_new[1:] = (entity[1:] != entity[:-1]) | (moments[1:] != moments[:-1])
        places = np.empty(order.size, dtype=np.int64)
        places[order] = np.cumsum(is_new) - 1
        return cls(entity[is_new], moments[is_new], places)
