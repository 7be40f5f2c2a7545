"""The ladder's rungs behind one small interface: fit, predict, save as data, load.

Models are data, never code: JSON, skops under an explicit list of types, and UBJ. No pickle, no joblib.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_assets.training.boosted_trees import FittedBoostedTrees, fit_boosted_trees, load_boosted_trees
from ml_assets.training.group_history import GroupHistory, fit_group_history, load_group_history
from ml_assets.training.logistic_regression import (
    FittedLogisticRegression,
    fit_logistic_regression,
    load_logistic_regression,
)

if TYPE_CHECKING:
    import pandas as pd

    from ml_assets.spec.model import Rung


class FittedModel(Protocol):
    """What every rung becomes once fitted."""

    @property
    def kind(self) -> str:
        """The kind of rung, by which `load_model` knows how to read its files."""
        ...

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns that `predict` needs; others are ignored."""
        ...

    def predict(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Probability of a positive, shape (rows,); each depends on its own row only.

        An unknown (null, not finite) or never seen value is the model's to handle. A missing column, or one of
        another kind than at fit, raises ValueError naming it.
        """
        ...

    def to_files(self) -> dict[str, bytes]:
        """The model as files by name; equal models give equal bytes."""
        ...


_LOADERS: dict[str, Callable[[Mapping[str, bytes]], FittedModel]] = {
    "group_history": load_group_history,
    "logistic_regression": load_logistic_regression,
    "xgboost": load_boosted_trees,
}


def fit_rung(rung: Rung, features: pd.DataFrame, labels: ArrayLike, *, seed: int, threads: int) -> FittedModel:
    """Fit one rung on training rows.

    Parameters
    ----------
    features
        One row an example. Numeric columns (NaN unknown) and text columns (None unknown); not mutated. All columns
        are used, except by a group history, which takes its `group_by`.
    labels
        0 or 1, aligned with the rows by position. Examples without a label are not training rows: leave them out.

    Raises
    ------
    ValueError
        On no rows, labels that are missing, not 0 or 1, of one class, or of another length; on a feature column that
        is neither numbers nor text; on parameters that the kind does not know.
    """
    checked = _checked_labels(features, labels)
    if rung.kind == "group_history":
        return fit_group_history(rung, features, checked)
    if rung.kind == "logistic_regression":
        return fit_logistic_regression(rung, features, checked, seed=seed, threads=threads)
    return fit_boosted_trees(rung, features, checked, seed=seed, threads=threads)


def load_model(kind: str, files: Mapping[str, bytes]) -> FittedModel:
    """Read back a model from the files of `to_files`.

    The caller has checked their sha256: this reads data, and refuses types that are not on the list, but cannot know
    whether the numbers are the ones that passed the gate.

    Raises
    ------
    ValueError
        On an unknown kind, or an archive with types that are not allowed.
    KeyError
        On a file that is not there.
    """
    if kind not in _LOADERS:
        nearest = difflib.get_close_matches(kind, _LOADERS, n=1)
        hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        raise ValueError(f"there is no kind of model {kind!r}{hint}; known are {', '.join(_LOADERS)}")
    return _LOADERS[kind](files)


def feature_importance(model: FittedModel) -> dict[str, float]:
    """How much a model leans on each column, in its own unit: compare within a model, never between kinds.

    Mean gain of splits for boosted trees; summed absolute weights (per standard deviation) for the logistic
    regression; empty for a group history, which has no such thing.
    """
    if isinstance(model, FittedBoostedTrees | FittedLogisticRegression):
        return model.importance()
    if isinstance(model, GroupHistory):
        return {}
    raise TypeError(f"feature importance is not defined for {type(model).__name__}")


def _checked_labels(features: pd.DataFrame, labels: ArrayLike) -> NDArray[np.float64]:
    y = np.asarray(labels, dtype=np.float64)
    if y.shape != (len(features),):
        raise ValueError(f"{len(features)} rows of features and labels of shape {y.shape} do not fit together")
    if not y.size:
        raise ValueError("there are no training rows")
    is_missing = np.isnan(y)
    if is_missing.all():
        raise ValueError(f"all {y.size} training labels are missing")
    if is_missing.any():
        raise ValueError(f"{int(is_missing.sum())} of {y.size} training labels are missing: unknown is not negative")
    is_wrong = (y != 0) & (y != 1)
    if is_wrong.any():
        raise ValueError(f"training labels must be 0 or 1: {int(is_wrong.sum())} are not, such as {y[is_wrong][0]}")
    if y.min() == y.max():
        raise ValueError(f"all {y.size} training labels are {int(y[0])}: one class alone teaches nothing")
    return y
