"""What a drift reference learns of each feature, and how it is written down.

In go the values of one column by drop; out come its bins, a histogram a drop and a few quantiles: all that a later
window is compared with. A champion's training rows stay the same for as long as it serves, so what was learned of them
is kept in a file instead of being learned at each drop. The file holds numbers and JSON, and nothing that could run.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.monitoring.sure_change import UsualValues, learn_seen
from ml_assets.spec.drop import DropKey, read_key
from ml_assets.stats.binning import (
    CategoryBins,
    FloatArray,
    IntArray,
    NumericBins,
    histograms_by_group,
    learn_category_bins,
    learn_numeric_bins,
)

FORMAT = 1  # of the file; another number is not read
_QUANTILES = 2001  # points that stand for the reference in KS and Wasserstein: both move by less than 1/2000 of a share
_RARE_GROUPS = 64  # bins into which the categories without a bin of their own are hashed, where they are most rows


@dataclass(frozen=True)
class ReferenceColumn:
    """A feature of a reference.

    Attributes
    ----------
    by_day
        Rows by drop and bin.
    quantiles
        The finite values at evenly spaced quantiles, ascending; None for text and where none is finite.
    seen
        How many rows of a window may hold categories that the reference does not have; None for numbers.
    """

    bins: NumericBins | CategoryBins
    by_day: NDArray[np.int64]
    quantiles: FloatArray | None
    seen: UsualValues | None

    @cached_property
    def total(self) -> NDArray[np.int64]:
        """Rows by bin."""
        return self.by_day.sum(axis=0)


@dataclass(frozen=True)
class LearnedColumns:
    """All features of a reference, its drops and its rows."""

    drops: tuple[DropKey, ...]
    n_rows: int
    columns: Mapping[str, ReferenceColumn]


def learn_column(
    values: NDArray[np.float64] | NDArray[np.object_], days: IntArray, n_drops: int, window: int
) -> ReferenceColumn:
    """Learn a column of a reference.

    Parameters
    ----------
    values
        float64, or object for text (None where unknown).
    days
        The drop of each value, as its place among `n_drops`.
    window
        Drops of a window that will be compared with it.
    """
    quantiles: FloatArray | None = None
    seen: UsualValues | None = None
    if values.dtype == object:
        bins: NumericBins | CategoryBins = learn_category_bins(values, max_groups=_RARE_GROUPS)
        seen = learn_seen(values.astype(object), days, n_drops, window)
    else:
        bins = learn_numeric_bins(values)
        numbers = values.astype(np.float64, copy=False)
        finite = np.sort(numbers[np.isfinite(numbers)])
        if finite.size:
            places = np.linspace(0, finite.size - 1, min(_QUANTILES, finite.size)).round().astype(np.int64)
            quantiles = finite[places]
    return ReferenceColumn(bins, histograms_by_group(bins.code(values), days, n_drops, bins.n_bins), quantiles, seen)


def columns_to_bytes(learned: LearnedColumns) -> bytes:
    """Write down what was learned: equal columns, equal bytes."""
    columns = learned.columns.values()
    described = {
        "format": FORMAT,
        "drops": [str(drop) for drop in learned.drops],
        "n_rows": learned.n_rows,
        "columns": [_describe(name, column) for name, column in learned.columns.items()],
    }
    counts = [column.by_day for column in columns]
    quantiles = [column.quantiles for column in columns if column.quantiles is not None]
    file = io.BytesIO()
    np.savez_compressed(
        file,
        described=np.frombuffer(json.dumps(described).encode(), dtype=np.uint8),
        by_day=np.hstack(counts) if counts else np.empty((len(learned.drops), 0), dtype=np.int64),
        quantiles=np.concatenate(quantiles) if quantiles else np.empty(0),
    )
    return file.getvalue()


def columns_from_bytes(content: bytes) -> LearnedColumns:
    """Read back what `columns_to_bytes` wrote.

    Raises
    ------
    ValueError
        Where it is of another format, or damaged.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            described = json.loads(arrays["described"].tobytes())
            by_day, quantiles = arrays["by_day"], arrays["quantiles"]
        if described["format"] != FORMAT:
            raise ValueError(f"found format {described['format']}; allowed: {FORMAT}")
        columns: dict[str, ReferenceColumn] = {}
        bin_, place = 0, 0
        for each in described["columns"]:
            bins = _bins_of(each)
            points = None if each["n_quantiles"] is None else quantiles[place : place + each["n_quantiles"]]
            seen = None if each["seen"] is None else UsualValues(**each["seen"])
            columns[each["name"]] = ReferenceColumn(bins, by_day[:, bin_ : bin_ + bins.n_bins], points, seen)
            bin_ += bins.n_bins
            place += each["n_quantiles"] or 0
        drops: Sequence[DropKey] = [read_key(drop) for drop in described["drops"]]
    except Exception as error:
        raise ValueError(f"no columns of a drift reference: {error}") from error
    return LearnedColumns(tuple(drops), described["n_rows"], columns)


def _describe(name: str, column: ReferenceColumn) -> dict[str, Any]:
    bins = column.bins
    texts = (
        {"edges": bins.edges, "atoms": bins.atoms}
        if isinstance(bins, NumericBins)
        else {"categories": bins.categories, "rare": sorted(bins.rare), "rare_groups": bins.rare_groups}
    )
    return {
        "name": name,
        **texts,
        "n_quantiles": None if column.quantiles is None else len(column.quantiles),
        "seen": None if column.seen is None else asdict(column.seen),
    }


def _bins_of(described: Mapping[str, Any]) -> NumericBins | CategoryBins:
    if "edges" in described:
        return NumericBins(tuple(described["edges"]), tuple(described["atoms"]))
    return CategoryBins(tuple(described["categories"]), frozenset(described["rare"]), described["rare_groups"])
