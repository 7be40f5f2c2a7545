"""What is stored of the labels of a use case, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_assets.pipeline.labeling.label_model import TABLE as LABEL_MODEL_TABLE
from ml_assets.pipeline.labeling.training_labels import TABLE as TRAINING_LABELS_TABLE
from ml_assets.pipeline.labeling.weak_labels import labeling_of
from ml_assets.spec.drop import DropKey
from ml_assets.spec.tables.labeling import CORRELATED_FUNCTIONS, LABELING_FUNCTIONS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import MissingTableError
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class LabelReport:
    """The newest label model, as stored. Rows are those of its tables; `labels` counts training labels by origin."""

    as_of: DropKey
    chosen: str
    reason: str
    models: Rows
    functions: Rows
    correlated: Rows
    labels: Mapping[str, int]

    @property
    def counts_in_words(self) -> str:
        """Say how many examples have votes, gold labels and labels to train on."""
        first = self.models[0]
        covered = 0.0 if first["covered"] is None else first["covered"]
        said = f"{first['examples']:,} examples, {covered:.1%} with a vote, {first['gold']:,} with a matured gold label"
        labels = ", ".join(f"{n:,} {origin}" for origin, n in self.labels.items())
        return f"{said}; labels to train on: {labels or 'not made yet'}"


def read_label_report(spec: UseCaseSpec, state: UseCaseState) -> LabelReport:
    """Read what is stored.

    Raises
    ------
    NoLabelingError
        Where the use case declares no labeling.
    MissingTableError
        Where no label model was fitted yet.
    """
    labeling_of(spec)
    lake = state.lake
    if not lake.has(LABEL_MODEL_TABLE):
        raise MissingTableError(
            f"{spec.name} has no label model yet; `ml-assets labels {spec.name} --fit` fits one, and so does "
            f"`ml-assets retrain {spec.name}`"
        )
    models = read_rows(lake, LABEL_MODEL_TABLE, None)
    counts: dict[str, int] = {}
    for row in read_rows(lake, TRAINING_LABELS_TABLE, ["origin"]):
        counts[row["origin"]] = counts.get(row["origin"], 0) + 1
    return LabelReport(
        models[0]["as_of"],
        models[0]["chosen"],
        models[0]["reason"],
        models,
        read_rows(lake, LABELING_FUNCTIONS.name, None),
        read_rows(lake, CORRELATED_FUNCTIONS.name, None),
        dict(sorted(counts.items())),
    )
