"""Raw rows of a source: landed files typed by their contract, with file, sha256 and line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from ml_assets.ingestion.reading import read_landed
from ml_assets.pipeline.declaring.calendar_changes import keep_calendar
from ml_assets.pipeline.features.closed_drops import closed_drops
from ml_assets.pipeline.ingestion.contract_changes import follow_contract
from ml_assets.pipeline.ingestion.ready_drops import refuse_undue_drops
from ml_assets.pipeline.results import DropResult
from ml_assets.spec.contract import Source
from ml_assets.spec.drop import DropKey
from ml_assets.spec.received import Receipt
from ml_assets.spec.tables import with_keys
from ml_assets.spec.tables.ingestion import source_table
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.receiving import Folders, Recorded, receive
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection


def receive_source(
    spec: UseCaseSpec, state: UseCaseState, source: Source, drops: Sequence[DropKey], now: datetime
) -> DropResult:
    """Receive the landed files of `drops` and store their rows and receipts.

    A closed drop keeps what it received; what landed for it since goes into the next open drop as late. A drop that has
    not come by `now`, the wall's moment, is refused as `refuse_undue_drops` does.
    """
    keep_calendar(spec, state)
    refuse_undue_drops(spec, state, drops, now)
    follow_contract(state, source)
    folders = Folders(state.landing, state.paths.received)
    batch_at = {drop: spec.calendar.batch_at(drop) for drop in drops} if spec.clock == "wall" else None
    closed = closed_drops(state)
    with state.connect() as connection:
        recorded = _recorded(connection, state.lake, source)
        files = receive(folders, source.expected_file, drops, closed, recorded, batch_at)
        relation, receipts = read_landed(connection, source, files, spec.calendar.key_type)
        rows = relation.to_arrow_table()
    state.lake.replace_drops(f"received_{source.name}", receipt_rows(source, receipts, drops[0]), drops)
    state.lake.replace_drops(f"raw_{source.name}", rows, drops)
    notes: dict[DropKey, dict[str, object]] = {}
    for each in receipts:
        own = {"file": each.name, "sha256": each.sha256, **_warnings(each)}
        notes.setdefault(each.drop, {}).update({f"late: {each.name}": each.rows} if each.is_late else own)
    return DropResult(Counter(rows["batch_date"].to_pylist()), notes)


def _recorded(connection: DuckDBPyConnection, lake: Lake, source: Source) -> list[Recorded]:
    """Read every receipt of a source."""
    table = f"received_{source.name}"
    if not lake.has(table):
        return []
    rows = lake.relation(connection, table)
    late = "coalesce(_is_late, false), coalesce(_modified_ns, 0)" if "_is_late" in rows.columns else "false, 0"
    columns = f"batch_date, _file, sha256, size_bytes, refusal, {late}"
    return [Recorded(*row) for row in rows.project(columns).fetchall()]


def _warnings(receipt: Receipt) -> dict[str, str]:
    found = {"refused": receipt.refusal, "warning": receipt.warning}
    return {name: text for name, text in found.items() if text is not None}


def receipt_rows(source: Source, receipts: Sequence[Receipt], drop: DropKey) -> pa.Table:
    """Give receipts as rows of the table `received_<source>`, whose keys are such as `drop`."""
    named = {"drop": "batch_date", "name": "_file", "is_late": "_is_late", "modified_ns": "_modified_ns"}
    rows = [{named.get(name, name): value for name, value in asdict(receipt).items()} for receipt in receipts]
    return arrow_rows(with_keys(source_table(source, "received"), drop), rows)
