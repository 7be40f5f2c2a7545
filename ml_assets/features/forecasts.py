"""Features of a forecast: the newest vintage known at the prediction, of moments around one of the example's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ml_assets.features.additive import Additive, finish_sums
from ml_assets.features.entity_index import join_codes
from ml_assets.features.facts import NEVER, Facts, LoadedScope
from ml_assets.features.plan import ROWS, ForecastGroup, NearestForecast, Reduction
from ml_assets.features.vintages import ForecastMoments
from ml_assets.features.windows import ADDITIVE, reduce_in_order
from ml_assets.spec.features import WHOLE_NUMBERS

if TYPE_CHECKING:
    import pyarrow as pa

Whole = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
PAIRS_AT_ONCE = 4_000_000  # examples by moments that are looked up together: about 300 MB
_HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class _Asked:
    """What is asked, each once: an entity, a moment of its forecast, and when the prediction is made, in µs.

    `known_by` is up to when vintages may have become known. `places` says which of them each example asks.
    """

    entity: Whole
    moments: Whole
    prediction_at: Whole
    known_by: Whole
    places: Whole

    @classmethod
    def of(cls, entity: Whole, moments: Whole, prediction_at: Whole, known_by: int | None) -> _Asked:
        order = np.lexsort((prediction_at, moments, entity))
        named = entity[order], moments[order], prediction_at[order]
        is_new = np.ones(order.size, dtype=bool)
        is_new[1:] = np.any([column[1:] != column[:-1] for column in named], axis=0)
        places = np.empty(order.size, dtype=np.int64)
        places[order] = np.cumsum(is_new) - 1
        entity, moments, prediction_at = (column[is_new] for column in named)
        known = prediction_at if known_by is None else np.full(prediction_at.size, known_by, dtype=np.int64)
        return cls(entity, moments, prediction_at, known, places)


@dataclass(frozen=True)
class _Found:
    """Newest vintages, by what is asked: rows of facts from `starts` to before `ends`, in order of their moments."""

    chosen: slice
    rows: Whole
    starts: Whole
    ends: Whole


def compute_forecasts(
    group: ForecastGroup, loaded: LoadedScope, final_as_of: datetime | None = None
) -> dict[str, pa.Array]:
    """Compute the features of a group for all examples, in their order.

    A window without forecasts gives 0 for a count and null for the rest; so does an entity never seen, or null, and a
    moment that is null.

    Parameters
    ----------
    final_as_of
        Take the newest vintage known by this moment instead of the prediction: what a backtest with final values
        sees. Ages and leads stay those of what was known.
    """
    import pyarrow as pa

    facts, probes = loaded.facts, loaded.probes
    sizes = facts.known_at.size, probes.prediction_at.size
    codes, wanted, _ = join_codes(facts.entities, probes.entities, group.entity, sizes)
    forecasts = ForecastMoments.of(facts, codes)
    moments = probes.moments[group.moment]
    wanted = np.where(moments == NEVER, -1, wanted)
    moments = np.where(moments == NEVER, 0, moments)
    known_by = None if final_as_of is None else _micros_of(final_as_of)
    asked = _Asked.of(wanted, moments, probes.prediction_at, known_by)
    arrays: dict[str, pa.Array] = {}
    if group.reductions:
        found = _aggregates(group, facts, forecasts, asked)
        arrays |= {
            each.feature: pa.array(found[each.feature][asked.places], from_pandas=each.function not in WHOLE_NUMBERS)
            for each in group.reductions
        }
    honest = asked if known_by is None else _Asked.of(wanted, moments, probes.prediction_at, None)
    for nearest in group.nearest:
        arrays |= _nearest_columns(nearest, facts, _nearest(group, nearest, facts, forecasts, asked), asked)
        if known_by is not None:
            chosen = _nearest(group, nearest, facts, forecasts, honest)
            arrays |= _hours(nearest, facts, chosen, honest)
    return arrays


def _vintages(
    group: ForecastGroup, facts: Facts, forecasts: ForecastMoments, asked: _Asked, bounds: tuple[Whole, Whole]
) -> Iterator[_Found]:
    """Give the newest vintages of the moments in (first, last] of what is asked, as much at a time as memory takes."""
    starts, ends = (forecasts.index.count_until(asked.entity, bound) for bound in bounds)
    starts = np.where(asked.entity < 0, ends, starts)
    lengths = np.maximum(ends - starts, 0)
    before = np.concatenate([[0], np.cumsum(lengths)])
    first = 0
    while first < lengths.size:
        last = max(int(np.searchsorted(before, before[first] + PAIRS_AT_ONCE, side="right")) - 1, first + 1)
        chosen = slice(first, last)
        size = lengths[chosen]
        offsets = np.concatenate([[0], np.cumsum(size)])
        which = np.repeat(np.arange(first, last), size)
        pairs = np.arange(offsets[-1]) - np.repeat(offsets[:-1], size) + np.repeat(starts[chosen], size)
        rows = forecasts.in_force(pairs, asked.known_by[which])
        is_there = rows >= 0
        if group.where is not None:
            is_there &= np.append(facts.conditions[group.where], False)[rows]
        if group.max_age is not None:
            issued_at = np.append(facts.happened_at, 0)[rows]
            is_there &= issued_at > asked.prediction_at[which] - _micros(group.max_age)
        kept = np.concatenate([[0], np.cumsum(is_there)])
        yield _Found(chosen, rows[is_there], kept[offsets[:-1]], kept[offsets[1:]])
        first = last


def _aggregates(
    group: ForecastGroup, facts: Facts, forecasts: ForecastMoments, asked: _Asked
) -> dict[str, Floats | Whole]:
    found: dict[str, Floats | Whole] = {
        each.feature: np.zeros(asked.entity.size, dtype=np.int64)
        if each.function in WHOLE_NUMBERS
        else np.full(asked.entity.size, np.nan)
        for each in group.reductions
    }
    longest = max(_micros(each.window) for each in group.reductions)
    for vintages in _vintages(group, facts, forecasts, asked, (asked.moments, asked.moments + longest)):
        valid_at, moments = facts.valid_at[vintages.rows], asked.moments[vintages.chosen]
        for window in dict.fromkeys(each.window for each in group.reductions):
            until = moments + _micros(window)
            slices = vintages.starts, _count_by(valid_at, vintages, until)
            of_window = [each for each in group.reductions if each.window == window]
            for each in of_window:
                found[each.feature][vintages.chosen] = _reduce(each, facts, vintages.rows, slices, (valid_at, until))
    return found


def _count_by(valid_at: Whole, found: _Found, until: Whole) -> Whole:
    """Give where the vintages for moments up to `until` end, inside each slice."""
    which = np.repeat(np.arange(until.size), found.ends - found.starts)
    before = np.concatenate([[0], np.cumsum(valid_at <= until[which])])
    return found.starts + before[found.ends] - before[found.starts]


def _reduce(
    reduction: Reduction, facts: Facts, rows: Whole, slices: tuple[Whole, Whole], times: tuple[Whole, Whole]
) -> Floats | Whole:
    starts, ends = slices
    measure = None if reduction.measure == ROWS else facts.measures[reduction.measure].take(rows)
    if reduction.function not in ADDITIVE:
        valid_at, until = times
        return reduce_in_order(reduction.function, measure, valid_at, slices, until)
    has_squares = reduction.function == "std"
    additive = Additive.of_rows() if measure is None else Additive.of(measure, has_squares=has_squares)
    return finish_sums(reduction, additive.between(additive.running(np.arange(rows.size)), starts, ends))


def _nearest(
    group: ForecastGroup, nearest: NearestForecast, facts: Facts, forecasts: ForecastMoments, asked: _Asked
) -> Whole:
    """Choose for each of what is asked the row of the newest vintage for its last moment; -1 where none is there."""
    last = asked.moments + _micros(nearest.ahead)
    chosen = np.full(asked.entity.size, -1, dtype=np.int64)
    for found in _vintages(group, facts, forecasts, asked, (last - _micros(nearest.within), last)):
        is_there = found.ends > found.starts
        row = np.append(found.rows, -1)[np.where(is_there, found.ends - 1, -1)]
        chosen[found.chosen] = np.where(is_there, row, -1)
    return chosen


def _nearest_columns(nearest: NearestForecast, facts: Facts, chosen: Whole, asked: _Asked) -> dict[str, pa.Array]:
    import pyarrow as pa

    rows = chosen[asked.places]
    take = pa.array(np.where(rows >= 0, rows, 0), mask=rows < 0)
    arrays = {name: facts.columns[column].combine_chunks().take(take) for name, column in nearest.columns.items()}
    return arrays | _hours(nearest, facts, chosen, asked)


def _hours(nearest: NearestForecast, facts: Facts, chosen: Whole, asked: _Asked) -> dict[str, pa.Array]:
    """Give age and lead of the vintages that were chosen, in hours."""
    import pyarrow as pa

    arrays: dict[str, pa.Array] = {}
    is_found = chosen >= 0
    issued_at = facts.happened_at[chosen[is_found]]
    for name, until in ((nearest.age, asked.prediction_at[is_found]), (nearest.lead, facts.valid_at[chosen[is_found]])):
        if name is not None:
            hours = np.full(chosen.size, np.nan)
            hours[is_found] = (until - issued_at) / _HOUR_US
            arrays[name] = pa.array(hours[asked.places], from_pandas=True)
    return arrays


def _micros(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


def _micros_of(moment: datetime) -> int:
    return _micros(moment - datetime(1970, 1, 1, tzinfo=UTC))
