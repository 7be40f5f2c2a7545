"""Small tables as plain rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from ml_assets.stores.lake import Lake


def read_rows(
    lake: Lake,
    table: str,
    columns: Sequence[str] | None,
    drops: tuple[date, date] | None = None,
    *,
    where: str = "",
) -> list[dict[str, Any]]:
    """Read a small table, all its columns where none is named; no rows when it was never written."""
    import duckdb

    if not lake.has(table):
        return []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        relation = lake.relation(connection, table, drops)
        if where:
            relation = relation.filter(where)
        if columns is not None:
            relation = relation.project(", ".join(columns))
        return relation.to_arrow_table().to_pylist()
