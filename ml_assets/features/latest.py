"""The newest fact of an entity that was known at a moment."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ml_assets.features.entity_index import EntityIndex, ExampleProbes
from ml_assets.features.facts import Facts, LoadedScope
from ml_assets.features.plan import LatestGroup
from ml_assets.features.windows import Versions, active_versions, in_group

if TYPE_CHECKING:
    import pyarrow as pa

Whole = npt.NDArray[np.int64]


def compute_latest(group: LatestGroup, loaded: LoadedScope) -> dict[str, pa.Array]:
    """Compute the features of a group for all examples, in their order.

    Null without a fact, or with one as old as `max_age` or older. The newest is the one that happened last; of
    several at once the one known last, then the one with the greatest key.
    """
    import pyarrow as pa

    facts = loaded.facts
    versions, asked = in_group(loaded, group.entity, group.where)
    chosen = np.full(asked.entity.size, -1, dtype=np.int64)
    for places, in_force in active_versions(versions, asked):
        chosen[places] = _newest(facts, in_force, asked, places, group.max_age)
    chosen = chosen[asked.places]
    is_found = chosen >= 0
    take = pa.array(np.where(is_found, chosen, 0), mask=~is_found)
    arrays = {name: facts.columns[column].combine_chunks().take(take) for name, column in group.columns.items()}
    if group.age is not None:
        age = np.full(chosen.size, np.nan)
        age[is_found] = (loaded.probes.prediction_at[is_found] - facts.happened_at[chosen[is_found]]) / 3_600_000_000
        arrays[group.age] = pa.array(age, from_pandas=True)
    return arrays


def _newest(facts: Facts, versions: Versions, asked: ExampleProbes, places: Whole, max_age: timedelta | None) -> Whole:
    """Choose for each of what is asked the newest fact known by then; -1 where none is young enough."""
    entity, moments = asked.entity[places], asked.moments[places]
    if versions.rows.size == 0:
        return np.full(entity.size, -1, dtype=np.int64)
    known = versions.take(np.lexsort((versions.rows, versions.known_at, versions.entity)))
    happened_at = facts.happened_at[known.rows]
    age_order = np.lexsort((known.rows, known.known_at, happened_at))
    rank = np.empty(age_order.size, dtype=np.int64)
    rank[age_order] = np.arange(age_order.size)
    # entities stand in blocks, so a running maximum of (entity, rank) starts anew in each block
    newest = np.maximum.accumulate(known.entity * rank.size + rank) % rank.size
    place = EntityIndex.of(known.entity, known.known_at).count_until(entity, moments) - 1
    found = age_order[newest[np.maximum(place, 0)]]
    is_known = (place >= 0) & (known.entity[np.maximum(place, 0)] == entity) & (entity >= 0)
    if max_age is not None:
        is_known &= happened_at[found] > moments - max_age // timedelta(microseconds=1)
    return np.where(is_known, known.rows[found], -1)
