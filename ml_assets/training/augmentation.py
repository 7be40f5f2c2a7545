"""Rows made up of training rows inside a fit: between neighbours of the rarer class, or copies with noise.

N. V. Chawla et al., SMOTE: synthetic minority over-sampling technique, JAIR 16 (2002); texts and yes-or-no features are
taken from one of the two rows, as in its variant for mixed data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from ml_assets.spec.augmentation import Augmentation

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FitRows:
    """What a model is fitted on: features, labels, and how much each row counts (None: evenly)."""

    features: pd.DataFrame
    labels: FloatArray
    weights: FloatArray | None


def augmented(rule: Augmentation, rows: FitRows, rng: np.random.Generator) -> FitRows:
    """Add made-up rows behind the given ones, which stay as they are. A new row counts what the row it is made of does.

    With one class alone, or too few rows of the rarer one to have a neighbour, `smote` adds none.
    """
    if rule.method == "smote":
        return _smote(rule, rows, rng)
    count = round(rule.share * len(rows.labels))
    base = rng.integers(0, len(rows.labels), count)
    return _added(rows, base, _with_noise(rows.features, base, rule.noise, rng))


def _smote(rule: Augmentation, rows: FitRows, rng: np.random.Generator) -> FitRows:
    positives = np.flatnonzero(rows.labels == 1)
    negatives = np.flatnonzero(rows.labels == 0)
    few, many = sorted((positives, negatives), key=len)
    count = round(rule.share * len(many)) - len(few)
    if len(few) < 2 or count <= 0:
        return rows
    neighbours = _neighbours(rows.features.iloc[few], min(rule.neighbours, len(few) - 1))
    drawn = rng.integers(0, len(few), count)
    other = neighbours[drawn, rng.integers(0, neighbours.shape[1], count)]
    made = _between(rows.features, few[drawn], few[other], rng)
    return _added(rows, few[drawn], made)


def _neighbours(features: pd.DataFrame, count: int) -> NDArray[np.int64]:
    """Give for each row the positions of its nearest rows, by standardized numbers."""
    from sklearn.neighbors import NearestNeighbors

    points = np.column_stack([_numbers(features[name]) for name in _numeric(features)] or [np.zeros(len(features))])
    deviation = np.nanstd(points, axis=0)
    scaled = np.nan_to_num((points - np.nanmean(points, axis=0)) / np.where(deviation > 0, deviation, 1.0))
    found = NearestNeighbors(n_neighbors=count + 1).fit(scaled).kneighbors(scaled, return_distance=False)
    own = found == np.arange(len(features))[:, None]
    own[~own.any(axis=1), -1] = True  # of copies, the row itself need not be among its nearest
    return found[~own].reshape(len(features), count)


def _between(
    features: pd.DataFrame, base: NDArray[np.int64], other: NDArray[np.int64], rng: np.random.Generator
) -> pd.DataFrame:
    """Make a row between each pair: numbers at a random place between both, everything else from one of them."""
    place, takes_base = rng.random(len(base)), rng.random(len(base)) < 0.5
    taken = features.iloc[np.where(takes_base, base, other)].reset_index(drop=True)
    for name in _numeric(features):
        values = _numbers(features[name])
        between = values[base] + place * (values[other] - values[base])  # unknown where one of both is
        if _is_whole(features[name]):
            between = np.round(between)
        taken[name] = _as_before(between, features[name])
    return taken


def _with_noise(
    features: pd.DataFrame, base: NDArray[np.int64], noise: float, rng: np.random.Generator
) -> pd.DataFrame:
    taken = features.iloc[base].reset_index(drop=True)
    for name in _numeric(features):
        values = _numbers(features[name])
        spread = float(np.nanstd(values)) if np.isfinite(values).any() else 0.0
        moved = values[base] + rng.normal(0, noise * spread, len(base))
        if _is_whole(features[name]):
            moved = np.round(moved)
        low, high = (np.nanmin(values), np.nanmax(values)) if np.isfinite(values).any() else (0.0, 0.0)
        taken[name] = _as_before(np.clip(moved, low, high), features[name])
    return taken


def _added(rows: FitRows, base: NDArray[np.int64], made: pd.DataFrame) -> FitRows:
    import pandas as pd

    features = pd.concat([rows.features.reset_index(drop=True), made], ignore_index=True)
    weights = None if rows.weights is None else np.concatenate([rows.weights, rows.weights[base]])
    return FitRows(features, np.concatenate([rows.labels, rows.labels[base]]), weights)


def _numeric(features: pd.DataFrame) -> list[str]:
    """Name the columns that lie on a line: numbers with more than two values."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return [
        name
        for name in features.columns
        if is_numeric_dtype(features[name]) and not is_bool_dtype(features[name]) and features[name].nunique() > 2
    ]


def _numbers(column: pd.Series) -> FloatArray:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _is_whole(column: pd.Series) -> bool:
    values = _numbers(column)
    known = values[np.isfinite(values)]
    return bool((known == np.round(known)).all())


def _as_before(values: FloatArray, column: pd.Series) -> pd.Series:
    """Give numbers in the type of the column they are made of."""
    import pandas as pd
    from pandas.api.types import is_integer_dtype

    found = pd.Series(values)
    return found.astype(column.dtype) if not is_integer_dtype(column) or not found.isna().any() else found
