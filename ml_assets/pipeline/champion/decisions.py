"""What people decide about models: approve, reject, roll back; and what served a drop, as known at a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ml_assets.pipeline.champion.record import (
    GATE,
    PROMOTED,
    ServingDecision,
    append_decision,
    champion_in,
    read_record,
)
from ml_assets.pipeline.features.versions import lost_features
from ml_assets.spec.drop import LATEST, DropKey
from ml_assets.spec.feature_versions import feature_definitions
from ml_assets.spec.names import did_you_mean
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]
WAITING = "awaiting_approval"
REFUSED = "refused"


class NotDecidableError(LookupError):
    """A decision about a model that is not in the record, or not in a state to be decided about."""


@dataclass(frozen=True)
class PersonDecision:
    """A person's decision: who, why, and the first drop it holds for (None: the next that is run)."""

    by: str
    note: str
    now: datetime
    first: DropKey | None = None


def decide_waiting(
    spec: UseCaseSpec, state: UseCaseState, model_version: str, verdict: str, asked: PersonDecision
) -> ServingDecision:
    """Approve or reject a candidate that waits; `model_version` may be empty when only one does.

    A rejection is taken back by approving the model by its name, with a reason.

    Raises NotDecidableError when none waits by that name, or a rejection is taken back without a reason.
    """
    with state.writing(f"decision of {asked.by}") as lake, state.connect() as connection:
        record = read_record(connection, lake)
        entry = _find_undecided(record, model_version, verdict, asked)
        if verdict == PROMOTED:
            _require_compared_with_current(connection, lake, entry)
            _require_declared(connection, spec, state, entry)
        decision = ServingDecision(
            verdict, asked.by, _serves_after(connection, lake, spec, asked, entry["as_of"]), asked.note
        )
        append_decision(connection, lake, entry, decision, _provenance(asked), task=spec.task)
        serving = champion_in(read_record(connection, lake), LATEST)
    _mirror(state, entry, verdict, serving)
    return decision


def _find_undecided(record: Sequence[Row], model_version: str, verdict: str, asked: PersonDecision) -> Row:
    rejected = rejection_of(record, model_version)
    if rejected is None:
        return _find_entry(waiting_in(record), model_version, "that waits for approval")
    if verdict != PROMOTED:
        raise NotDecidableError(f"{spell_rejection(rejected)}; allowed: to approve it, with a reason")
    if not asked.note:
        raise NotDecidableError(f"{spell_rejection(rejected)}; allowed: to take that back with a reason: --reason TEXT")
    return rejected


def roll_back(spec: UseCaseSpec, state: UseCaseState, entry: Row, asked: PersonDecision) -> ServingDecision:
    """Let a model that was promoted before serve again, from the next drop on or from `asked.first`.

    Its files are checked first: what cannot be loaded cannot serve; and its features: what means something else by now
    cannot be scored.

    Raises NotDecidableError where it was trained on features that are declared otherwise, or not at all.
    """
    with state.writing(f"decision of {asked.by}") as lake, state.connect() as connection:
        _require_declared(connection, spec, state, entry)
        decision = ServingDecision(
            PROMOTED, asked.by, _serves_after(connection, lake, spec, asked, entry["as_of"]), asked.note
        )
        append_decision(connection, lake, entry, decision, _provenance(asked), task=spec.task)
        serving = champion_in(read_record(connection, lake), LATEST)
    _mirror(state, entry, PROMOTED, serving)
    return decision


def find_promoted(spec: UseCaseSpec, state: UseCaseState, model_version: str) -> tuple[Row, Row]:
    """Find the model to go back to, and the champion of the next drop; empty is the champion before that one.

    Raises NotDecidableError when there is none, it serves already, or its features are declared otherwise by now.
    """
    with state.connect() as connection:
        lake = state.lake
        entry, current = _find_promoted(spec, read_record(connection, lake), model_version)
        _require_declared(connection, spec, state, entry)
    return entry, current


def _find_promoted(spec: UseCaseSpec, record: Sequence[Row], model_version: str) -> tuple[Row, Row]:
    promoted = [row for row in record if row["verdict"] == PROMOTED]
    current = champion_in(promoted, LATEST)
    if current is None:
        raise NotDecidableError(f"{spec.name} has no champion to roll back from")
    others = [row for row in promoted if row["model_version"] != current["model_version"]]
    if not model_version:
        entry = champion_in(others, LATEST)
        if entry is None:
            raise NotDecidableError(f"{current['model_version']} is the first champion: there is none before it")
    else:
        if model_version == current["model_version"] and current["serves"] == "baseline":
            return current, current  # a person ends the fallback
        if model_version == current["model_version"]:
            raise NotDecidableError(f"{model_version} serves already")
        entry = _find_entry(others, model_version, "that was promoted and does not serve")
    return entry, current


def record_of(state: UseCaseState, known_at: datetime | None = None) -> list[Row]:
    """Read the record of a use case, or the part of it that was known at a moment."""
    with state.connect() as connection:
        record = read_record(connection, state.lake)
    return [row for row in record if known_at is None or row["_recorded_at"] <= known_at]


def waiting_in(record: Sequence[Row]) -> list[Row]:
    """Give the entries on which nobody has decided yet: a newer verdict as of the same drop takes an older one's place.

    What people decide about another model of that drop (a rollback) decides nothing here.
    """
    newest: dict[DropKey, Row] = {}
    for row in record:
        before = newest.get(row["as_of"])
        if row["decided_by"] == GATE or before is None or before["model_version"] == row["model_version"]:
            newest[row["as_of"]] = row
    return [row for row in newest.values() if row["verdict"] == WAITING]


def rejection_of(record: Sequence[Row], model_version: str) -> Row | None:
    """Give the entry by which a person rejected a model; None where nobody did, or it was taken back."""
    entry = next(
        (row for row in reversed(record) if row["model_version"] == model_version and not _is_of_gate(row)), None
    )
    return entry if entry is not None and entry["verdict"] == REFUSED else None


def spell_rejection(entry: Row) -> str:
    """Say who rejected a model, when and why."""
    why = f": {entry['note']}" if entry["note"] else ", without a reason"
    return f"{entry['model_version']} was rejected by {entry['decided_by']} on {entry['_recorded_at']:%Y-%m-%d}{why}"


def _is_of_gate(row: Row) -> bool:
    return row["decided_by"] == GATE


def newest_drop(connection: duckdb.DuckDBPyConnection, lake: Lake) -> DropKey | None:
    """Give the newest drop that has predictions."""
    if not lake.has("predictions"):
        return None
    return lake.relation(connection, "predictions").aggregate("max(batch_date)").fetchall()[0][0]


def require_first_drop(spec: UseCaseSpec, state: UseCaseState, entry: Row, asked: PersonDecision) -> None:
    """Refuse a first drop that a decision on `entry` cannot hold from, before anything is shown or asked."""
    with state.connect() as connection:
        _serves_after(connection, state.lake, spec, asked, entry["as_of"])


def _serves_after(
    connection: duckdb.DuckDBPyConnection, lake: Lake, spec: UseCaseSpec, asked: PersonDecision, as_of: DropKey
) -> DropKey:
    """Give the drop after which a decision holds: not before the current champion's, which would go on serving."""
    current = champion_in(read_record(connection, lake), LATEST)
    least = as_of if current is None else max(as_of, current["serves_after"])
    if asked.first is not None:
        after = spec.calendar.previous_drop(asked.first)
        if after < as_of:
            first = spec.calendar.next_drop(as_of)
            said = f"a drop after {as_of}, which it was trained as of; nearest: {first}"
            raise NotDecidableError(f"--from: found {asked.first}; allowed: {said}")
        if current is not None and after < least:
            said = f"a drop after {least}, from which on {current['model_version']} would serve again"
            raise NotDecidableError(f"--from: found {asked.first}; allowed: {said}")
        return after
    newest = newest_drop(connection, lake)
    return least if newest is None else max(least, newest)


def _require_compared_with_current(connection: duckdb.DuckDBPyConnection, lake: Lake, entry: Row) -> None:
    """Refuse a candidate that was judged beside another champion than the one it would replace."""
    current = champion_in(read_record(connection, lake), LATEST)
    if current is not None and current["model_version"] != entry["champion_before"]:
        before = entry["champion_before"] or "no champion"
        raise NotDecidableError(
            f"{entry['model_version']} was compared with {before}, and {current['model_version']} serves now; "
            "allowed: to reject it, and to retrain"
        )


def _require_declared(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, state: UseCaseState, entry: Row
) -> None:
    """Refuse a model that could score nothing; reads its files, so that one that cannot be loaded is refused too."""
    bundle = state.models.load(entry["model_version"], entry["artifact_sha256"])
    now = feature_definitions(spec)
    lost = lost_features(connection, state.lake, entry["model_version"], bundle.features, now)
    if lost:
        raise NotDecidableError(
            f"{entry['model_version']} was trained on other versions of {', '.join(lost[:5])} than are declared now; "
            "put the declaration back first, or retrain"
        )


def _find_entry(rows: Sequence[Row], model_version: str, what: str) -> Row:
    names = list(dict.fromkeys(row["model_version"] for row in rows))
    if not model_version and len(names) == 1:
        return rows[-1]
    found = [row for row in rows if row["model_version"] == model_version]
    if not found:
        hint = did_you_mean(model_version, names)
        raise NotDecidableError(f"found {model_version or 'no name'!r}; allowed: a model {what}: "
                                f"{', '.join(names) or 'there is none'}{hint}")  # fmt: skip
    return found[-1]


def _provenance(asked: PersonDecision) -> Mapping[str, Any]:
    return {"_recorded_at": asked.now, "_run_id": ""}


def _mirror(state: UseCaseState, entry: Row, verdict: str, serving: Row | None) -> None:
    state.registry.tell_outcome(entry["_registry_version"], verdict)
    if serving is not None:
        state.registry.name_champion(serving["_registry_version"])
