"""The ladder's rungs behind one small interface: fit, predict, save as data, load.

Models are data, never code: JSON, and UBJ for trees. No pickle, no joblib.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_assets.training import boosted_trees, constant, group_history, logistic_regression
from ml_assets.training.blend import Blend, members_of
from ml_assets.training.boosted_trees import FittedBoostedTrees, fit_boosted_trees, load_boosted_trees
from ml_assets.training.calibration import CalibratedModel, read_curve
from ml_assets.training.constant import Constant, load_constant
from ml_assets.training.group_history import GroupHistory, fit_group_history, load_group_history
from ml_assets.training.linear_model import FittedLogisticRegression, load_logistic_regression
from ml_assets.training.logistic_regression import fit_logistic_regression
from ml_assets.training.objectives import load_amount
from ml_assets.training.rung_parameters import PLAIN, FitOptions

if TYPE_CHECKING:
    import pandas as pd

    from ml_assets.spec.model import Rung

# what a rung's parameters are where its declaration is silent; a default that is whole wants whole numbers
DEFAULTS_OF: dict[str, dict[str, float]] = {
    "constant": constant.DEFAULTS,
    "group_history": group_history.DEFAULTS,
    "logistic_regression": logistic_regression.DEFAULTS,
    "xgboost": boosted_trees.DEFAULTS,
    "blend": {},
}


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
    "constant": load_constant,
    "group_history": load_group_history,
    "logistic_regression": load_logistic_regression,
    "amount": load_amount,
    "xgboost": load_boosted_trees,
}


def fit_rung(
    rung: Rung,
    features: pd.DataFrame,
    labels: ArrayLike,
    *,
    seed: int,
    options: FitOptions = PLAIN,
) -> FittedModel:
    """Fit one rung on training rows; a blend is made of fitted rungs, not fitted here.

    Parameters
    ----------
    features
        One row an example. Numeric columns (NaN unknown) and text columns (None unknown); not mutated. All columns
        are used, or those that the rung names; by a group history its `group_by`.
    labels
        0 or 1, aligned with the rows by position. Examples without a label are not training rows: leave them out.
    options
        How much rows count, and what to go on from.

    Raises
    ------
    ValueError
        On no rows, labels that are missing, not 0 or 1, or of another length; of one class, where the kind learns
        (`needs_both_classes`); on a feature column that is neither numbers nor text or is not there; on parameters
        that the kind does not know.
    """
    checked = _checked_labels(features, labels)
    if needs_both_classes(rung):
        _require_both_classes(checked)
    if rung.kind == "constant":
        return Constant(float(checked.mean()))
    if rung.kind == "group_history":
        return fit_group_history(rung, features, checked)
    absent = [name for name in rung.features if name not in features.columns]
    if absent:
        raise ValueError(f"rung {rung.name!r} takes features that are not there: {', '.join(absent)}")
    taken = features[list(rung.features)] if rung.features else features
    if rung.kind == "logistic_regression":
        return fit_logistic_regression(rung, taken, checked, seed=seed, options=options)
    if rung.kind == "xgboost":
        return fit_boosted_trees(rung, taken, checked, seed=seed, options=options)
    raise ValueError(f"rung {rung.name!r} is a {rung.kind}: it is made of fitted rungs")


def needs_both_classes(rung: Rung) -> bool:
    """Say whether a rung cannot be fitted on one class alone; shares can be counted of any rows.

    >>> from ml_assets.spec.model import Rung
    >>> [needs_both_classes(Rung(name="x", kind=kind)) for kind in ("constant", "group_history", "xgboost", "blend")]
    [False, False, True, True]
    """
    return rung.kind not in ("constant", "group_history")


def load_model(kind: str, files: Mapping[str, bytes]) -> FittedModel:
    """Read back a model from the files of `to_files`.

    The caller has checked their sha256: this reads data, but cannot know whether the numbers are the ones that passed
    the gate.

    Raises
    ------
    ValueError
        On an unknown kind, or a file that is not as `to_files` writes it.
    KeyError
        On a file that is not there.
    """
    if kind == "calibrated":
        inner, curve = read_curve(files)
        return CalibratedModel(load_model(inner, files), curve)
    if kind == "blend":
        members, weights = members_of(files)
        names = tuple(name for name, _, _ in members)
        return Blend(names, tuple(load_model(inner, content) for _, inner, content in members), weights)
    if kind not in _LOADERS:
        nearest = difflib.get_close_matches(kind, _LOADERS, n=1)
        hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        raise ValueError(
            f"there is no kind of model {kind!r}{hint}; known are {', '.join([*_LOADERS, 'blend', 'calibrated'])}"
        )
    return _LOADERS[kind](files)


def part_of(model: FittedModel, name: str) -> FittedModel:
    """Give the member of that name where a model is a blend, else the model; what calibrates it is left away."""
    bare = model.model if isinstance(model, CalibratedModel) else model
    if isinstance(bare, Blend):
        return dict(zip(bare.names, bare.members, strict=True)).get(name, bare)
    return bare


def feature_importance(model: FittedModel) -> dict[str, float]:
    """How much a model leans on each column, in its own unit: compare within a model, never between kinds.

    Mean gain of splits for boosted trees; summed absolute weights (per standard deviation) for the logistic
    regression; for a blend, the members' shares of their own totals, weighed as they are; empty for a group history
    or a constant, which have no such thing.
    """
    if isinstance(model, CalibratedModel):
        return feature_importance(model.model)
    if isinstance(model, FittedBoostedTrees | FittedLogisticRegression):
        return model.importance()
    if isinstance(model, Blend):
        return _blended_importance(model)
    if isinstance(model, GroupHistory | Constant):
        return {}
    raise TypeError(f"feature importance is not defined for {type(model).__name__}")


def _blended_importance(blend: Blend) -> dict[str, float]:
    totals: dict[str, float] = {}
    for member, weight in zip(blend.members, blend.weights, strict=True):
        leans_on = feature_importance(member)
        whole = sum(leans_on.values()) or 1.0
        for name, value in leans_on.items():
            totals[name] = totals.get(name, 0.0) + weight * value / whole
    return totals


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
    return y


def _require_both_classes(y: NDArray[np.float64]) -> None:
    if y.min() == y.max():
        raise ValueError(f"all {y.size} training labels are {int(y[0])}: one class alone teaches nothing")
