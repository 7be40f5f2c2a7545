"""Amounts predicted in addition to the probability: boosted trees that learn a mean, saved as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.spec.model import ModelCandidate, TrainingRecipe
from ml_assets.spec.objectives import OUTCOME, Objective
from ml_assets.training.boosted_trees import DEFAULTS, Trees, feature_types, feature_values, read_trees
from ml_assets.training.candidate_parameters import candidate_parameters
from ml_assets.training.feature_matrix import learn_columns
from ml_assets.training.fit_pool import fit_side_by_side

if TYPE_CHECKING:
    import pandas as pd

LEAST_ROWS = 50


@dataclass(frozen=True)
class FittedRegressor(Trees):
    """Trees that predict an amount, in its unit."""

    @property
    def kind(self) -> str:
        """How `load_model` reads it."""
        return "amount"


def fit_objectives(recipe: TrainingRecipe, rows: pd.DataFrame, features: Sequence[str]) -> dict[str, FittedRegressor]:
    """Fit every objective of the recipe on the rows of split `train`; give them by name.

    Rows whose outcome is unknown are left out of that objective alone.

    Raises
    ------
    ValueError
        Where fewer than fifty training rows have the outcome.
    """
    train = rows.loc[(rows["split"] == "train").to_numpy()]
    fits = [partial(_fit, recipe, each, train, list(features)) for each in recipe.objectives]
    fitted = fit_side_by_side(fits, recipe.threads)
    return {each.name: amount for each, amount in zip(recipe.objectives, fitted, strict=True)}


def _fit(recipe: TrainingRecipe, objective: Objective, train: pd.DataFrame, features: list[str]) -> FittedRegressor:
    import xgboost

    outcome = train[f"{OUTCOME}{objective.measure}"].to_numpy(dtype=np.float64, na_value=np.nan)
    is_known = np.isfinite(outcome)
    if is_known.sum() < LEAST_ROWS:
        raise ValueError(
            f"objective {objective.name!r}: {int(is_known.sum())} training rows have {objective.measure}; "
            f"allowed: {LEAST_ROWS} or more"
        )
    low, high = objective.at_least, objective.at_most
    target = np.clip(outcome[is_known], -np.inf if low is None else low, np.inf if high is None else high)
    candidate = ModelCandidate(name=objective.name, kind="xgboost", parameters=objective.parameters)
    parameters: dict[str, float | str] = {**candidate_parameters(candidate, DEFAULTS)}
    rounds = int(parameters.pop("rounds"))
    known = train.loc[is_known][features]
    columns = learn_columns(known)
    matrix = xgboost.QuantileDMatrix(
        feature_values(known, columns),
        label=target,
        feature_types=feature_types(columns),
        enable_categorical=True,
        nthread=1,
    )
    parameters |= {
        "objective": "reg:squarederror",
        "tree_method": "hist",
        "seed": recipe.seed,
        "nthread": 1,
    }
    return FittedRegressor(columns, xgboost.train(parameters, matrix, num_boost_round=rounds))


def load_amount(files: Mapping[str, bytes]) -> FittedRegressor:
    """Read back what `to_files` gave."""
    return FittedRegressor(*read_trees(files))
