"""The naive baseline: the value of one feature, such as the last known value or that of the same hour last week."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.training.feature_matrix import FeatureColumns, learn_columns, numeric_matrix
from ml_assets.training.model_kind import FitRequest, ModelKind

if TYPE_CHECKING:
    import pandas as pd

VALUE_FILE = "feature_value.json"


@dataclass(frozen=True)
class FeatureValue:
    """Say of each row what a numeric column says; where that is unknown, the mean label of the training rows.

    Attributes
    ----------
    least
        What is below counts as this: no count is negative. None is no bound.
    """

    name: str
    mean: float
    least: float | None

    @property
    def kind(self) -> str:
        """The kind of candidate this is."""
        return "feature_value"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The column."""
        return (self.name,)

    def predict(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Give the value of each row. Raises ValueError where the column is missing."""
        values = numeric_matrix(features, FeatureColumns((self.name,), {}))[:, 0]
        known = np.where(np.isfinite(values), values, self.mean)
        return known if self.least is None else np.maximum(known, self.least)

    def to_files(self) -> dict[str, bytes]:
        """The name and the mean as JSON, written so that it reads back to the bit."""
        return {VALUE_FILE: json.dumps({"name": self.name, "mean": self.mean, "least": self.least}).encode()}

    def importance(self) -> dict[str, float]:
        """It leans on its column alone."""
        return {self.name: 1.0}

    def contributions(self, features: pd.DataFrame) -> None:
        """No parts: the value is the score."""


def fit_feature_value(request: FitRequest) -> FeatureValue:
    """Take the one column that the candidate names, and the mean label for where it is unknown.

    Raises
    ------
    ValueError
        On a candidate that does not name one numeric column.
    """
    names = request.candidate.features
    columns = learn_columns(request.features, names) if names else None
    if columns is None or len(names) != 1 or columns.text:
        raise ValueError(f"candidate {request.candidate.name!r} is a feature value: `features` names one number")
    return FeatureValue(names[0], float(request.labels.mean()), 0.0 if request.options.task == "count" else None)


def load_feature_value(files: Mapping[str, bytes]) -> FeatureValue:
    """Read back what `to_files` gave."""
    return FeatureValue(**json.loads(files[VALUE_FILE]))


KIND = ModelKind(
    "feature_value", {}, fit_feature_value, load_feature_value, learns=False, cost=0, tasks=("regression", "count")
)
