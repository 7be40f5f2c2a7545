"""Which vintage of a forecast was the newest at a moment: for many series and moments at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_assets.features.entity_index import EntityIndex
from ml_assets.features.facts import Facts

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ForecastMoments:
    """What is forecast: each series and moment once, in order of entity, moment and series; and its vintages.

    Attributes
    ----------
    index
        The moments of each entity, in that order.
    valid_at
        The moment each is for, in µs.
    rows
        Of each vintage, in order of what it forecasts and `known_at`, the row of the vintage in force from then on.
    """

    index: EntityIndex
    valid_at: Whole
    rows: Whole
    _of: Whole
    _vintages: EntityIndex

    @classmethod
    def of(cls, facts: Facts, entity: Whole) -> ForecastMoments:
        """Order the vintages of facts; those with a code of `entity` below 0 are left out.

        In force is the vintage issued last among those known; of two issued at once the one known later, which
        corrects the other.
        """
        rows = np.flatnonzero(entity >= 0)
        rows = rows[np.lexsort((facts.known_at[rows], facts.series[rows], facts.valid_at[rows], entity[rows]))]
        named = (entity[rows], facts.valid_at[rows], facts.series[rows])
        is_first = np.ones(rows.size, dtype=bool)
        is_first[1:] = np.any([column[1:] != column[:-1] for column in named], axis=0)
        forecast = np.cumsum(is_first) - 1
        known_at = facts.known_at[rows]
        by_issue = np.lexsort((rows, known_at, facts.happened_at[rows]))
        rank = np.empty(rows.size, dtype=np.int64)
        rank[by_issue] = np.arange(rows.size)
        # vintages stand in blocks, so a running maximum of (forecast, rank) starts anew in each block
        newest = np.maximum.accumulate(forecast * max(rows.size, 1) + rank) % max(rows.size, 1)
        valid_at = named[1][is_first]
        return cls(
            index=EntityIndex.of(named[0][is_first], valid_at),
            valid_at=valid_at,
            rows=rows[by_issue[newest]],
            _of=forecast,
            _vintages=EntityIndex.of(forecast, known_at),
        )

    def in_force(self, forecasts: Whole, moments: Whole) -> Whole:
        """Give for each forecast the row of its newest vintage known by a moment; -1 where there was none."""
        if self.rows.size == 0:
            return np.full(forecasts.size, -1, dtype=np.int64)
        place = self._vintages.count_until(forecasts, moments) - 1
        found = np.maximum(place, 0)
        return np.where((place >= 0) & (self._of[found] == forecasts), self.rows[found], -1)
