"""Assets of one source: what landed, what was accepted, what was not, and the ledger over all sources."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg
from dagster_duckdb import DuckDBResource

from ml_assets.graph.computed import computed_drops
from ml_assets.graph.described_columns import describe_columns, source_descriptions
from ml_assets.graph.due import ACCEPTED_GAPS
from ml_assets.graph.layout import (
    SINGLE_RUN,
    Results,
    asset_key,
    described,
    history_mapping,
    partition_keys,
    partitions_of,
    table_schema,
)
from ml_assets.graph.resources import StateResource
from ml_assets.graph.row_counts import describe_drops
from ml_assets.ingestion.acceptance import accept_rows
from ml_assets.ingestion.ledger import settle_ledger
from ml_assets.ingestion.reading import read_landed
from ml_assets.ingestion.rules import RuleResult
from ml_assets.spec.contract import SQL_TYPES, Source
from ml_assets.spec.drops import Receipt
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.receiving import Folders, Recorded, receive
from ml_assets.stores.sandbox import shut_in
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

GAP_COLUMNS = "batch_date DATE, source VARCHAR, reason VARCHAR"


def build_source_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build raw, validated and quarantine of each source, and the ledger."""
    per_source = [asset for source in spec.sources for asset in (_raw(spec, source), _validated(spec, source))]
    return [*per_source, _drops(spec)]


def _columns(source: Source) -> dict[str, str]:
    return {name: SQL_TYPES[column.type] for name, column in source.columns.items()}


def _raw(spec: UseCaseSpec, source: Source) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(spec, "raw", source.name),
        description=f"{source.description} As landed: typed by contract, with file, sha256 and line.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        metadata={"dagster/column_schema": table_schema(_columns(source), source_descriptions(source))},
        **described(spec, "raw", "csv", "delta"),
    )
    def raw(context: dg.AssetExecutionContext, store: StateResource, duckdb: DuckDBResource) -> None:
        state = store.of(spec.name)
        drops = partition_keys(context)
        closed = computed_drops(state.lake, duckdb)
        folders = Folders(state.landing, state.paths.received)
        batch_at = {drop: spec.calendar.batch_at(drop) for drop in drops} if spec.clock == "wall" else None
        with duckdb.get_connection() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            recorded = _recorded(connection, state.lake, source)
            files = receive(folders, source.file_name, drops, closed, recorded, batch_at)
            relation, receipts = read_landed(connection, source, files)
            rows = relation.to_arrow_table()
        state.lake.replace_drops(f"received_{source.name}", receipt_table(receipts), drops)
        state.lake.replace_drops(f"raw_{source.name}", rows, drops)
        noted: dict[date, dict[str, object]] = {}
        for each in receipts:
            notes = {"file": each.name, "sha256": each.sha256, **_notes(each)}
            noted.setdefault(each.drop, {}).update({f"late: {each.name}": each.rows} if each.is_late else notes)
        describe_drops(context, drops, _count(rows), noted)

    return raw


def _recorded(connection: "DuckDBPyConnection", lake: Lake, source: Source) -> list[Recorded]:
    """Read every receipt of a source."""
    table = f"received_{source.name}"
    if not lake.has(table):
        return []
    rows = lake.relation(connection, table)
    late = "coalesce(_is_late, false), coalesce(_modified_ns, 0)" if "_is_late" in rows.columns else "false, 0"
    columns = f"batch_date, _file, sha256, size_bytes, refusal, {late}"
    return [Recorded(*row) for row in rows.project(columns).fetchall()]


def _notes(receipt: Receipt) -> dict[str, str]:
    found = {"refused": receipt.refusal, "warning": receipt.warning}
    return {name: text for name, text in found.items() if text is not None}


def receipt_table(receipts: Sequence[Receipt]) -> "pa.Table":
    """Give receipts as rows. Grain: a received file."""
    import pyarrow as pa

    schema = pa.schema(
        {"batch_date": pa.date32(), "_file": pa.string(), "sha256": pa.string(), "size_bytes": pa.int64(),
         "rows": pa.int64(), "refusal": pa.string(), "warning": pa.string(), "_is_late": pa.bool_(),
         "_modified_ns": pa.int64()}
    )  # fmt: skip
    named = {"drop": "batch_date", "name": "_file", "is_late": "_is_late", "modified_ns": "_modified_ns"}
    rows = [{named.get(name, name): value for name, value in asdict(receipt).items()} for receipt in receipts]
    return pa.Table.from_pylist(rows, schema)


def _validated(spec: UseCaseSpec, source: Source) -> dg.AssetsDefinition:
    validated_key = asset_key(spec, "validated", source.name)
    quarantine_key = asset_key(spec, "quarantine", source.name)
    read = [
        dg.AssetDep(asset_key(spec, "validated", name), partition_mapping=history_mapping(None, spec.calendar.every))
        for name in source.reads
    ]
    inputs = [asset_key(spec, "raw", source.name), *read]
    times = {"event_at": "TIMESTAMPTZ", "known_at": "TIMESTAMPTZ", "claimed_known_at": "TIMESTAMPTZ"}
    columns = {**_columns(source), **times}
    schema = table_schema(columns)  # described with what was materialized: the UI keeps what stands here first
    quarantine_schema = table_schema({"reason": "VARCHAR", "reasons": "VARCHAR[]", **_columns(source)})

    @dg.multi_asset(
        name=f"{spec.name}__validate_{source.name}",
        specs=[
            dg.AssetSpec(validated_key, description=f"{source.description} The rows that keep the contract, with "
                         "when they happened and when they became known.", metadata={"dagster/column_schema": schema},
                         deps=inputs, **described(spec, "validated", "delta", "greatexpectations")),
            dg.AssetSpec(quarantine_key, description=f"Rows of {source.name} that do not keep the contract, with "
                         "every reason.", metadata={"dagster/column_schema": quarantine_schema}, deps=inputs,
                         **described(spec, "quarantine", "delta", "greatexpectations")),
        ],
        check_specs=[dg.AssetCheckSpec("contract", asset=validated_key, description="No drop of this source was "
                     "refused. The ledger has the verdict; the other sources go on.")],
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
    )  # fmt: skip
    def validate(context: dg.AssetExecutionContext, store: StateResource, duckdb: DuckDBResource) -> Results:
        state = store.of(spec.name)
        drops, lake, closed = partition_keys(context), state.lake, computed_drops(state.lake, duckdb)
        # a closed drop keeps its verdict: what a contract says now holds for what is received from now on
        judged = [drop for drop in drops if drop not in closed or not lake.has(f"validated_{source.name}")]
        if judged:
            _judge(spec, source, lake, judged, duckdb)
        with duckdb.get_connection() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            stored = _Stored(*(_stored(connection, lake, source, kind, drops) for kind in _STORED))
        rows = Counter(day for (day,) in stored.validated)
        shown = describe_columns(spec, "validated", source.name, columns, source_descriptions(source))
        describe_drops(context, drops, rows, asset_key=validated_key, on_last=_page(spec, source, state) | shown)
        noted: dict[date, dict[str, object]] = {}
        for (drop, reason), count in Counter(stored.quarantined).items():
            noted.setdefault(drop, {})[f"reason/{reason}"] = count
        counts = Counter(drop for drop, _ in stored.quarantined)
        describe_drops(context, drops, counts, noted, asset_key=quarantine_key)
        yield dg.MaterializeResult(asset_key=validated_key)
        yield dg.MaterializeResult(asset_key=quarantine_key)
        results = [RuleResult(*row) for row in stored.contract]
        refused = {result.drop for result in results if result.is_refused}
        refused |= {drop for drop, refusal in stored.received if refusal is not None}
        yield _contract_check(validated_key, drops, len(stored.received), sorted(refused), results)

    return validate


def _page(spec: UseCaseSpec, source: Source, state: UseCaseState) -> dict[str, object]:
    """Link the page of a source where it was drawn, and say how it is drawn; in each batch it would take a second."""
    page = state.paths.source_page(spec.name, source.name)
    drawn = {"page": dg.MetadataValue.path(str(page))} if page.exists() else {}
    return {**drawn, "draw the page": f"ml-assets sources {spec.name} --page"}


def _judge(spec: UseCaseSpec, source: Source, lake: Lake, drops: Sequence[date], duckdb: DuckDBResource) -> None:
    """Judge the rows of `drops` by the contract, and keep what was found."""
    with duckdb.get_connection() as connection:
        received = _show_rows(connection, spec, source, lake, drops)
        landed = sorted(drop for drop, refusal in received if refusal is None)
        keys = {name: spec.source(name).key for name in source.reads}
        accepted = accept_rows(connection, source, spec.calendar, landed, keys)
        validated, quarantined = accepted.validated.to_arrow_table(), accepted.quarantine.to_arrow_table()
    lake.replace_drops(f"validated_{source.name}", validated, drops)
    lake.replace_drops(f"quarantine_{source.name}", quarantined, drops)
    lake.replace_drops(f"contract_{source.name}", result_table(accepted.results), drops)


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


def _stored(
    connection: "DuckDBPyConnection", lake: Lake, source: Source, kind: str, drops: Sequence[date]
) -> list[tuple[Any, ...]]:
    rows = lake.relation(connection, f"{kind}_{source.name}", (drops[0], drops[-1]))
    if kind == "received" and "_is_late" in rows.columns:
        rows = rows.filter("NOT coalesce(_is_late, false)")
    if kind == "contract":  # lakes from before rules about drops know no other results than judged ones
        judged = "coalesce(is_judged, true)" if "is_judged" in rows.columns else "true"
        rows = rows.project(f"* {'EXCLUDE (is_judged)' if 'is_judged' in rows.columns else ''}, {judged} AS is_judged")
    return rows.order("batch_date").project(_STORED[kind]).fetchall()


def _show_rows(
    connection: "DuckDBPyConnection", spec: UseCaseSpec, source: Source, lake: Lake, drops: Sequence[date]
) -> list[tuple[date, str | None]]:
    """Shut `connection` in with what is needed to judge rows; give the drops of own files, with why one was refused."""
    own, bounds = f"validated_{source.name}", (drops[0], drops[-1])
    views = {name: lake.files(f"{name}_{source.name}", drops=bounds) for name in ("raw", "received")}
    if lake.has(own):
        before = spec.calendar.previous_drop(drops[0])
        views["earlier"] = lake.files(own, drops=(spec.calendar.start, before))
        if source.lookback:
            views["recent"] = lake.files(own, drops=(drops[0] - source.lookback, before))
    read = {name: f"validated_{name}" for name in source.reads}
    for name, table in read.items():
        if lake.has(table):
            views[f"read_{name}"] = lake.files(table, drops=(spec.calendar.start, drops[-1]))
    shut_in(connection, views)
    for name in read:
        if f"read_{name}" not in views:
            typed = {**_columns(spec.source(name)), "known_at": "TIMESTAMPTZ", "batch_date": "DATE"}
            columns = ", ".join(f'"{column}" {kind}' for column, kind in typed.items())
            connection.execute(f'CREATE TEMP TABLE "read_{name}" ({columns})')
    return connection.sql("SELECT batch_date, refusal FROM received WHERE NOT coalesce(_is_late, false)").fetchall()


def _count(table: "pa.Table") -> Counter[date]:
    return Counter(table["batch_date"].to_pylist())


def _contract_check(
    key: dg.AssetKey, drops: Sequence[date], received: int, refused: Sequence[date], results: Sequence[RuleResult]
) -> dg.AssetCheckResult:
    judged = [result for result in results if result.is_judged]
    failed = Counter({f"{result.reason} ({result.severity})": 0 for result in judged})
    for result in judged:
        failed[f"{result.reason} ({result.severity})"] += result.failed_rows
    open_rules = Counter(f"{result.reason} ({result.severity})" for result in results if not result.is_judged)
    named = f": {', '.join(map(str, refused[:10]))}" if refused else ""
    named += "".join(f"; {name} not judged in {drops} of them" for name, drops in open_rules.items())
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="contract",
        passed=not refused,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(refused)} of {received} received drops refused{named}",
        metadata={
            "drops": len(drops),
            "received": received,
            "refused": len(refused),
            "rows failing a rule": dict(failed),
            "drops a rule could not judge": dict(open_rules),
        },
    )


def result_table(results: Sequence[RuleResult]) -> "pa.Table":
    """Give what rules found as rows. Grain: drop x rule that failed or could not judge."""
    import pyarrow as pa

    schema = pa.schema(
        {"batch_date": pa.date32(), "reason": pa.string(), "severity": pa.string(), "failed_rows": pa.int64(),
         "observed": pa.string(), "is_refused": pa.bool_(), "is_judged": pa.bool_()}
    )  # fmt: skip
    return pa.Table.from_pylist([{**asdict(result), "batch_date": result.drop} for result in results], schema)


def _drops(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "raw", "drops")
    layers = ("raw", "validated", "quarantine")
    columns = {"batch_date": "DATE", "source": "VARCHAR", "expected": "BOOLEAN", "received": "BOOLEAN",
               "state": "VARCHAR", "landed": "BIGINT", "validated": "BIGINT", "quarantined": "BIGINT",
               "late": "BIGINT", "reasons": "VARCHAR[]", "notes": "VARCHAR[]"}  # fmt: skip

    @dg.asset(
        key=key,
        deps=[asset_key(spec, layer, source.name) for source in spec.sources for layer in layers],
        description="The ledger: per drop and source what was expected, received, admitted, refused or missing, with "
        "counts and reasons. Later assets refuse to run past a drop without a final state.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        check_specs=[
            dg.AssetCheckSpec("final", asset=key, description="Every source of every drop has a final state."),
            dg.AssetCheckSpec("admitted", asset=key, blocking=True, description="Something was admitted."),
        ],
        metadata={"dagster/column_schema": table_schema(columns)},
        **described(spec, "validated", "delta"),  # drawn where it stands: after what was validated
    )
    def drops(context: dg.AssetExecutionContext, store: StateResource, duckdb: DuckDBResource) -> Results:
        state = store.of(spec.name)
        days = partition_keys(context)
        tables = [
            f"{kind}_{source.name}"
            for source in spec.sources
            for kind in ("received", "raw", "validated", "quarantine", "contract")
        ]
        with duckdb.get_connection() as connection:
            bounds = (days[0], days[-1])
            views = {table: state.lake.files(table, drops=bounds) for table in tables}
            if state.lake.has(ACCEPTED_GAPS):
                views[ACCEPTED_GAPS] = state.lake.files(ACCEPTED_GAPS)
            shut_in(connection, views)
            if ACCEPTED_GAPS not in views:
                connection.execute(
                    f"CREATE TEMP TABLE {ACCEPTED_GAPS} (batch_date DATE, source VARCHAR, reason VARCHAR)"
                )
            ledger = settle_ledger(connection, spec, days).to_arrow_table()
        state.lake.replace_drops("drops", ledger, days)
        rows = ledger.to_pylist()
        noted: dict[date, dict[str, object]] = {day: {} for day in days}
        for row in rows:
            noted[row["batch_date"]][row["source"]] = row["state"]
        describe_drops(context, days, _count(ledger), noted)
        missing = [f"{row['source']} of {row['batch_date']}" for row in rows if row["state"] == "missing"]
        states = Counter(row["state"] for row in rows)
        yield dg.MaterializeResult()
        yield dg.AssetCheckResult(
            check_name="final",
            passed=not missing,
            severity=dg.AssetCheckSeverity.WARN,  # features refuse by themselves, and say what to do
            description=f"{len(missing)} missing: {', '.join(missing[:5])}" if missing else f"{len(rows)} states final",
            metadata={f"state/{name}": count for name, count in states.items()},
        )
        yield dg.AssetCheckResult(
            check_name="admitted",
            passed=states["admitted"] > 0,
            description=f"{states['admitted']} of {len(rows)} admitted; has anything landed in {state.landing}?",
        )

    return drops
