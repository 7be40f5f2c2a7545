"""Where a model is worse than elsewhere, and how sure that is when many places were looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
_FEW = 4  # numbers that are parts by themselves: quartiles of 0 and 1 would cut nothing


@dataclass(frozen=True)
class WeakSlice:
    """A part of the window in which the loss is higher than in the rest.

    Attributes
    ----------
    loss, rest_loss
        Mean loss inside and outside.
    surprise
        Mean loss inside above what the scores themselves expect of it: near zero the part is hard to foretell, and
        the model knows; above zero the model is wrong about it.
    p_value
        Of the surprise, one-sided, by day blocks; adjusted for all the parts looked at (Holm, 1979).
    """

    column: str
    value: str
    n: int
    n_days: int
    loss: float
    rest_loss: float
    surprise: float
    p_value: float


def weak_slices(
    columns: Mapping[str, Sequence[Any]],
    losses: FloatArray,
    expected: FloatArray,
    days: Sequence[str],
    *,
    least: int,
    level: float = 0.05,
) -> list[WeakSlice]:
    """Find the parts of at least `least` rows where a model is surely wrong, worst surprise first.

    Every text of a text column and every quarter of a numeric one is a part (see `parts_of`), and so is what is
    unknown. A part is
    found when its losses exceed what the scores expect by more than the days' scatter allows, after Holm's step-down
    adjustment for the number of parts looked at.

    Parameters
    ----------
    losses, expected
        Loss of each row, and its expectation were the score the true probability (the entropy of the score).
    """
    _, day = np.unique(np.asarray(days), return_inverse=True)
    parts = [(name, value, mask) for name, values in columns.items() for value, mask in parts_of(values)]
    parts = [part for part in parts if least <= part[2].sum() < losses.size]
    raw = np.array([_p_value(losses - expected, mask, day) for _, _, mask in parts])
    adjusted = holm(raw)
    found = [
        WeakSlice(
            name,
            value,
            int(mask.sum()),
            int(np.unique(day[mask]).size),
            float(losses[mask].mean()),
            float(losses[~mask].mean()),
            float((losses - expected)[mask].mean()),
            float(p),
        )
        for (name, value, mask), p in zip(parts, adjusted, strict=True)
        if p <= level
    ]
    return sorted(found, key=lambda each: (-each.surprise, each.column, each.value))


def parts_of(values: Sequence[Any]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Cut a column; unknown values are a part of their own.

    Each text is a part, each truth value, and each number where there are few; else each quarter between the
    quartiles.

    >>> [(value, int(mask.sum())) for value, mask in parts_of(["AA", "UA", None, "AA"])]
    [('AA', 2), ('UA', 1), ('unknown', 1)]
    """
    import pandas as pd

    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    is_unknown = np.asarray(pd.isna(array), dtype=bool)
    known = array[~is_unknown]
    if known.size and isinstance(known[0], bool | np.bool_):
        for truth in (False, True):
            yield str(truth).lower(), ~is_unknown & (array == truth)
    elif known.size and not isinstance(known[0], str):
        numbers = np.full(array.size, np.nan)
        numbers[~is_unknown] = known.astype(np.float64)
        yield from _quarters(numbers)
    else:
        for text in sorted(set(known.tolist())):
            yield text, array == text
    if is_unknown.any():
        yield "unknown", is_unknown


def _quarters(numbers: FloatArray) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Cut numbers at their quartiles, or at every one of few; NaN is in no part."""
    values = np.unique(numbers[~np.isnan(numbers)])
    if values.size <= _FEW:
        for value in values:
            yield f"{value:.4g}", numbers == value
        return
    edges = np.unique(np.quantile(numbers[~np.isnan(numbers)], [0, 0.25, 0.5, 0.75, 1]))
    place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, edges.size - 2)
    for k in range(edges.size - 1):
        yield f"{edges[k]:.4g} to {edges[k + 1]:.4g}", (place == k) & ~np.isnan(numbers)


def holm(p_values: FloatArray) -> FloatArray:
    """Adjust p-values for their number, step down (Holm, 1979).

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    scaled = p_values[order] * np.arange(p_values.size, 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def _p_value(surprise: FloatArray, mask: NDArray[np.bool_], day: NDArray[np.int64]) -> float:
    """One-sided p of a mean surprise above zero inside the part; days are the independent pieces."""
    from scipy.stats import t  # pyright: ignore[reportMissingTypeStubs]

    sums = np.bincount(day[mask], surprise[mask])
    n_rows = np.bincount(day[mask])
    sums, n_rows = sums[n_rows > 0], n_rows[n_rows > 0]
    if sums.size < 2:
        return 1.0
    mean = sums.sum() / n_rows.sum()
    scatter = np.sqrt(((sums - mean * n_rows) ** 2).sum() * sums.size / (sums.size - 1)) / n_rows.sum()
    if scatter == 0:
        return 1.0
    return float(t.sf(mean / scatter, sums.size - 1))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - scipy has no stubs
