"""Models by the candidate that declares them: fitted on checked rows, read back by kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_assets.stats.task import Task
from ml_assets.stats.tasks import task_of
from ml_assets.training.blend import Blend, members_of, task_of_blend
from ml_assets.training.calibration import CalibratedModel, read_curve
from ml_assets.training.candidate_parameters import PLAIN, FitOptions
from ml_assets.training.intervals import load_quantiles
from ml_assets.training.model_kind import FitRequest, FittedModel
from ml_assets.training.model_kinds import model_kind
from ml_assets.training.objectives import load_amount

if TYPE_CHECKING:
    import pandas as pd

    from ml_assets.spec.model import ModelCandidate


def fit_candidate(
    candidate: ModelCandidate,
    features: pd.DataFrame,
    labels: ArrayLike,
    *,
    seed: int,
    options: FitOptions = PLAIN,
) -> FittedModel:
    """Fit one candidate on training rows; a blend is made of fitted candidates, not fitted here.

    Parameters
    ----------
    features
        One row an example. Numeric columns (NaN unknown) and text columns (None unknown); not mutated. All columns
        are used, or those that the candidate names; by a group history its `group_by`.
    labels
        What the task of `options` allows, aligned with the rows by position. Examples without a label are not training
        rows: leave them out.
    options
        How much rows count, what to go on from, and what is predicted.

    Raises
    ------
    ValueError
        On no rows, labels that are missing, not allowed, or of another length; of one class or value, where the kind
        learns (`needs_both_classes`); on a kind that does not know the task; on a feature column that is neither
        numbers nor text or is not there; on parameters that the kind does not know.
    """
    checked = _checked_labels(features, labels, task_of(options.task))
    if needs_both_classes(candidate):
        _require_variety(checked, task_of(options.task))
    if candidate.kind == "blend":
        raise ValueError(f"candidate {candidate.name!r} is a blend: it is made of fitted candidates")
    if options.task not in model_kind(candidate.kind).tasks:
        raise ValueError(f"candidate {candidate.name!r}: a {candidate.kind} does not know the task {options.task}")
    absent = [name for name in candidate.features if name not in features.columns]
    if absent:
        raise ValueError(f"candidate {candidate.name!r} takes features that are not there: {', '.join(absent)}")
    takes_some = (
        candidate.features and model_kind(candidate.kind).learns
    )  # one that counts takes the columns of its groups
    taken = features[list(candidate.features)] if takes_some else features
    return model_kind(candidate.kind).fit(FitRequest(candidate, taken, checked, seed, options))


def needs_both_classes(candidate: ModelCandidate) -> bool:
    """Say whether a candidate cannot be fitted on one class or value alone; shares can be counted of any rows.

    >>> from ml_assets.spec.model import ModelCandidate
    >>> kinds = ("constant", "group_history", "xgboost", "blend")
    >>> [needs_both_classes(ModelCandidate(name="x", kind=kind)) for kind in kinds]
    [False, False, True, True]
    """
    return candidate.kind == "blend" or model_kind(candidate.kind).learns


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
        loaded = tuple(load_model(inner, content) for _, inner, content in members)
        return Blend(names, loaded, weights, task_of_blend(files))
    if kind == "amount":
        return load_amount(files)
    if kind == "quantiles":
        return load_quantiles(files)
    return model_kind(kind).load(files)


def part_of(model: FittedModel, name: str) -> FittedModel:
    """Give the member of that name where a model is a blend, else the model; what calibrates it is left away."""
    bare = model.model if isinstance(model, CalibratedModel) else model
    if isinstance(bare, Blend):
        return dict(zip(bare.names, bare.members, strict=True)).get(name, bare)
    return bare


def _checked_labels(features: pd.DataFrame, labels: ArrayLike, task: Task) -> NDArray[np.float64]:
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
    is_wrong = task.labels.is_wrong(y)
    if is_wrong.any():
        allowed, n = task.labels.allowed, int(is_wrong.sum())
        raise ValueError(f"training labels must be {allowed}: {n} are not, such as {y[is_wrong][0]}")
    return y


def _require_variety(y: NDArray[np.float64], task: Task) -> None:
    if y.min() == y.max():
        one = "class" if task.has_classes else "value"
        raise ValueError(f"all {y.size} training labels are {y[0]:g}: one {one} alone teaches nothing")
