"""Bounds of what may come: boosted trees that learn two quantiles, with how far outcomes lay beyond them ahead."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.model import Intervals, ModelCandidate, TrainingRecipe
from ml_assets.stats.conformal import Beyond, nonconformity
from ml_assets.training.boosted_trees import DEFAULTS, Trees, feature_types, feature_values, read_trees
from ml_assets.training.candidate_parameters import candidate_parameters
from ml_assets.training.feature_matrix import learn_columns
from ml_assets.training.fit_pool import fit_side_by_side
from ml_assets.training.time_folds import Fold, time_folds

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]
AHEAD_FILE = "ahead.json"
MOST_AHEAD = 2000  # newest rows ahead of the training rows that a margin may rest on
# fewer and shallower trees than a mean needs: quantiles of few rows are noise
USUAL: dict[str, float] = {"rounds": 150, "max_depth": 4, "min_child_weight": 20.0}


@dataclass(frozen=True)
class FittedQuantiles(Trees):
    """Trees that predict a lower and an upper quantile.

    Attributes
    ----------
    ahead
        How far outcomes lay beyond the bounds on rows that the model had not seen, the oldest first; shape (rows,).
    least
        What no bound is below: a count is never negative. None is no bound.
    by, groups_ahead
        The feature whose values have margins of their own, and the value of each row of `ahead`. None where all rows
        share one margin.
    """

    ahead: tuple[float, ...] = ()
    least: float | None = None
    by: str | None = None
    groups_ahead: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """How `load_model` reads it."""
        return "quantiles"

    def bounds(self, features: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        """Give the lower and the upper quantile of each row, in the unit of the label; never the wrong way round."""
        if not len(features):
            return np.empty(0), np.empty(0)
        both = np.sort(self.predict(features).reshape(len(features), 2), axis=1)
        return both[:, 0], both[:, 1]

    def groups(self, features: pd.DataFrame) -> NDArray[np.object_] | None:
        """Name the group of each row, a null as an empty text; None where all rows share one margin."""
        if self.by is None:
            return None
        return features[self.by].astype("string").fillna("").to_numpy(dtype=object)

    def beyond_ahead(self) -> Beyond:
        """Give how far outcomes lay beyond the bounds ahead of the training rows, by group."""
        return Beyond(np.array(self.ahead), None if self.by is None else np.array(self.groups_ahead, dtype=object))

    def interval(self, features: pd.DataFrame, margin: float | FloatArray) -> tuple[FloatArray, FloatArray]:
        """Give the bounds moved apart by a margin, or together where it is below zero; they never cross.

        `margin` is one for all rows, or one a row.
        """
        lower, upper = self.bounds(features)
        middle = (lower + upper) / 2
        lower, upper = np.minimum(lower - margin, middle), np.maximum(upper + margin, middle)
        return (lower, upper) if self.least is None else (np.maximum(lower, self.least), np.maximum(upper, self.least))

    def to_files(self) -> dict[str, bytes]:
        """The trees, and the distances ahead as JSON, written so that they read back to the bit."""
        more: dict[str, object] = {"ahead": list(self.ahead), "least": self.least}
        if self.by is not None:
            more |= {"by": self.by, "groups_ahead": list(self.groups_ahead)}
        return {**super().to_files(), AHEAD_FILE: json.dumps(more).encode()}


def fit_intervals(recipe: TrainingRecipe, train: pd.DataFrame, features: Sequence[str]) -> FittedQuantiles | None:
    """Fit the quantiles on all of `train`, and before each of its windows to see how far outcomes lie beyond them.

    None where the recipe asks for no intervals.
    """
    asked = recipe.intervals
    if asked is None:
        return None
    names = list(features)
    folds = time_folds(train, recipe.folds, recipe.matures_after)
    fits: list[Callable[[], FittedQuantiles]] = [partial(_fit, recipe, asked, train, names)]
    fits += [partial(_fit, recipe, asked, train.loc[fold.train], names) for fold in folds]
    whole, *before = fit_side_by_side(fits, recipe.threads)
    return with_ahead(whole, [_beyond(model, train, fold) for model, fold in zip(before, folds, strict=True)])


def refit_intervals(
    recipe: TrainingRecipe, judged: FittedQuantiles, rows: pd.DataFrame, features: Sequence[str]
) -> FittedQuantiles:
    """Fit the quantiles again on all rows; what the judged ones missed on the holdout is added to what was ahead."""
    if recipe.intervals is None:
        return judged
    holdout = rows.loc[rows["split"] == "holdout"].sort_values("prediction_at", kind="stable")
    again = _fit(recipe, recipe.intervals, rows, list(features))
    return with_ahead(again, [judged.beyond_ahead(), _distances(judged, holdout)])


def with_ahead(model: FittedQuantiles, parts: Sequence[Beyond]) -> FittedQuantiles:
    """Give the quantiles with the newest of what was found ahead of their rows."""
    scores = np.concatenate([np.empty(0), *(each.scores for each in parts)])[-MOST_AHEAD:]
    groups = [name for each in parts if each.groups is not None for name in each.groups.tolist()][-MOST_AHEAD:]
    return replace(model, ahead=tuple(scores.tolist()), groups_ahead=tuple(groups))


def _beyond(model: FittedQuantiles, train: pd.DataFrame, fold: Fold) -> Beyond:
    return _distances(model, train.loc[fold.test].sort_values("prediction_at", kind="stable"))


def _distances(model: FittedQuantiles, rows: pd.DataFrame) -> Beyond:
    scores = nonconformity(rows["label"].to_numpy(dtype=np.float64), *model.bounds(rows))
    return Beyond(scores, model.groups(rows))


def _fit(recipe: TrainingRecipe, asked: Intervals, train: pd.DataFrame, names: list[str]) -> FittedQuantiles:
    import xgboost

    candidate = ModelCandidate(name="intervals", kind="xgboost", parameters={**USUAL, **asked.parameters})
    parameters: dict[str, object] = {**candidate_parameters(candidate, DEFAULTS)}
    rounds = int(str(parameters.pop("rounds")))
    columns = learn_columns(train[names])
    matrix = xgboost.QuantileDMatrix(
        feature_values(train[names], columns),
        label=train["label"].to_numpy(dtype=np.float64),
        feature_types=feature_types(columns),
        enable_categorical=True,
        nthread=1,
    )
    tail = (1 - asked.level) / 2
    parameters |= {"objective": "reg:quantileerror", "quantile_alpha": [tail, 1 - tail], "tree_method": "hist",
                   "seed": recipe.seed, "nthread": 1}  # fmt: skip
    booster = xgboost.train(parameters, matrix, num_boost_round=rounds)
    return FittedQuantiles(columns, booster, (), 0.0 if recipe.task == "count" else None, asked.by)


def load_quantiles(files: Mapping[str, bytes]) -> FittedQuantiles:
    """Read back what `to_files` gave."""
    more = json.loads(files[AHEAD_FILE])
    return FittedQuantiles(
        *read_trees(files), tuple(more["ahead"]), more["least"], more.get("by"), tuple(more.get("groups_ahead", ()))
    )
