"""Validated and quarantined rows of a source, judged by its contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ml_assets.ingestion.acceptance import accept_rows
from ml_assets.ingestion.rules import RuleResult
from ml_assets.pipeline.features.closed_drops import closed_drops
from ml_assets.pipeline.ingestion.contract_changes import follow_contract
from ml_assets.pipeline.ingestion.ready_drops import refuse_undue_drops
from ml_assets.pipeline.results import CheckOutcome, DropResult
from ml_assets.spec.contract import SQL_TYPES, Source
from ml_assets.spec.drop import DropKey
from ml_assets.spec.tables import with_keys
from ml_assets.spec.tables.ingestion import source_table
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.sandbox import restrict_to_tables
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection


class _Stored(NamedTuple):
    """What the lake holds of some drops of a source, as rows."""

    validated: list[tuple[Any, ...]]
    quarantined: list[tuple[Any, ...]]
    contract: list[tuple[Any, ...]]
    received: list[tuple[Any, ...]]


_STORED = {
    "validated": "batch_date",
    "quarantine": "batch_date, reason",
    "contract": "batch_date, reason, severity, failed_rows, observed, is_refused, is_judged",
    "received": "batch_date, refusal",
}


@dataclass(frozen=True)
class ValidationResult:
    """What became of the rows of a source: those accepted, those in quarantine, and the verdict on each drop."""

    validated: DropResult
    quarantine: DropResult


def validate_source(
    spec: UseCaseSpec, state: UseCaseState, source: Source, drops: Sequence[DropKey], now: datetime
) -> ValidationResult:
    """Judge the raw rows of `drops` by the contract; accepted + quarantined = landed.

    A closed drop keeps its verdict: what a contract says now holds for what is received from now on. A drop that has
    not come by `now`, the wall's moment, is refused as `refuse_undue_drops` does.
    """
    refuse_undue_drops(spec, state, drops, now)
    follow_contract(state, source)
    lake, closed = state.lake, closed_drops(state)
    judged = [drop for drop in drops if drop not in closed or not lake.has(f"validated_{source.name}")]
    if judged:
        _judge(spec, state, source, judged)
    with state.connect() as connection:
        stored = _Stored(*(_stored(connection, lake, source, kind, drops) for kind in _STORED))
    notes: dict[DropKey, dict[str, object]] = {}
    for (drop, reason), count in Counter(stored.quarantined).items():
        notes.setdefault(drop, {})[f"reason/{reason}"] = count
    results = [RuleResult(*row) for row in stored.contract]
    refused = {result.drop for result in results if result.is_refused}
    refused |= {drop for drop, refusal in stored.received if refusal is not None}
    received = len({drop for drop, _ in stored.received})  # several parts are one drop
    contract = _contract_outcome(drops, received, sorted(refused), results)
    return ValidationResult(
        DropResult(Counter(day for (day,) in stored.validated), checks=(contract,)),
        DropResult(Counter(drop for drop, _ in stored.quarantined), notes),
    )


def _judge(spec: UseCaseSpec, state: UseCaseState, source: Source, drops: Sequence[DropKey]) -> None:
    """Judge the rows of `drops` by the contract, and keep what was found."""
    lake = state.lake
    with state.connect_apart() as connection:
        received = _restrict_to_judged_tables(connection, spec, source, lake, drops)
        landed = sorted({drop for drop, refusal in received if refusal is None})  # several parts are one drop
        keys = {name: spec.source(name).key for name in source.reads}
        accepted = accept_rows(connection, source, spec.calendar, landed, keys)
        validated, quarantined = accepted.validated.to_arrow_table(), accepted.quarantine.to_arrow_table()
    lake.replace_drops(f"validated_{source.name}", validated, drops)
    lake.replace_drops(f"quarantine_{source.name}", quarantined, drops)
    lake.replace_drops(f"contract_{source.name}", result_rows(source, accepted.results, drops[0]), drops)


def _stored(
    connection: DuckDBPyConnection, lake: Lake, source: Source, kind: str, drops: Sequence[DropKey]
) -> list[tuple[Any, ...]]:
    rows = lake.relation(connection, f"{kind}_{source.name}", (drops[0], drops[-1]))
    if kind == "received" and "_is_late" in rows.columns:
        rows = rows.filter("NOT coalesce(_is_late, false)")
    if kind == "contract":  # lakes from before rules about drops know no other results than judged ones
        judged = "coalesce(is_judged, true)" if "is_judged" in rows.columns else "true"
        rows = rows.project(f"* {'EXCLUDE (is_judged)' if 'is_judged' in rows.columns else ''}, {judged} AS is_judged")
    return rows.order("batch_date").project(_STORED[kind]).fetchall()


def _restrict_to_judged_tables(
    connection: DuckDBPyConnection, spec: UseCaseSpec, source: Source, lake: Lake, drops: Sequence[DropKey]
) -> list[tuple[DropKey, str | None]]:
    """Shut `connection` in with what is needed to judge rows; give the drops of own files, with why one was refused."""
    own, bounds = f"validated_{source.name}", (drops[0], drops[-1])
    views = {name: lake.files(f"{name}_{source.name}", drops=bounds) for name in ("raw", "received")}
    if lake.has(own):
        before = spec.calendar.previous_drop(drops[0])
        views["earlier"] = lake.files(own, drops=(spec.calendar.first_drop, before))
        if source.lookback:
            views["recent"] = lake.files(own, drops=(spec.calendar.earlier(drops[0], source.lookback), before))
    read = {name: f"validated_{name}" for name in source.reads}
    for name, table in read.items():
        if lake.has(table):
            views[f"read_{name}"] = lake.files(table, drops=(spec.calendar.first_drop, drops[-1]))
    restrict_to_tables(connection, views)
    for name in read:
        if f"read_{name}" not in views:
            typed = {
                **_typed_columns(spec.source(name)),
                "known_at": "TIMESTAMPTZ",
                "batch_date": spec.calendar.key_type,
            }
            columns = ", ".join(f'"{column}" {kind}' for column, kind in typed.items())
            connection.execute(f'CREATE TEMP TABLE "read_{name}" ({columns})')
    return connection.sql("SELECT batch_date, refusal FROM received WHERE NOT coalesce(_is_late, false)").fetchall()


def _typed_columns(source: Source) -> dict[str, str]:
    return {name: SQL_TYPES[column.type] for name, column in source.columns.items()}


def _contract_outcome(
    drops: Sequence[DropKey], received: int, refused: Sequence[DropKey], results: Sequence[RuleResult]
) -> CheckOutcome:
    judged = [result for result in results if result.is_judged]
    failed = Counter({f"{result.reason} ({result.severity})": 0 for result in judged})
    for result in judged:
        failed[f"{result.reason} ({result.severity})"] += result.failed_rows
    open_rules = Counter(f"{result.reason} ({result.severity})" for result in results if not result.is_judged)
    named = f": {', '.join(map(str, refused[:10]))}" if refused else ""
    named += "".join(f"; {name} not judged in {drops} of them" for name, drops in open_rules.items())
    return CheckOutcome(
        "contract",
        passed=not refused,
        description=f"{len(refused)} of {received} received drops refused{named}",
        measured={
            "drops": len(drops),
            "received": received,
            "refused": len(refused),
            "rows failing a rule": dict(failed),
            "drops a rule could not judge": dict(open_rules),
        },
    )


def result_rows(source: Source, results: Sequence[RuleResult], drop: DropKey) -> pa.Table:
    """Give what rules found as rows of the table `contract_<source>`, whose keys are such as `drop`."""
    rows = [
        {"batch_date" if name == "drop" else name: value for name, value in asdict(each).items()} for each in results
    ]
    return arrow_rows(with_keys(source_table(source, "contract"), drop), rows)
