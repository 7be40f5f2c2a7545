"""The candidate of boosted trees: an xgboost Booster saved as UBJ, beside the columns that encode its input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.training.candidate_parameters import candidate_parameters
from ml_assets.training.feature_matrix import FeatureColumns, code_matrix, learn_columns, numeric_matrix
from ml_assets.training.model_kind import FitRequest, ModelKind

if TYPE_CHECKING:
    import pandas as pd
    import xgboost


BOOSTER_FILE = "booster.ubj"
COLUMNS_FILE = "columns.json"
OBJECTIVES = {"binary": "binary:logistic", "regression": "reg:squarederror", "count": "count:poisson"}
DEFAULTS: dict[str, float] = {
    "rounds": 300,
    "eta": 0.05,
    "max_depth": 6,
    "max_leaves": 0,
    "min_child_weight": 20.0,
    "subsample": 0.8,
    "colsample_bytree": 0.6,
    "reg_lambda": 5.0,
    "reg_alpha": 0.0,
    "gamma": 0.0,
    "max_delta_step": 0.0,
    "max_cat_to_onehot": 4,
    "max_cat_threshold": 64,
}


@dataclass(frozen=True)
class Trees:
    """A trained Booster and the columns it takes: what trees have in common, whatever they predict."""

    columns: FeatureColumns
    booster: xgboost.Booster

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns needed to predict."""
        return self.columns.names

    def predict(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Give their predictions, one a row, computed in float32. Raises ValueError on missing columns."""
        import xgboost

        values = feature_values(features, self.columns)
        if not len(values):
            return np.empty(0, dtype=np.float64)
        matrix = xgboost.DMatrix(values, feature_types=feature_types(self.columns), enable_categorical=True, nthread=1)
        return self.booster.predict(matrix).astype(np.float64)

    def to_files(self) -> dict[str, bytes]:
        """The booster as UBJ, and the columns with their categories as JSON."""
        return {BOOSTER_FILE: bytes(self.booster.save_raw("ubj")), COLUMNS_FILE: self.columns.to_json()}

    def contributions(self, features: pd.DataFrame) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
        """By column, what it adds to each row on the scale of the task, and the base: exact SHAP values."""
        import xgboost

        values = feature_values(features, self.columns)
        matrix = xgboost.DMatrix(values, feature_types=feature_types(self.columns), enable_categorical=True, nthread=1)
        parts = self.booster.predict(matrix, pred_contribs=True).astype(np.float64)
        ordered = (*self.columns.numeric, *self.columns.text)
        return {name: parts[:, place] for place, name in enumerate(ordered)}, parts[:, -1]

    def importance(self) -> dict[str, float]:
        """By column, the mean gain of the splits on it; 0 where no tree uses it."""
        gains = self.booster.get_score(importance_type="gain")
        ordered = (*self.columns.numeric, *self.columns.text)
        gain_of = {
            name: float(np.asarray(gains.get(f"f{position}", 0.0)))  # typed as a list for linear boosters too
            for position, name in enumerate(ordered)
        }
        return {name: gain_of[name] for name in self.columns.names}


@dataclass(frozen=True)
class FittedBoostedTrees(Trees):
    """Trees that predict what the task asks for: a probability, a mean, a mean count."""

    @property
    def kind(self) -> str:
        """The kind of candidate this is."""
        return "xgboost"


def fit_boosted_trees(request: FitRequest) -> FittedBoostedTrees:
    """Train on training rows, in one thread. The same rows, options and seed give the same bytes.

    `options.start` are trees to go on from: the columns stay theirs (a text they never saw counts as unknown), and
    `warm_start.rounds` are added. Without it, or where it is no such trees, `rounds` are grown anew.
    """
    import xgboost

    candidate, features, options = request.candidate, request.features, request.options
    parameters: dict[str, float | str] = {**candidate_parameters(candidate, DEFAULTS)}
    rounds = int(parameters.pop("rounds"))
    columns = learn_columns(features)
    start = options.start if isinstance(options.start, FittedBoostedTrees) else None
    if start is not None and candidate.warm_start is not None:
        columns, rounds = start.columns, candidate.warm_start.rounds
        # else the draws go on from whatever this process drew last, or repeat those of the first trees
        parameters["seed_per_iteration"] = "true"
    matrix = xgboost.QuantileDMatrix(
        feature_values(features, columns),
        label=request.labels,
        weight=options.weights,
        feature_types=feature_types(columns),
        enable_categorical=True,
        nthread=1,
    )
    parameters |= {"objective": OBJECTIVES[options.task], "tree_method": "hist", "seed": request.seed, "nthread": 1}
    before = None if start is None else start.booster
    return FittedBoostedTrees(columns, xgboost.train(parameters, matrix, num_boost_round=rounds, xgb_model=before))


def load_boosted_trees(files: Mapping[str, bytes]) -> FittedBoostedTrees:
    """Read back what `to_files` gave."""
    return FittedBoostedTrees(*read_trees(files))


def read_trees(files: Mapping[str, bytes]) -> tuple[FeatureColumns, xgboost.Booster]:
    """Read the columns and the booster of trees from their files."""
    import xgboost

    booster = xgboost.Booster({"nthread": 1})  # two threads wait for each other longer than they score
    booster.load_model(bytearray(files[BOOSTER_FILE]))
    return FeatureColumns.from_json(files[COLUMNS_FILE]), booster


def feature_values(features: pd.DataFrame, columns: FeatureColumns) -> NDArray[np.float32]:
    """Numbers, then category codes, as the float32 that xgboost computes in; NaN where unknown or never seen."""
    numbers, codes = numeric_matrix(features, columns), code_matrix(features, columns)
    return np.hstack([numbers, np.where(codes < 0, np.nan, codes)]).astype(np.float32)


def feature_types(columns: FeatureColumns) -> list[str]:
    """What each column of `feature_values` is to xgboost: a number (q) or a category (c)."""
    # A text column never known in training has no category for xgboost to hold; as a number it is just missing.
    return ["q"] * len(columns.numeric) + ["c" if columns.categories[name] else "q" for name in columns.text]


KIND = ModelKind(
    "xgboost", DEFAULTS, fit_boosted_trees, load_boosted_trees, goes_on=True, cost=3, tasks=tuple(OBJECTIVES)
)
