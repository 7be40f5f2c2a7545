"""Aggregates that packages add, one window after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ml_assets.spec.aggregates import AddedAggregate
from ml_assets.spec.extensions import ExtensionError

Whole = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_HOUR_US = 3_600_000_000


def reduce_added(
    aggregate: AddedAggregate, numbers: Floats, counted_at: Whole, slices: tuple[Whole, Whole], moments: Whole
) -> Floats:
    """Reduce `numbers[start:end]` for each pair of `slices`; NaN where a slice holds no value.

    Parameters
    ----------
    numbers, counted_at
        A fact a place: its value, NaN where it has none, and when it became known, in µs.
    moments
        When each slice is asked for, in µs. Slices that are asked for again at the same moment are reduced once.

    Raises
    ------
    ExtensionError
        When the aggregate fails, naming it and the window.
    """
    starts, ends = slices
    asked, place = np.unique(np.column_stack([starts, ends, moments]), axis=0, return_inverse=True)
    found = np.full(len(asked), np.nan)
    for number, (start, end, moment) in enumerate(asked.tolist()):
        has_value = ~np.isnan(numbers[start:end])
        if has_value.any():
            ages_h = (moment - counted_at[start:end][has_value]) / _HOUR_US
            value = reduce_window(aggregate, numbers[start:end][has_value], ages_h)
            found[number] = np.nan if value is None else value
    return found[place.ravel()]


def reduce_window(
    aggregate: AddedAggregate, values: Floats | Sequence[float], ages_h: Floats | Sequence[float]
) -> float | None:
    """Reduce the values of one window; None where the result is not finite. ExtensionError as in `reduce_added`."""
    given = np.asarray(values, dtype=np.float64), np.asarray(ages_h, dtype=np.float64)
    try:
        value = float(aggregate.of(*given))
    except Exception as error:  # whatever code of another package may raise
        raise ExtensionError(
            f"aggregate {aggregate.name!r} failed on a window of {given[0].size} values, {given[0].min():g} to "
            f"{given[0].max():g}: {type(error).__name__}: {error}"
        ) from error
    return value if math.isfinite(value) else None
