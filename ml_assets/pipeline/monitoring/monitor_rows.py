"""Rows of monitors: the tables `feed_health` and `drift_report`, and both together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ml_assets.spec.drop import DropKey
from ml_assets.spec.tables.monitoring import DRIFT_REPORT, FEED_HEALTH
from ml_assets.stores.engine import open_reader
from ml_assets.stores.lake import Lake
from ml_assets.stores.table_rows import arrow_rows

if TYPE_CHECKING:
    import duckdb

MONITORS = (FEED_HEALTH.name, DRIFT_REPORT.name)


def read_monitors(
    lake: Lake,
    columns: Sequence[str] | None = None,
    drops: tuple[DropKey, DropKey] | None = None,
    *,
    where: str = "true",
) -> list[dict[str, Any]]:
    """Read the monitors of feeds and of features together; what only features have is null for feeds.

    All columns where none is named. No rows where neither table was written yet.
    """
    if not any(lake.has(table) for table in MONITORS):
        return []
    with open_reader() as connection:
        rows = scan_monitors(connection, lake, drops).filter(where)
        return rows.project(", ".join(columns or ["*"])).to_arrow_table().to_pylist()


def scan_monitors(
    connection: duckdb.DuckDBPyConnection, lake: Lake, drops: tuple[DropKey, DropKey] | None = None
) -> duckdb.DuckDBPyRelation:
    """Give both tables as one lazy relation; it has no rows where neither was written yet."""
    parts = ["SELECT * FROM _no_monitors"]
    connection.register("_no_monitors", arrow_rows(DRIFT_REPORT, []))
    for table in MONITORS:
        if lake.has(table):
            lake.relation(connection, table, drops).create_view(f"_{table}", replace=True)
            parts.append(f"SELECT * FROM _{table}")
    return connection.sql(" UNION ALL BY NAME ".join(parts))
