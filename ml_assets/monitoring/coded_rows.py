"""The rows of a stretch of drops as a reference counts them: by drop and bin, once for all windows that lie in it.

Windows of neighbouring drops share nearly all of their rows. In go the columns of a reference and the rows of the
stretch; out come the counts of any window, cut from those of the stretch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_assets.monitoring.reference_columns import ReferenceColumn
from ml_assets.spec.drop import DropKey
from ml_assets.stats.binning import CategoryBins, IntArray, NumericBins, histograms_by_group


@dataclass(frozen=True)
class FeatureRows:
    """Rows of some drops. `columns` are float64 or object (text, None where unknown); `days` gives each row's drop."""

    drops: tuple[DropKey, ...]
    days: IntArray
    columns: Mapping[str, NDArray[np.float64] | NDArray[np.object_]]


class CodedRows:
    """Counts the rows of a stretch of drops when they are asked for, each feature once."""

    def __init__(self, columns: Mapping[str, ReferenceColumn], rows: FeatureRows) -> None:
        self._columns, self._rows = columns, rows
        self._place = {drop: position for position, drop in enumerate(rows.drops)}
        self._counts: dict[str, tuple[IntArray, IntArray]] = {}

    def of_window(self, feature: str, window: FeatureRows) -> tuple[IntArray, IntArray]:
        """Give the rows of a window by drop and bin, and by drop those whose category the reference does not have.

        The drops of the window are some of the stretch, side by side.
        """
        if feature not in self._counts:
            self._counts[feature] = self._count(feature)
        begin = self._place[window.drops[0]]
        by_bin, unseen = self._counts[feature]
        return by_bin[begin : begin + len(window.drops)], unseen[begin : begin + len(window.drops)]

    def _count(self, feature: str) -> tuple[IntArray, IntArray]:
        bins, values, n_drops = self._columns[feature].bins, self._rows.columns[feature], len(self._rows.drops)
        by_bin = histograms_by_group(bins.code(values), self._rows.days, n_drops, bins.n_bins)
        return by_bin, _unseen_by_day(bins, values, self._rows)


def _unseen_by_day(
    bins: NumericBins | CategoryBins, values: NDArray[np.float64] | NDArray[np.object_], rows: FeatureRows
) -> IntArray:
    if isinstance(bins, NumericBins):
        return np.zeros(len(rows.drops), dtype=np.int64)
    return np.bincount(rows.days[bins.is_unseen(values)], minlength=len(rows.drops))
