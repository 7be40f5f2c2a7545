"""Between which bounds a line takes a number, and how it is scaled: steps of a scikit-learn pipeline.

Imputed numbers of the training rows go in (rows x columns); the steps learn a lower and an upper bound a column, bring
values between them to 0..1, and standardise these. No input, however far away, is standardised to more than
1 / LEAST_SCALE.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin  # noqa: TID253 - this module is loaded at fit alone
from sklearn.preprocessing import MinMaxScaler, StandardScaler  # noqa: TID253

QUANTILES = (0.001, 0.999)
REACH = 3.0  # how many of their distance beyond the quantiles a value still counts as it is
LEAST_SCALE = 0.01  # share of the bounded range: what varies in one row of ten thousand is not blown up further
_NO_WIDTH = 1e-9  # of a number's own size: sums that differ in their last digits are one number

FloatArray = NDArray[np.float64]


def bounds_of(values: FloatArray) -> tuple[float, float]:
    """Give the bounds of one column: its minimum and maximum, drawn in where a few rows lie far away.

    They are no further out than REACH times the distance of the 0.1 and 99.9 % quantiles beyond these. So a column that
    is the same in all but one row of a thousand is a constant: both bounds are equal.

    Examples
    --------
    >>> bounds_of(np.arange(5000.0))
    (0.0, 4999.0)
    >>> bounds_of(np.array([0.0] * 4999 + [1.0])), bounds_of(np.array([*np.arange(4999.0), 1e12]))[1] < 2e4 + 5e3
    ((0.0, 0.0), True)
    """
    low, high = (float(each) for each in np.quantile(values, QUANTILES))
    reach = REACH * (high - low)
    lower, upper = max(float(values.min()), low - reach), min(float(values.max()), high + reach)
    if upper - lower <= _NO_WIDTH * max(abs(lower), abs(upper)):
        return low, low
    return lower, upper


class BoundedColumns(TransformerMixin, BaseEstimator):
    """Clip each column to the bounds of the training rows."""

    def fit(self, values: FloatArray, labels: Any = None) -> Self:  # noqa: ARG002 - as scikit-learn calls it
        """Learn the bounds (2 x columns)."""
        self.bounds_ = np.array([bounds_of(column) for column in values.T]).reshape(-1, 2).T
        return self

    def transform(self, values: FloatArray) -> FloatArray:
        """Clip the values."""
        return np.clip(values, *self.bounds_)


class BoundedScaler(StandardScaler):
    """Standardise; by a scale that is never below LEAST_SCALE."""

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn mean and scale."""
        super().fit(X, y, sample_weight)
        self.scale_ = np.maximum(np.asarray(self.scale_), LEAST_SCALE)
        return self


def bounding_steps() -> list[tuple[str, Any]]:
    """Give the steps of a pipeline: clip to the bounds, bring to 0..1, standardise."""
    return [("clip", BoundedColumns()), ("bound", MinMaxScaler(clip=True)), ("scale", BoundedScaler())]
