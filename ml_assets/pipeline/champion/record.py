"""Rows of the model tables: what a candidate, a verdict and a promotion look like in the lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ml_assets.decisions.promotion import Verdict
from ml_assets.serving.routing import Part, Promotion, champion_of
from ml_assets.spec.drop import LATEST, DropKey, read_key
from ml_assets.spec.tables import with_keys
from ml_assets.spec.tables.models import CANDIDATE_MODEL, CHAMPION, EVALUATION
from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.window_measures import WindowMeasures
from ml_assets.stores.lake import Lake
from ml_assets.stores.model_store import ModelBundle, ModelStore, StoredModel, TamperedModelError
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.training.candidate import MeasuredCandidate

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

PROMOTED = "promoted"
GATE, FALLBACK = "gate", "fallback"
BY_HAND = "by hand"
_OF_DECISIONS = ("decided_by", "serves_after", "note", "serves", "asked_by")


@dataclass(frozen=True)
class ServingDecision:
    """What a person or the fallback decided: `promoted` or `refused`, serving the drops after one, who and why.

    `serves` is the part that scores: the model, or the baseline beside it.
    """

    verdict: str
    decided_by: str
    serves_after: DropKey
    note: str
    serves: Part = "model"


@dataclass(frozen=True)
class CandidateRow:
    """The candidate that stands: its version, the sha256 to check, and where it came from."""

    as_of: DropKey
    candidate: str
    model_version: str
    artifact_sha256: str
    training_set_version: int
    mlflow_run_id: str
    registry_version: str


def candidate_table(
    bundle: ModelBundle, measured: Sequence[MeasuredCandidate], stored: StoredModel, provenance: Mapping[str, Any]
) -> pa.Table:
    """Give one row a candidate that was fitted. Grain: a candidate of the newest candidate."""
    chosen, task = bundle.candidate, bundle.recipe.task
    ahead = CANDIDATE_MODEL.of(task).types
    rows = [
        {
            "as_of": read_key(bundle.as_of),
            "candidate": candidate.candidate.name,
            "kind": candidate.model.kind,
            "is_chosen": candidate.candidate.name == chosen,
            **{name: float(value) for name, value in candidate.measures.items()},
            **{f"ahead_{name}": value for name, value in (candidate.ahead or {}).items() if f"ahead_{name}" in ahead},
            "model_version": stored.model_version if candidate.candidate.name == chosen else None,
            "artifact_sha256": stored.artifact_sha256 if candidate.candidate.name == chosen else None,
            **provenance,
        }
        for candidate in measured
    ]
    return arrow_rows(with_keys(CANDIDATE_MODEL, read_key(bundle.as_of)), rows, task)


def read_candidate(connection: duckdb.DuckDBPyConnection, lake: Lake) -> CandidateRow:
    """Read the newest candidate."""
    columns = (
        "as_of, candidate, model_version, artifact_sha256, _training_set_version, _mlflow_run_id, _registry_version"
    )
    return CandidateRow(
        *lake.relation(connection, "candidate_model").filter("is_chosen").project(columns).fetchall()[0]
    )


def evaluation_table(
    candidate: CandidateRow,
    incumbent: Promotion | None,
    verdict: Verdict,
    measures: Mapping[str, WindowMeasures],
    gain: Interval | None,
    days: Sequence[str],
) -> pa.Table:
    """Give the one row of the newest verdict, with every measure and reason."""
    task = measures["candidate"].task.name
    columns = EVALUATION.of(task).types

    def measured(name: str) -> dict[str, float | None]:
        found = measures[name].measured if name in measures else {}
        return {f"{name}_{key}": value for key, value in found.items() if f"{name}_{key}" in columns}

    row = {
        "as_of": candidate.as_of,
        "verdict": verdict.outcome,
        "gate": verdict.gate,
        "candidate": candidate.candidate,
        "model_version": candidate.model_version,
        "artifact_sha256": candidate.artifact_sha256,
        "champion_before": incumbent.model_version if incumbent else None,
        "window_from": min(days) if len(days) else None,
        "window_until": max(days) if len(days) else None,
        "n": measures["candidate"].n,
        "n_days": measures["candidate"].n_days,
        **measured("candidate"),
        **measured("champion"),
        **measured("baseline"),
        "gain": gain.estimate if gain else None,
        "gain_lower": gain.lower if gain else None,
        "gain_upper": gain.upper if gain else None,
        "reasons": [asdict(reason) for reason in verdict.reasons],
        "_training_set_version": candidate.training_set_version,
        "_mlflow_run_id": candidate.mlflow_run_id,
        "_registry_version": candidate.registry_version,
    }
    return arrow_rows(with_keys(EVALUATION, candidate.as_of), [row], task)


def read_verdict(connection: duckdb.DuckDBPyConnection, lake: Lake) -> dict[str, Any]:
    """Read the newest verdict."""
    return lake.relation(connection, "evaluation").to_arrow_table().to_pylist()[0]


def append_verdict(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    verdict: Mapping[str, Any],
    asked_by: str,
    provenance: Mapping[str, Any],
    *,
    task: str,
) -> bool:
    """Append a verdict to the record, unless it repeats the last one given as of the same drop; say whether.

    A retraining that is run twice, or that died after its verdict, leaves one row. What people decided about the
    model since then (an approval) stands. `asked_by` says what asked for the retraining: a trigger, or a person.
    """
    recorded = read_record(connection, lake)
    given = [row for row in recorded if row["as_of"] == verdict["as_of"] and row["decided_by"] == GATE]
    if given and all(given[-1].get(name) == value for name, value in verdict.items() if not name.startswith("_")):
        return False
    entry = {
        **verdict,
        "decided_by": GATE,
        "serves_after": _serves_after(recorded, verdict),
        "note": None,
        "serves": "model",
        "asked_by": asked_by,
    }
    _append(lake, len(recorded), entry, provenance, task)
    return True


def _serves_after(recorded: Sequence[Mapping[str, Any]], verdict: Mapping[str, Any]) -> DropKey:
    """Give the drop after which a model serves: that of its as_of, or of a fallback that began since, which it ends."""
    current = champion_in(recorded, LATEST)
    if current is None or current["decided_by"] != FALLBACK or verdict["as_of"] < current["as_of"]:
        return verdict["as_of"]
    return max(verdict["as_of"], current["serves_after"])


def append_decision(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    entry: Mapping[str, Any],
    decision: ServingDecision,
    provenance: Mapping[str, Any],
    *,
    task: str,
) -> None:
    """Append what was decided about a model that is in the record: to serve from now on, or not to.

    `entry` is the recorded verdict on that model; its measures and reasons go with it.
    """  # fmt: skip
    recorded = read_record(connection, lake)
    own = ("sequence", *_OF_DECISIONS)
    kept = {name: value for name, value in entry.items() if name not in own and name not in provenance}
    said = {
        "verdict": decision.verdict,
        "decided_by": decision.decided_by,
        "serves_after": decision.serves_after,
        "note": decision.note,
        "serves": decision.serves,
        "asked_by": None,
    }
    _append(lake, len(recorded), kept | said, provenance, task)


def read_record(connection: duckdb.DuckDBPyConnection, lake: Lake) -> list[dict[str, Any]]:
    """Read every verdict ever given and every decision of a person, in the order recorded."""
    if not lake.has("champion"):
        return []
    return lake.relation(connection, "champion").order("sequence").to_arrow_table().to_pylist()


def read_promotions(connection: duckdb.DuckDBPyConnection, lake: Lake) -> list[Promotion]:
    """Read every promotion ever recorded; none when no verdict was given yet."""
    return promotions_in(read_record(connection, lake))


def spell_decision(entry: Mapping[str, Any]) -> str:
    """Say who decided what, and since when that serves, if it does.

    >>> row = {"verdict": "refused", "decided_by": "gate", "serves_after": "2024-10-28"}
    >>> spell_decision(row), spell_decision({**row, "verdict": "promoted"})
    ('refused by gate, as of 2024-10-28', 'promoted by gate, serving drops after 2024-10-28')
    """
    since = "serving drops after" if entry["verdict"] == PROMOTED else "as of"
    return f"{entry['verdict']} by {entry['decided_by']}, {since} {entry['serves_after']}"


def promotions_in(record: Sequence[Mapping[str, Any]]) -> list[Promotion]:
    """Give the promotions of a record, or of the part of one that was known at some moment."""
    names = ("as_of", "sequence", "model_version", "artifact_sha256", "serves_after", "serves")
    return [Promotion(*(row[name] for name in names)) for row in record if row["verdict"] == PROMOTED]


def champion_in(record: Sequence[Mapping[str, Any]], drop: DropKey) -> dict[str, Any] | None:
    """Give the entry of what serves a drop by this record; None before the first champion."""
    found = champion_of(drop, promotions_in(record))
    return None if found is None else dict(next(row for row in record if row["sequence"] == found.sequence))


def compared_with(record: Sequence[Mapping[str, Any]], verdict: Mapping[str, Any]) -> str:
    """Name what a candidate was compared with: the model that served its drop, or the baseline in its place."""
    name: str | None = verdict["champion_before"]
    served = champion_in(record, verdict["as_of"])
    is_fallback = served is not None and (served["model_version"], served["serves"]) == (name, "baseline")
    return f"the baseline of {name}, which served as the fallback" if is_fallback else name or "no champion"


def newest_champion(record: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Give the entry of what serves the drops to come; None before the first champion."""
    promoted = [row for row in record if row["verdict"] == PROMOTED]
    return max(promoted, key=lambda row: (row["serves_after"], row["sequence"]), default=None)


def damage_of(models: ModelStore, entry: Mapping[str, Any] | None) -> str | None:
    """Say which file of a model is gone or not the one that the gate saw; None where all are."""
    try:
        if entry is not None:
            models.verify(entry["model_version"], entry["artifact_sha256"])
    except TamperedModelError as error:
        return str(error)
    return None


def drop_of(row: Mapping[str, Any]) -> DropKey:
    """Give the drop that an entry belongs to: what a verdict is as of, or the one after which a decision holds."""
    return row["as_of"] if row["decided_by"] == GATE else row["serves_after"]


def read_champion_before(connection: duckdb.DuckDBPyConnection, lake: Lake, as_of: DropKey) -> Promotion | None:
    """Give what serves the drop `as_of` itself: what a candidate as of it is compared with, whenever that is run."""
    return champion_of(as_of, read_promotions(connection, lake))


def _append(lake: Lake, n_recorded: int, entry: Mapping[str, Any], provenance: Mapping[str, Any], task: str) -> None:
    row = {**entry, "sequence": n_recorded + 1, **provenance}
    lake.append(CHAMPION.name, arrow_rows(with_keys(CHAMPION, drop_of(row)), [row], task))
