"""Small tables as plain rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ml_assets.spec.drop import DropKey
from ml_assets.stores.engine import open_reader
from ml_assets.stores.kept_files import rows_of, scan
from ml_assets.stores.lake import Lake


def read_rows(
    lake: Lake,
    table: str,
    columns: Sequence[str] | None,
    drops: tuple[DropKey, DropKey] | None = None,
    *,
    where: str = "",
) -> list[dict[str, Any]]:
    """Read a small table, all its columns where none is named; no rows when it was never written."""
    if not lake.has(table):
        return []
    files = lake.files(table, drops=drops)
    if not where and set(columns or ()) <= set(files.schema.names) and (kept := rows_of(files)) is not None:
        return (kept if columns is None else kept.select(list(columns))).to_pylist()
    with open_reader() as connection:
        relation = scan(connection, files)
        if where:
            relation = relation.filter(where)
        if columns is not None:
            relation = relation.project(", ".join(columns))
        return relation.to_arrow_table().to_pylist()
