"""Scores of a drop's examples, by the champion of that drop and by the heuristic beside it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


class Scorer(Protocol):
    """A fitted model, whatever its kind."""

    def predict(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Give the probability of a positive, row by row."""
        ...


class TrainedTooLateError(RuntimeError):
    """A model trained as of a drop that is not before the one it would score."""


def score_drop(
    features: pd.DataFrame, drop: date, *, as_of: date, model: Scorer, baseline: Scorer, model_version: str
) -> pd.DataFrame:
    """Score the examples of one drop.

    A drop is scored by itself and in order of `example_id`, so that the last bits of a score do not
    depend on which other drops are asked for.

    Parameters
    ----------
    features
        The feature rows of `drop`.
    as_of
        The drop that `model` was trained as of.

    Returns
    -------
    frame
        Grain: an example. `batch_date`, `example_id`, `prediction_at`, `score` and `baseline_score`
        (probabilities), `model_version`.

    Raises
    ------
    TrainedTooLateError
        If the model was trained as of `drop` or later.
    ValueError
        If a score is not a probability.
    """
    if as_of >= drop:
        raise TrainedTooLateError(
            f"{model_version} was trained as of {as_of}; allowed for {drop}: as of an earlier drop"
        )
    rows = features.sort_values("example_id", kind="stable")
    scored = rows[["batch_date", "example_id", "prediction_at"]].reset_index(drop=True)
    for column, scorer in (("score", model), ("baseline_score", baseline)):
        scores = scorer.predict(rows)
        is_wrong = ~((scores >= 0) & (scores <= 1))
        if is_wrong.any():
            raise ValueError(
                f"{model_version} gave {int(is_wrong.sum())} values of {column} that are no probability on {drop}"
            )
        scored[column] = scores
    scored["model_version"] = model_version
    return scored
