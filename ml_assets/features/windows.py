"""Exact trailing windows: aggregates of the facts of an entity counted in (prediction_at - window, prediction_at]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ml_assets.features.added_aggregates import reduce_added
from ml_assets.features.additive import Additive, Totals, finish_sums
from ml_assets.features.distinct_counts import count_distinct
from ml_assets.features.entity_index import EntityIndex, ExampleProbes, join_codes, order_by_code
from ml_assets.features.facts import NEVER, Facts, LoadedScope, Measure
from ml_assets.features.plan import ROWS, Reduction, WindowGroup
from ml_assets.features.window_reduction import reduce_slices
from ml_assets.spec.aggregates import AGGREGATES, added_aggregate
from ml_assets.spec.features import WHOLE_NUMBERS

if TYPE_CHECKING:
    import pyarrow as pa

Whole = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ADDITIVE = frozenset({"count", "sum", "mean", "share", "std"})
Added = tuple[str, bool]  # a measure, and whether its squares are added up too
_HOUR_US = 3_600_000_000
_EXTREMES: dict[str, tuple[np.ufunc, float]] = {"min": (np.minimum, np.inf), "max": (np.maximum, -np.inf)}


@dataclass(frozen=True)
class Versions:
    """The versions that a group is made of: positions in the facts of its scope, with entity and times."""

    rows: Whole
    entity: Whole
    known_at: Whole
    counted_at: Whole
    superseded_at: Whole
    count: int

    def take(self, chosen: npt.NDArray[np.bool_] | Whole) -> Versions:
        """Give some of them."""
        return Versions(
            self.rows[chosen],
            self.entity[chosen],
            self.known_at[chosen],
            self.counted_at[chosen],
            self.superseded_at[chosen],
            self.count,
        )

    def is_plain(self) -> npt.NDArray[np.bool_]:
        """Say which facts were never corrected."""
        return (self.counted_at == self.known_at) & (self.superseded_at == NEVER)

    def by_entity(self) -> Versions:
        """Give them in order of entity and `counted_at`."""
        rows = self
        if np.any(self.counted_at[1:] < self.counted_at[:-1]):
            rows = self.take(np.argsort(self.counted_at, kind="stable"))
        return rows.take(order_by_code(rows.entity, rows.count))


def in_group(loaded: LoadedScope, entity: tuple[str, ...], where: str | None) -> tuple[Versions, ExampleProbes]:
    """Give the versions that a group is made of, and what is asked of it."""
    facts, probes = loaded.facts, loaded.probes
    sizes = facts.known_at.size, probes.prediction_at.size
    codes, wanted, count = join_codes(facts.entities, probes.entities, entity, sizes)
    rows = np.arange(sizes[0])
    versions = Versions(rows, codes, facts.known_at, facts.counted_at, facts.superseded_at, count)
    is_in = codes >= 0
    if where is not None:
        is_in &= facts.conditions[where]
    return versions if is_in.all() else versions.take(is_in), ExampleProbes.of(wanted, probes.prediction_at, count)


def added_by(reduction: Reduction) -> Added:
    """Say what is added up for a windowed feature."""
    return reduction.measure, reduction.function == "std"


def take_apart_measures(groups: Sequence[WindowGroup], facts: Facts) -> dict[Added, Additive]:
    """Take apart what any of the groups adds up, once for all of them."""
    asked = {added_by(each) for group in groups for each in group.reductions if each.function in ADDITIVE}
    return {
        (name, has_squares): Additive.of_rows()
        if name == ROWS
        else Additive.of(facts.measures[name], has_squares=has_squares)
        for name, has_squares in sorted(asked)
    }


def compute_windows(group: WindowGroup, loaded: LoadedScope, additive: Mapping[Added, Additive]) -> dict[str, pa.Array]:
    """Compute the features of a group for all examples, in their order.

    A window without facts gives 0 for a count and null for the rest; an entity never seen, or null, likewise.

    Parameters
    ----------
    additive
        As `take_apart_measures` gives them.
    """
    import pyarrow as pa

    versions, asked = in_group(loaded, group.entity, group.where)
    found: dict[str, Floats | Whole] = {}
    adding = [each for each in group.reductions if each.function in ADDITIVE]
    if adding:
        totals = _totals(versions, asked, adding, additive)
        found |= {each.feature: finish_sums(each, totals[added_by(each), each.window]) for each in adding}
    searching = [each for each in group.reductions if each.function not in ADDITIVE]
    if searching:
        found |= _search(loaded.facts, versions, asked, searching)
    return {
        each.feature: pa.array(found[each.feature][asked.places], from_pandas=each.function not in WHOLE_NUMBERS)
        for each in group.reductions
    }


def _totals(
    versions: Versions, asked: ExampleProbes, reductions: list[Reduction], additive: Mapping[Added, Additive]
) -> dict[tuple[Added, timedelta], Totals]:
    """Add up each measure over each window.

    Facts that were never corrected are the difference of two running sums. A version of a fact that was is in a window
    from its own `known_at` until it is superseded or the window has passed its `counted_at`: it comes and goes, and
    what is there at a moment is one running sum of comings and goings.
    """
    is_plain = versions.is_plain()
    plain = (versions if is_plain.all() else versions.take(is_plain)).by_entity()
    index = EntityIndex.of(plain.entity, plain.counted_at)
    ends = index.count_until(asked.entity, asked.moments)
    running = {name: additive[name].running(plain.rows) for name in dict.fromkeys(map(added_by, reductions))}
    corrected = None if is_plain.all() else versions.take(~is_plain)
    found = {}
    for window in dict.fromkeys(each.window for each in reductions):
        starts = index.count_until(asked.entity, asked.moments - _micros(window))
        starts = np.where(asked.entity < 0, ends, starts)
        came = None if corrected is None else _entry_exit_events(corrected, asked, window)
        for name in dict.fromkeys(added_by(each) for each in reductions if each.window == window):
            total = additive[name].between(running[name], starts, ends)
            if came is not None:
                total = total.plus(additive[name].signed(*came))
            found[name, window] = total
    return found


def _entry_exit_events(versions: Versions, asked: ExampleProbes, window: timedelta) -> tuple[Whole, Whole, Whole]:
    """Give rows that come (1) and go (-1) in order of entity and time, and how many of them there were when asked."""
    leaves_at = np.minimum(versions.superseded_at, versions.counted_at + _micros(window))
    stays = versions.known_at < leaves_at
    rows, entity = versions.rows[stays], versions.entity[stays]
    times = np.concatenate([versions.known_at[stays], leaves_at[stays]])
    signs = np.repeat(np.array([1, -1]), rows.size)
    rows, entity = np.tile(rows, 2), np.tile(entity, 2)
    order = np.lexsort((times, entity))
    index = EntityIndex.of(entity[order], times[order])
    until = np.where(asked.entity < 0, 0, index.count_until(asked.entity, asked.moments))
    return rows[order], signs[order], until


def active_versions(versions: Versions, asked: ExampleProbes) -> Iterator[tuple[Whole, Versions]]:
    """Give positions of what is asked, and the versions in force for them: one set, unless facts were corrected.

    Between two corrections the same versions hold, whatever the moment; those that become known meanwhile are beyond
    the end of a window.
    """
    is_plain = versions.is_plain()
    if is_plain.all():
        yield np.arange(asked.entity.size), versions
        return
    begins = versions.known_at[versions.counted_at != versions.known_at]
    turns = np.unique(np.concatenate([begins, versions.superseded_at[versions.superseded_at != NEVER]]))
    places = np.searchsorted(turns, asked.moments, side="right")
    for place in np.unique(places):
        since = turns[place - 1] if place else np.iinfo(np.int64).min
        is_first = versions.counted_at == versions.known_at
        holds = (versions.superseded_at > since) & (is_first | (versions.known_at <= since))
        yield np.flatnonzero(places == place), versions.take(holds)


def _search(
    facts: Facts, versions: Versions, asked: ExampleProbes, reductions: list[Reduction]
) -> dict[str, Floats | Whole]:
    found: dict[str, Floats | Whole] = {
        each.feature: np.zeros(asked.entity.size, dtype=np.int64)
        if each.function in WHOLE_NUMBERS
        else np.full(asked.entity.size, np.nan)
        for each in reductions
    }
    for chosen, in_force in active_versions(versions, asked):
        held = in_force.by_entity()
        index = EntityIndex.of(held.entity, held.counted_at)
        entity, moments = asked.entity[chosen], asked.moments[chosen]
        ends = index.count_until(entity, moments)
        for each in reductions:
            starts = index.count_until(entity, moments - _micros(each.window))
            starts = np.where(entity < 0, ends, starts)
            measure = None if each.measure == ROWS else facts.measures[each.measure].take(held.rows)
            found[each.feature][chosen] = reduce_in_order(
                each.function, measure, held.counted_at, (starts, ends), moments
            )
    return found


def reduce_in_order(
    function: str, measure: Measure | None, counted_at: Whole, slices: tuple[Whole, Whole], moments: Whole
) -> Floats | Whole:
    """Reduce slices of facts that stand in order, by a function that is no sum.

    Parameters
    ----------
    measure
        A value a fact; None is the fact itself.
    counted_at
        The time of each fact, in µs.
    slices
        Starts and ends, a pair a moment; an empty slice gives NaN, or 0 where the function counts.
    moments
        What ages of facts are counted to.
    """
    starts, ends = slices
    if function == "distinct" and measure is not None:
        return count_distinct(measure.as_codes(), starts, ends)
    has_value = np.ones(counted_at.size, dtype=bool) if measure is None else measure.has_value()
    if function not in AGGREGATES and measure is not None and measure.numbers is not None:
        return reduce_added(added_aggregate(function), measure.numbers, counted_at, slices, moments)
    if function in _EXTREMES and measure is not None and measure.numbers is not None:
        ufunc, identity = _EXTREMES[function]
        column = np.where(has_value, measure.numbers, identity)
        extreme = reduce_slices(column[:, None], starts, ends, ufunc, identity)[:, 0]
        return np.where(np.isfinite(extreme), extreme, np.nan)
    # the position of the last value up to each place; the slice has one where it is not before its start
    last = np.concatenate([[-1], np.maximum.accumulate(np.where(has_value, np.arange(has_value.size), -1))])[ends]
    is_there = last >= starts
    if function == "last" and measure is not None and measure.numbers is not None:
        return np.where(is_there, np.append(measure.numbers, np.nan)[last], np.nan)
    return np.where(is_there, (moments - np.append(counted_at, 0)[last]) / _HOUR_US, np.nan)


def _micros(window: timedelta) -> int:
    return window // timedelta(microseconds=1)
