"""Answers of people as of a drop: agreement by guideline, each annotator, and what they disagree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.labeling.agreement import AnnotatorAgreement, measure_agreement
from ml_assets.labeling.annotators import AnnotatorQuality, Disagreement, list_disagreements, rate_annotators
from ml_assets.labeling.votes import VoteMatrix, gather_votes
from ml_assets.pipeline.features.closed_drops import closed_drops
from ml_assets.pipeline.labeling.weak_labels import NoLabelingError, labeling_of
from ml_assets.pipeline.training.training_set import choose_as_of
from ml_assets.spec.drop import DropKey
from ml_assets.spec.labeling import Annotators
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState

RESAMPLES = 1000
_ALL = "all"


@dataclass(frozen=True)
class AnnotatorReport:
    """What people answered as of a drop.

    Attributes
    ----------
    agreement
        Krippendorff's alpha by version of the guideline, and of all answers.
    examples
        Names of the examples; `place` of a disagreement is a position among them.
    """

    as_of: DropKey
    agreement: Mapping[str, AnnotatorAgreement]
    annotators: Sequence[AnnotatorQuality]
    disagreements: Sequence[Disagreement]
    examples: Sequence[str]


def report_annotators(spec: UseCaseSpec, state: UseCaseState, as_of: str = "", *, seed: int = 0) -> AnnotatorReport:
    """Read the answers that had landed by a drop, by default the newest with features, and judge them.

    Of several answers of one person about one example the newest known counts.

    Raises
    ------
    NoLabelingError
        Where the use case declares no annotators, or there are no answers yet.
    """
    labeling = labeling_of(spec)
    asked = labeling.annotators
    if asked is None:
        raise NoLabelingError(f"{spec.name} declares no annotators; add labeling.annotators to its defs.yaml")
    drop = choose_as_of(spec, as_of, closed_drops(state))
    rows = _read_answers(spec, state, asked, drop)
    if not rows["example"].size:
        raise NoLabelingError(f"{spec.name}: there are no answers by {drop}")
    examples, example = np.unique(rows["example"].astype(str), return_inverse=True)
    people, person = np.unique(rows["annotator"].astype(str), return_inverse=True)
    classes = list(labeling.classes)
    codes = np.array([classes.index(each) if each in classes else -1 for each in rows["label"].tolist()])
    table = gather_votes(example, person, codes, (len(examples), len(people)))
    votes = VoteMatrix(table, labeling.classes, tuple(map(str, people)))
    agreement = {}
    for version in [*(np.unique(rows["guideline"].astype(str)) if asked.guideline else []), _ALL]:
        kept = np.ones(len(codes), dtype=bool) if version == _ALL else rows["guideline"].astype(str) == version
        said = gather_votes(example[kept], person[kept], codes[kept], table.shape)
        values = np.where(said >= 0, np.asarray(classes, dtype=float)[said], np.nan)
        rng = np.random.default_rng(seed)
        agreement[str(version)] = measure_agreement(values, asked.scale, rng=rng, resamples=RESAMPLES)
    return AnnotatorReport(drop, agreement, rate_annotators(votes), list_disagreements(votes), list(map(str, examples)))


def _read_answers(spec: UseCaseSpec, state: UseCaseState, asked: Annotators, drop: DropKey) -> dict[str, NDArray[Any]]:
    """Read the newest answer of each person about each example. Grain: an answer."""
    guideline = f'"{asked.guideline}"' if asked.guideline else "NULL"
    with state.connect() as connection:
        bounds = (spec.calendar.first_drop, drop)
        state.lake.relation(connection, f"validated_{asked.source}", bounds).create_view("_answers")
        found = connection.sql(
            f'SELECT "{asked.example}" AS example, "{asked.annotator}" AS annotator, '
            f'arg_max_null("{asked.label}", (known_at, batch_date)) AS label, '
            f"arg_max_null({guideline}, (known_at, batch_date)) AS guideline FROM _answers "
            f'WHERE "{asked.example}" IS NOT NULL AND "{asked.annotator}" IS NOT NULL GROUP BY ALL ORDER BY 1, 2'
        ).to_arrow_table()
    return {name: np.asarray(found[name].to_pylist(), dtype=object) for name in found.column_names}
