"""All that a model card is made of, read from tables, models and the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_assets.pipeline.champion.record import read_record
from ml_assets.pipeline.evaluation.comparison import Comparison, compare, learned_from
from ml_assets.pipeline.evaluation.evidence import BEHAVIOURS, MEASURES, SLICES, require_evidence_of
from ml_assets.pipeline.training.training_set import TABLE as TRAINING_SET
from ml_assets.spec.tables import with_keys
from ml_assets.spec.tables.models import MODEL_CARD
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState

Row = Mapping[str, Any]


@dataclass(frozen=True)
class CardFacts:
    """All that a card is made of; rows are those of the tables named so."""

    comparison: Comparison
    splits: Mapping[str, Row]
    drawn: Mapping[str, Any]
    measures: Sequence[Row]
    slices: Sequence[Row]
    behaviours: Sequence[Row]
    candidates: Sequence[Row]
    entries: Sequence[Row]
    importance: Mapping[str, float]
    champion_importance: Mapping[str, float]


def gather_facts(state: UseCaseState) -> CardFacts:
    """Read all that the card of the newest candidate says from the tables, the models and the record.

    Raises
    ------
    StaleEvidenceError
        Where a table of evidence was made of another candidate or beside another champion.
    """
    lake, found = state.lake, compare(state)
    for table in (MEASURES, SLICES, BEHAVIOURS):
        require_evidence_of(lake, table, found)
    with state.connect() as connection:
        drawn = lake.relation(connection, TRAINING_SET, version=found.row.training_set_version)
        splits = (
            learned_from(drawn, found.candidate)
            .aggregate(
                "split, count(*) AS n, avg(label) AS share, min(batch_date) AS first, max(batch_date) AS last", "split"
            )
            .to_arrow_table()
            .to_pylist()
        )
        record = read_record(connection, lake)
        measures, slices, behaviours, candidates = (
            lake.relation(connection, table).to_arrow_table().to_pylist()
            for table in (MEASURES, SLICES, BEHAVIOURS, "candidate_model")
        )
    return CardFacts(
        comparison=found,
        splits={row["split"]: row for row in splits},
        drawn=lake.metadata(TRAINING_SET, found.row.training_set_version),
        measures=measures,
        slices=slices,
        behaviours=behaviours,
        candidates=candidates,
        entries=[row for row in record if row["model_version"] == found.row.model_version],
        importance=found.candidate.model.importance(),
        champion_importance=found.champion.model.importance() if found.champion else {},
    )


def store_card(state: UseCaseState, facts: CardFacts, markdown: str) -> None:
    """Keep the card of the newest candidate. Grain: one row."""
    found = facts.comparison.row
    row = {"as_of": found.as_of, "model_version": found.model_version, "markdown": markdown}
    state.lake.replace(MODEL_CARD.name, arrow_rows(with_keys(MODEL_CARD, found.as_of), [row]))
