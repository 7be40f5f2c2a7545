"""Labels to train on, as of the drop of the newest label model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.labeling.confusion_model import weighted_shares
from ml_assets.labeling.label_choice import GOLD_ALONE
from ml_assets.labeling.label_models import VOTE
from ml_assets.labeling.parameters import model_of_rows
from ml_assets.labeling.training_labels import reasons_of, weak_labels_of
from ml_assets.pipeline.labeling.label_model import TABLE as LABEL_MODEL_TABLE
from ml_assets.pipeline.labeling.votes_as_of import KnownVotes, read_known_votes
from ml_assets.spec.drop import DropKey, read_key
from ml_assets.spec.tables import with_keys
from ml_assets.spec.tables.labeling import LABEL_MODEL_PARAMETERS, TRAINING_LABELS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import MissingTableError
from ml_assets.stores.rows import read_rows
from ml_assets.stores.table_rows import arrow_schema
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = TRAINING_LABELS.name
GOLD, WEAK = "gold", "weak"


@dataclass(frozen=True)
class TrainingLabelsResult:
    """What was stored: rows by origin, and the lake version."""

    as_of: DropKey
    rows: Mapping[str, int]
    version: int


def store_training_labels(spec: UseCaseSpec, state: UseCaseState) -> TrainingLabelsResult:
    """Label the examples with votes by the newest label model, as of its drop; gold labels come first.

    Raises
    ------
    MissingTableError
        Where no label model was fitted yet.
    """
    lake = state.lake
    if not lake.has(LABEL_MODEL_TABLE):
        raise MissingTableError(f"{spec.name} has no label model yet; run `ml-assets labels {spec.name} --fit`")
    recorded = lake.metadata(LABEL_MODEL_TABLE)
    as_of, chosen = read_key(recorded["as_of"]), recorded["chosen"]
    with state.connect() as connection:
        known = read_known_votes(connection, lake, spec, as_of, recorded["inputs"])
    table = _label_rows(known, chosen, read_rows(lake, LABEL_MODEL_PARAMETERS.name, None), as_of)
    version = lake.replace(TABLE, table, {"as_of": recorded["as_of"], "chosen": chosen, "inputs": recorded["inputs"]})
    counts = dict(Counter(table["origin"].to_pylist()))
    return TrainingLabelsResult(as_of, {each: counts.get(each, 0) for each in (GOLD, WEAK)}, version)


def _label_rows(known: KnownVotes, chosen: str, parameters: list[dict[str, Any]], as_of: DropKey) -> pa.Table:
    """Give the rows of the table in order of drop and id; examples without a label are left out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    votes, is_gold = known.votes, known.gold >= 0
    label, probability, weight = known.gold.copy(), np.ones(votes.n_examples), np.ones(votes.n_examples)
    reason = np.full(votes.n_examples, GOLD, dtype=object)
    if chosen != GOLD_ALONE:
        # the vote says who wins and not how surely: the share of votes does, with one vote more at the usual shares
        is_vote = chosen == VOTE
        found = weighted_shares(votes) if is_vote else model_of_rows(parameters, votes).probabilities(votes)
        weak = weak_labels_of(votes, found)
        label = np.where(is_gold, label, weak.label)
        probability = np.where(is_gold, 1.0, weak.probability)
        weight = np.where(is_gold, 1.0, weak.weight)
        reason = np.where(is_gold, reason, reasons_of(votes, weak.label, chosen))
    kept = np.flatnonzero(label >= 0)
    rows, was_gold = known.rows.take(pa.array(kept)), pa.array(is_gold[kept])
    columns = {
        "example_id": rows["example_id"],
        "batch_date": rows["batch_date"],
        "label": np.array(votes.classes)[label[kept]],
        "probability": probability[kept],
        "weight": weight[kept],
        "origin": np.where(is_gold, GOLD, WEAK)[kept],
        "reason": reason[kept],
        "known_at": pc.if_else(was_gold, rows["gold_known_at"], rows["known_at"]),  # pyright: ignore[reportAttributeAccessIssue]
    }
    return pa.table(columns).cast(arrow_schema(with_keys(TRAINING_LABELS, as_of)))
