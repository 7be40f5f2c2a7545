"""Likely label errors of the newest training set, by predictions of models that were trained on earlier rows only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.labeling.label_errors import LikelyLabelError, find_label_errors
from ml_assets.labeling.votes import FloatArray
from ml_assets.pipeline.labeling.gold_worth import learning_candidate
from ml_assets.pipeline.results import CheckOutcome
from ml_assets.pipeline.training.training_set import read_newest
from ml_assets.spec.drop import read_key
from ml_assets.spec.tables import of_use_case
from ml_assets.spec.tables.review import LABEL_ERRORS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.estimators import fit_candidate

if TYPE_CHECKING:
    import pandas as pd

BLOCKS = 8


class TooFewLabelsError(LookupError):
    """Too few labels with a prediction ahead of them."""


@dataclass(frozen=True)
class LabelErrors:
    """Likely errors, the least probable first.

    Attributes
    ----------
    rows
        `example_id` and drop of each error, in their order.
    judged, labels
        Labels with a prediction ahead of them, and all labels: the oldest have none.
    """

    as_of: str
    errors: list[LikelyLabelError]
    rows: list[tuple[str, str]]
    judged: int
    labels: int


@dataclass(frozen=True)
class LabelErrorsResult:
    """What was stored, or why labels were not judged. Labels as in `LabelErrors`."""

    as_of: str
    found: int
    judged: int
    unjudged: str = ""

    @property
    def checks(self) -> tuple[CheckOutcome, ...]:
        """Whether there was enough to judge labels by; what is likely wrong is no failure, people look at it."""
        said = self.unjudged or f"{self.found} of {self.judged} labels are likely wrong"
        measured = {"likely wrong": self.found, "labels judged": self.judged}
        return (CheckOutcome("labels_judged", not self.unjudged, said, measured),)


def store_label_errors(spec: UseCaseSpec, state: UseCaseState) -> LabelErrorsResult:
    """List the labels of the newest training set that are likely wrong, and store them as of its drop.

    Where too few labels can be judged, the table is empty and the check `labels_judged` says why.
    """
    as_of = read_newest(spec, state).plan["as_of"]
    try:
        found = list_label_errors(spec, state)
    except TooFewLabelsError as error:
        state.lake.replace(LABEL_ERRORS.name, arrow_rows(of_use_case(LABEL_ERRORS, spec), []), {"as_of": as_of})
        return LabelErrorsResult(as_of, 0, 0, f"not enough data: {error}")
    rows = [
        {
            "as_of": read_key(found.as_of), "example_id": example, "batch_date": read_key(drop),
            "place": place, "label": each.given, "suggested": each.suggested, "probability": each.probability,
            "reason": each.reason,
        }
        for place, ((example, drop), each) in enumerate(zip(found.rows, found.errors, strict=True), 1)
    ]  # fmt: skip
    state.lake.replace(LABEL_ERRORS.name, arrow_rows(of_use_case(LABEL_ERRORS, spec), rows), {"as_of": as_of})
    return LabelErrorsResult(as_of, len(rows), found.judged)


def list_label_errors(spec: UseCaseSpec, state: UseCaseState) -> LabelErrors:
    """Predict each label from earlier ones, block after block in time, and list those that are likely wrong.

    Weak labels are left out: theirs are the functions' errors. Both splits are judged, and nothing is changed.

    Raises
    ------
    MissingTableError
        Where no training set was drawn yet.
    TooFewLabelsError
        Where too few labels have a prediction.
    """
    newest = read_newest(spec, state)
    rows = newest.rows
    if "label_origin" in rows.columns:
        rows = rows.loc[rows["label_origin"] == "gold"]
    rows = rows.sort_values(["prediction_at", "example_id"], kind="stable").reset_index(drop=True)
    probabilities = predict_ahead(spec, rows, list(newest.plan["features"]))
    try:
        errors = find_label_errors(rows["label"].to_numpy(dtype=np.int64), probabilities)
    except ValueError as error:
        raise TooFewLabelsError(f"{spec.name}: {error}") from error
    named = [
        (str(rows["example_id"].iloc[each.place]), str(rows["batch_date"].iloc[each.place])[:10]) for each in errors
    ]
    judged = int(np.isfinite(probabilities[:, 0]).sum())
    return LabelErrors(newest.plan["as_of"], errors, named, judged, len(rows))


def predict_ahead(spec: UseCaseSpec, rows: pd.DataFrame, features: list[str]) -> FloatArray:
    """Predict each block of rows, in order of time, by a model of the rows that had matured before it begins.

    Returns
    -------
    array
        Shape (rows, 2); NaN for rows of blocks with nothing to learn from before them.
    """
    candidate, moments = learning_candidate(spec), rows["prediction_at"]
    names = list(candidate.features or features)
    found = np.full((len(rows), 2), np.nan)
    for block in np.array_split(np.arange(len(rows)), BLOCKS)[1:]:
        if not block.size:
            continue
        before = rows.loc[(moments <= moments.iloc[block[0]] - spec.labels.matures_after).to_numpy()]
        if before["label"].nunique() < 2:
            continue
        model = fit_candidate(
            candidate, before[names], before["label"].to_numpy(dtype=np.float64), seed=spec.model.seed
        )
        positive = model.predict(rows.loc[rows.index[block], names])
        found[block] = np.stack([1 - positive, positive], axis=1)
    return found
