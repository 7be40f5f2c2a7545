"""The values of a view as known at each example's `prediction_at`: exact trailing windows, latest facts.

One drop is computed at a time, from the facts of that drop's interval and the longest window before
it, in one fixed order. So the bits of a value do not depend on which other drops are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ml_assets.features.facts import NEVER, Facts, LoadedView, Micros, Probes
from ml_assets.features.window_reduction import reduce_slices
from ml_assets.spec.features import Aggregate, FeatureView

if TYPE_CHECKING:
    import pyarrow as pa

_BEGINNING = np.iinfo(np.int64).min


@dataclass(frozen=True)
class DropSlice:
    """Which examples a drop has, as positions first..last (excluded), and its interval (opens, batch]."""

    first: int
    last: int
    opens_at: datetime
    batch_at: datetime


def to_micros(moment: datetime) -> int:
    """Give µs since 1970 of an aware moment, without a float in between.

    Examples
    --------
    >>> from datetime import UTC
    >>> to_micros(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
    1000005
    """
    return (moment - datetime.fromtimestamp(0, tz=moment.tzinfo)) // timedelta(microseconds=1)


def compute_view(view: FeatureView, loaded: LoadedView, drops: Sequence[DropSlice]) -> dict[str, pa.Array]:
    """Compute the feature columns of `view` for all examples, in their order.

    Returns
    -------
    dict of arrays
        A window without facts gives 0 for a count and null for the rest; an entity never seen, or
        null, likewise. `latest` is null without a fact, or with one older than `max_age`.
    """
    return _windows(view, loaded, drops) if view.windows else _latest(view, loaded, drops)


def _windows(view: FeatureView, loaded: LoadedView, drops: Sequence[DropSlice]) -> dict[str, pa.Array]:
    import pyarrow as pa

    aggregates = view.parsed_aggregates()
    found = np.full((loaded.probes.entity.size, len(view.windows) * len(aggregates)), np.nan)
    for examples, facts, probes in _by_drop(view.lookback, loaded, drops):
        for rows, in_force in _in_force(facts, probes):
            asked, places = _distinct(probes, rows)
            found[examples[rows]] = _reduce(aggregates, in_force, asked, view.windows)[places]
    return {
        name: pa.array(found[:, position], from_pandas=True) if not _is_count(aggregates, position)
        else pa.array(found[:, position].astype(np.int64))
        for position, name in enumerate(view.feature_names())
    }  # fmt: skip


def _is_count(aggregates: Sequence[Aggregate], position: int) -> bool:
    return aggregates[position % len(aggregates)].function == "count"


def _latest(view: FeatureView, loaded: LoadedView, drops: Sequence[DropSlice]) -> dict[str, pa.Array]:
    import pyarrow as pa

    chosen = np.full(loaded.probes.entity.size, -1, dtype=np.int64)
    for examples, facts, probes in _by_drop(view.lookback, loaded, drops):
        for rows, in_force in _in_force(facts, probes):
            asked, places = _distinct(probes, rows)
            chosen[examples[rows]] = _newest(in_force, asked, view.max_age)[places]
    is_found = chosen >= 0
    take = pa.array(np.where(is_found, chosen, 0), mask=~is_found)
    arrays = {
        name: loaded.columns[column].combine_chunks().take(take)
        for name, column in zip(view.feature_names(), view.latest, strict=False)
    }
    if view.with_age:
        age = np.full(chosen.size, np.nan)
        happened = loaded.facts.happened_at[chosen[is_found]]
        age[is_found] = (loaded.probes.prediction_at[is_found] - happened) / 3_600_000_000
        arrays[f"{view.name}_age_h"] = pa.array(age, from_pandas=True)
    return arrays


def _by_drop(
    lookback: timedelta | None, loaded: LoadedView, drops: Sequence[DropSlice]
) -> Iterator[tuple[Micros, Facts, Probes]]:
    for drop in drops:
        if drop.first == drop.last:
            continue
        since = _BEGINNING if lookback is None else to_micros(drop.opens_at - lookback)
        rows = slice(drop.first, drop.last)
        probes = Probes(loaded.probes.entity[rows], loaded.probes.prediction_at[rows])
        facts = loaded.facts.known_between(since, to_micros(drop.batch_at))
        yield np.arange(drop.first, drop.last), facts, probes


def _in_force(facts: Facts, probes: Probes) -> Iterator[tuple[npt.NDArray[np.bool_], Facts]]:
    """Give sets of probes and the versions in force for them: one set, unless facts were corrected.

    With corrections, which version holds depends on the moment asked for, so each is taken by itself.
    """
    is_plain = np.all(facts.counted_at == facts.known_at) and np.all(facts.superseded_at == NEVER)
    if is_plain:
        yield np.ones(probes.entity.size, dtype=bool), _ordered(facts)
        return
    for moment in np.unique(probes.prediction_at):
        holds = (facts.known_at <= moment) & (moment < facts.superseded_at)
        yield probes.prediction_at == moment, _ordered(facts.take(holds))


def _ordered(facts: Facts) -> Facts:
    return facts.take(np.lexsort((facts.counted_at, facts.entity)))


def _distinct(probes: Probes, rows: npt.NDArray[np.bool_]) -> tuple[Probes, Micros]:
    """Ask once for each pair of entity and moment: many examples share theirs."""
    pairs = np.column_stack([probes.entity[rows], probes.prediction_at[rows]])
    asked, places = np.unique(pairs, axis=0, return_inverse=True)
    return Probes(asked[:, 0], asked[:, 1]), places.reshape(-1)


@dataclass(frozen=True)
class _Index:
    """Facts in order of (entity, time), packed into one ascending number each, so that one search finds both."""

    packed: Micros
    ticks: Micros
    span: int
    beyond: int = 0

    @classmethod
    def of(cls, entity: Micros, times: Micros) -> _Index:
        """Index facts that are ordered by entity, then time."""
        if times.size == 0:
            return cls(times, times, 1)
        ticks = np.array([times.min()])
        span = int(times.max()) - int(ticks[0]) + 2
        if span * (int(entity.max()) + 2) >= NEVER:  # too long a time for so many entities: count distinct moments
            ticks = np.unique(times)
            span = ticks.size + 1
        index = cls(times, ticks, span, int(entity.max()) + 1)
        return replace(index, packed=entity * span + index._tick(times))

    def _tick(self, moments: Micros) -> Micros:
        if self.ticks.size == 1:
            return np.clip(moments - self.ticks[0] + 1, 0, self.span - 1)
        return np.searchsorted(self.ticks, moments, side="right")

    def count_until(self, entity: Micros, moments: Micros) -> Micros:
        """Count the facts before or at each (entity, moment)."""
        if self.packed.size == 0:
            return np.zeros(entity.size, dtype=np.int64)
        known = np.minimum(entity, self.beyond)  # a greater code has no fact here, and packed it could overflow
        return np.searchsorted(self.packed, known * self.span + self._tick(moments), side="right")


def _reduce(
    aggregates: Sequence[Aggregate], facts: Facts, asked: Probes, windows: Sequence[timedelta]
) -> npt.NDArray[np.float64]:
    """Reduce each aggregate over (prediction_at - window, prediction_at]; shape (asked, windows x aggregates)."""
    index = _Index.of(facts.entity, facts.counted_at)
    until = index.count_until(asked.entity, asked.prediction_at)
    ends = np.tile(until, len(windows))
    starts = np.concatenate(
        [index.count_until(asked.entity, asked.prediction_at - w // timedelta(microseconds=1)) for w in windows]
    )
    starts = np.where(np.tile(asked.entity, len(windows)) < 0, ends, starts)
    has_value = ~np.isnan(facts.values)
    summands = np.hstack([has_value.astype(np.float64), np.where(has_value, facts.values, 0.0)])
    counts, sums = np.hsplit(reduce_slices(summands, starts, ends, np.add, 0.0), 2)
    found = np.full(counts.shape, np.nan)
    for position, aggregate in enumerate(aggregates):
        count = counts[:, position]
        if aggregate.function == "count":
            found[:, position] = count
            continue
        value = sums[:, position]
        if aggregate.function == "mean":
            value = value / np.maximum(count, 1.0)
        elif aggregate.function in _EXTREMES:
            ufunc, identity = _EXTREMES[aggregate.function]
            column = np.where(has_value[:, position], facts.values[:, position], identity)
            value = reduce_slices(column[:, None], starts, ends, ufunc, identity)[:, 0]
        found[:, position] = np.where(count > 0, value, np.nan)
    return np.hstack(np.vsplit(found, len(windows)))


_EXTREMES: dict[str, tuple[np.ufunc, float]] = {"min": (np.minimum, np.inf), "max": (np.maximum, -np.inf)}


def _newest(facts: Facts, asked: Probes, max_age: timedelta | None) -> Micros:
    """Choose for each probe the newest fact known by then; -1 where none is young enough."""
    if facts.entity.size == 0:
        return np.full(asked.entity.size, -1, dtype=np.int64)
    by_knowledge = facts.take(np.lexsort((facts.position, facts.known_at, facts.entity)))
    age_order = np.lexsort((by_knowledge.position, by_knowledge.known_at, by_knowledge.happened_at))
    rank = np.empty(age_order.size, dtype=np.int64)
    rank[age_order] = np.arange(age_order.size)
    # entities stand in blocks, so a running maximum of (entity, rank) starts anew in each block
    newest = np.maximum.accumulate(by_knowledge.entity * rank.size + rank) % rank.size
    index = _Index.of(by_knowledge.entity, by_knowledge.known_at)
    place = index.count_until(asked.entity, asked.prediction_at) - 1
    chosen = age_order[newest[np.maximum(place, 0)]]
    is_known = (place >= 0) & (by_knowledge.entity[np.maximum(place, 0)] == asked.entity) & (asked.entity >= 0)
    if max_age is not None:
        is_known &= by_knowledge.happened_at[chosen] > asked.prediction_at - max_age // timedelta(microseconds=1)
    return np.where(is_known, by_knowledge.position[chosen], -1)
