"""Rows of monitors: the tables `feed_health` and `drift_report`, and both together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.monitoring.drift_report import Row
from ml_assets.stores.lake import Lake

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

FEED_HEALTH, DRIFT_REPORT = MONITORS = ("feed_health", "drift_report")
_TEXTS = (
    "family",
    "monitor",
    "source",
    "column_name",
    "statistic",
    "state",
    "kind",
    "meaning",
    "detail",
    "model_version",
)
_NUMBERS = ("value", "usual", "z", "threshold", "ratio", "psi", "jensen_shannon", "ks", "wasserstein", "null_share",
            "reference_null_share", "unseen_share", "importance", "placebo_mean", "placebo_sd",
            "n_independent")  # fmt: skip
_COUNTS = ("n_placebos", "n_window", "n_reference")
_OF_FEATURES = (
    "psi",
    "jensen_shannon",
    "ks",
    "wasserstein",
    "null_share",
    "reference_null_share",
    "unseen_share",
    "importance",
    "n_window",
    "n_reference",
    "model_version",
)


def monitor_table(rows: Sequence[Row], *, is_of_feeds: bool = False) -> pa.Table:
    """Give rows as a table; what is not finite is null. Grain: drop x monitor."""
    import pyarrow as pa

    schema = pa.schema(
        [("batch_date", pa.date32()), *((name, pa.string()) for name in _TEXTS),
         *((name, pa.float64()) for name in _NUMBERS), *((name, pa.int64()) for name in _COUNTS)]
    )  # fmt: skip
    if is_of_feeds:
        schema = pa.schema([field for field in schema if field.name not in _OF_FEATURES])

    def plain(row: Row, name: str) -> Any:
        value = row.get(name)
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return pa.Table.from_pylist([{name: plain(row, name) for name in schema.names} for row in rows], schema)


def read_monitors(
    lake: Lake, columns: Sequence[str] | None = None, drops: tuple[date, date] | None = None, *, where: str = "true"
) -> list[dict[str, Any]]:
    """Read the monitors of feeds and of features together; what only features have is null for feeds.

    All columns where none is named. No rows where neither table was written yet.
    """
    import duckdb

    if not any(lake.has(table) for table in MONITORS):
        return []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        rows = scan_monitors(connection, lake, drops).filter(where)
        return rows.project(", ".join(columns or ["*"])).to_arrow_table().to_pylist()


def scan_monitors(
    connection: duckdb.DuckDBPyConnection, lake: Lake, drops: tuple[date, date] | None = None
) -> duckdb.DuckDBPyRelation:
    """Give both tables as one lazy relation; it has no rows where neither was written yet."""
    parts = ["SELECT * FROM _no_monitors"]
    connection.register("_no_monitors", monitor_table([]))
    for table in MONITORS:
        if lake.has(table):
            lake.relation(connection, table, drops).create_view(f"_{table}", replace=True)
            parts.append(f"SELECT * FROM _{table}")
    return connection.sql(" UNION ALL BY NAME ".join(parts))
