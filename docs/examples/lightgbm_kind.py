"""A kind of model in one file: LightGBM's trees, saved as the text that LightGBM writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.training.candidate_parameters import candidate_parameters
from ml_assets.training.feature_matrix import FeatureColumns, code_matrix, learn_columns, numeric_matrix
from ml_assets.training.model_kind import FitRequest, ModelKind

DEFAULTS = {"rounds": 200, "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 20}


@dataclass(frozen=True)
class LightGbmTrees:
    """A trained Booster, and the columns it takes."""

    columns: FeatureColumns
    booster: lightgbm.Booster
    kind: str = "lightgbm"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns needed to predict."""
        return self.columns.names

    def predict(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Probability of a positive, one a row."""
        values = matrix(features, self.columns)
        return np.asarray(self.booster.predict(values, num_threads=1)) if len(values) else np.empty(0)

    def to_files(self) -> dict[str, bytes]:
        """The trees as text, and the columns as JSON."""
        return {"trees.txt": self.booster.model_to_string().encode(), "columns.json": self.columns.to_json()}

    def importance(self) -> dict[str, float]:
        """By column, the gain of the splits on it."""
        gains = self.booster.feature_importance("gain").tolist()
        return dict(zip((*self.columns.numeric, *self.columns.text), gains, strict=True))

    def contributions(self, features: pd.DataFrame) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
        """By column, what it adds to the log odds of each row (SHAP), and the base."""
        parts = np.asarray(self.booster.predict(matrix(features, self.columns), pred_contrib=True, num_threads=1))
        names = (*self.columns.numeric, *self.columns.text)
        return {name: parts[:, place] for place, name in enumerate(names)}, parts[:, -1]


def fit(request: FitRequest) -> LightGbmTrees:
    """Train in one thread; the same request gives the same trees."""
    parameters = {**candidate_parameters(request.candidate, DEFAULTS), "objective": "binary", "seed": request.seed}
    rounds = int(parameters.pop("rounds"))
    parameters |= {"num_threads": 1, "deterministic": True, "verbosity": -1}
    columns = learn_columns(request.features)
    rows = lightgbm.Dataset(
        matrix(request.features, columns),
        label=request.labels,
        weight=request.options.weights,
        params={"verbosity": -1},
    )
    return LightGbmTrees(columns, lightgbm.train(parameters, rows, num_boost_round=rounds))


def load(files: Mapping[str, bytes]) -> LightGbmTrees:
    """Read back what `to_files` gave."""
    booster = lightgbm.Booster(model_str=files["trees.txt"].decode())
    return LightGbmTrees(FeatureColumns.from_json(files["columns.json"]), booster)


def matrix(features: pd.DataFrame, columns: FeatureColumns) -> NDArray[np.float64]:
    """Numbers, then the codes of texts; NaN where unknown or never seen."""
    codes = code_matrix(features, columns)
    return np.hstack([numeric_matrix(features, columns), np.where(codes < 0, np.nan, codes)])


KIND = ModelKind("lightgbm", DEFAULTS, fit, load, cost=3)
