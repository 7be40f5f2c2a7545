"""Scores of a drop's examples, by the champion of that drop and by the baseline beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ml_assets.serving.prior_shift import shifted
from ml_assets.serving.routing import Part
from ml_assets.spec.drop import DropKey
from ml_assets.stats.tasks import task_of

if TYPE_CHECKING:
    import pandas as pd


NO_SCORE = {"binary": "no probability"}  # in `abstained`, of a row whose score cannot be right, by task


def no_score(task: str) -> str:
    """Give what `abstained` says of a row to which the model gave no score that its task allows.

    >>> no_score("binary"), no_score("count")
    ('no probability', 'no number')
    """
    return NO_SCORE.get(task, "no number")


class Scorer(Protocol):
    """A fitted model, whatever its kind."""

    def predict(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Give the score, row by row."""
        ...


class TrainedTooLateError(RuntimeError):
    """A model trained as of a drop that is not before the one it would score."""


class ScoredInputs(Protocol):
    """The inputs that a model scores."""

    def outside(self, features: pd.DataFrame) -> list[str | None]:
        """Name the features of each row that lie too far from what it was trained on; None where none does."""
        ...


@dataclass(frozen=True)
class ScoringModel:
    """What scores a drop.

    Attributes
    ----------
    as_of
        The drop that the model was trained as of.
    baseline
        The baseline, scored beside it, and in its place where it abstains.
    bounds
        The inputs that it scores; None is any.
    objectives
        By name, what foretells an amount beside the probability.
    serves
        What is acted on: the model, or the baseline where the model has failed and the fallback serves.
    task
        What is predicted.
    """

    as_of: DropKey
    model_version: str
    model: Scorer
    baseline: Scorer
    bounds: ScoredInputs | None = None
    objectives: Mapping[str, Scorer] = field(default_factory=dict[str, Scorer])
    serves: Part = "model"
    task: str = "binary"


def score_drop(features: pd.DataFrame, drop: DropKey, server: ScoringModel, prior_shift: float = 0.0) -> pd.DataFrame:
    """Score the examples of one drop.

    A drop is scored by itself and in order of `example_id`, so that the last bits of a score do not
    depend on which other drops are asked for.

    Parameters
    ----------
    features
        The feature rows of `drop`.
    prior_shift
        Added to the log odds of the model's scores; see `prior_shift.py`.

    Returns
    -------
    frame
        Grain: an example. `batch_date`, `example_id`, `prediction_at`; `score`, what is acted on; `model_score`,
        the model's own before the prior shift (null where it cannot be right), and `baseline_score`, the baseline's;
        `prior_shift` in log odds; `abstained`, the features for which the model gives no score and the baseline's is
        taken, or that the model's cannot be right (null: none); `served_by`, model or baseline;
        `model_version`, and each objective by its name, in its unit.

    Raises
    ------
    TrainedTooLateError
        If the model was trained as of `drop` or later.
    ValueError
        If a score of the baseline is not what the task allows.
    """
    import pandas as pd

    version = server.model_version
    if server.as_of >= drop:
        raise TrainedTooLateError(
            f"{version} was trained as of {server.as_of}; allowed for {drop}: as of an earlier drop"
        )
    rows = features.sort_values("example_id", kind="stable")
    scored = rows[["batch_date", "example_id", "prediction_at"]].reset_index(drop=True)
    own, simple = server.model.predict(rows), server.baseline.predict(rows)
    scale, none = task_of(server.task).scale, no_score(server.task)
    wrong = scale.is_wrong(simple)
    if wrong.any():
        raise ValueError(f"{version} gave {int(wrong.sum())} values of baseline_score that are {none} on {drop}")
    outside = server.bounds.outside(rows) if server.bounds else [None] * len(rows)
    abstained = [none if wrong else each for wrong, each in zip(scale.is_wrong(own), outside, strict=True)]
    has_score = np.array([each is None for each in abstained], dtype=bool)
    is_served = has_score & (server.serves == "model")
    own = np.where(scale.is_wrong(own), np.nan, own)
    scored["score"] = np.where(is_served, shifted(np.where(is_served, own, 0.5), prior_shift), simple)
    scored["model_score"], scored["baseline_score"] = own, simple
    scored["prior_shift"] = prior_shift
    scored["abstained"] = pd.Series(abstained, dtype=object)
    scored["served_by"] = np.where(is_served, "model", "baseline")
    scored["model_version"] = version
    for name, amount in server.objectives.items():
        scored[name] = np.where(is_served, amount.predict(rows), np.nan)
    return scored
