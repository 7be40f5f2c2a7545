"""Small tables as plain rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from ml_assets.stores.engine import open_reader
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
    if not lake.has(table):
        return []
    with open_reader() as connection:
        relation = lake.relation(connection, table, drops)
        if where:
            relation = relation.filter(where)
        if columns is not None:
            relation = relation.project(", ".join(columns))
        return relation.to_arrow_table().to_pylist()
