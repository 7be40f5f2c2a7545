"""Rows as Arrow tables of a declared lake table."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ml_assets.spec.tables.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

_STRUCTS = re.compile(r"STRUCT\((.*)\)\[\]")


def arrow_schema(table: Table, task: str = "binary") -> pa.Schema:
    """Give the write schema of a declared table, as use cases of a task write it."""
    import pyarrow as pa

    return pa.schema([(column.name, arrow_type(column.type)) for column in table.of(task).columns])


def arrow_rows(table: Table, rows: Iterable[Mapping[str, Any]], task: str = "binary") -> pa.Table:
    """Give rows as an Arrow table: a column that a row lacks is null, and so is a number that is not finite.

    Raises
    ------
    ValueError
        When a row has a column that is not declared for the task.
    """
    import pyarrow as pa

    schema, plain = arrow_schema(table, task), []
    for row in rows:
        unknown = [name for name in row if name not in schema.names]
        if unknown:
            raise ValueError(f"{table.name}: found column {unknown[0]!r}; allowed: {', '.join(schema.names)}")
        plain.append({name: _finite_or_none(row.get(name)) for name in schema.names})
    return pa.Table.from_pylist(plain, schema)


def arrow_type(kind: str) -> pa.DataType:
    """Give the Arrow type of a declared one.

    >>> arrow_type("VARCHAR[]")
    ListType(list<element: string>)
    """
    import pyarrow as pa

    known = {
        "BIGINT": pa.int64(),
        "BOOLEAN": pa.bool_(),
        "DATE": pa.date32(),
        "DOUBLE": pa.float64(),
        "INTEGER": pa.int32(),
        "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
        "VARCHAR": pa.string(),
    }
    structs = _STRUCTS.fullmatch(kind)
    if structs:
        fields = [part.strip().rsplit(" ", 1) for part in structs[1].split(",")]
        return pa.list_(pa.field("element", pa.struct([(name, known[each]) for name, each in fields])))
    return pa.list_(pa.field("element", known[kind[:-2]])) if kind.endswith("[]") else known[kind]


def _finite_or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
