"""Features of examples as points on one scale, between which distances mean something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ml_assets.labeling.k_center import standardize
from ml_assets.labeling.votes import FloatArray
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.training.feature_matrix import code_matrix, learn_columns, numeric_matrix

if TYPE_CHECKING:
    import pandas as pd

MOST_CATEGORIES = 50


def feature_points(spec: UseCaseSpec, rows: pd.DataFrame, scale_of: pd.DataFrame | None = None) -> FloatArray:
    """Give features as points: numbers standardized by `scale_of` (by default `rows`), texts as one column a value.

    Two examples that differ in a text are as far apart as two whose number differs by one standard deviation. Unknown
    numbers lie at the mean; of a text with more than fifty values the most frequent ones have a column.
    """
    names = [name for name in spec.features.feature_names() if name in rows.columns]
    columns = learn_columns(rows, names)
    by = rows if scale_of is None else scale_of
    parts = [standardize(numeric_matrix(rows, columns), numeric_matrix(by, columns))]
    codes = code_matrix(rows, columns)
    for place in range(codes.shape[1]):
        common = np.argsort(-np.bincount(codes[:, place] + 1)[1:], kind="stable")[:MOST_CATEGORIES]
        parts.append((codes[:, [place]] == common[None, :]) / np.sqrt(2))
    return np.hstack(parts)
