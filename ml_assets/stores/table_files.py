"""The files of one version of a table, and SQL that reads exactly these."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ml_assets.spec.drop import DropKey, read_key
from ml_assets.spec.tables.models import FORMER_COLUMNS

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from deltalake import DeltaTable

PARTITION = "batch_date"
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
_SQL_TYPES = {
    "bool": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT", "float": "FLOAT",
    "double": "DOUBLE", "string": "VARCHAR", "string_view": "VARCHAR", "binary": "BLOB", "date32[day]": "DATE",
}  # fmt: skip


class ColumnTypeError(ValueError):
    """Rows whose column has another type than the table: a write would cast it, and lose what does not fit."""


@dataclass(frozen=True)
class TableFiles:
    """The live files of one version of a table, and the columns an empty read would have."""

    table: str
    version: int
    files: tuple[str, ...]
    schema: pa.Schema
    is_partitioned: bool

    def drops(self) -> set[DropKey]:
        """Name the drops that have files."""
        return {drop_of(file) for file in self.files} if self.is_partitioned else set()

    def of_drops(self, drops: Collection[DropKey]) -> TableFiles:
        """Give the files of some drops alone."""
        return replace(self, files=tuple(file for file in self.files if drop_of(file) in drops))

    def between(self, first: DropKey, last: DropKey) -> TableFiles:
        """Give the files of the drops first..last alone."""
        return replace(self, files=tuple(file for file in self.files if first <= drop_of(file) <= last))


def list_files(table: str, opened: DeltaTable) -> TableFiles:
    """List the live files of an open table."""
    return TableFiles(
        table=table,
        version=opened.version(),
        files=tuple(sorted(opened.file_uris())),
        schema=pyarrow_schema(opened),
        is_partitioned=PARTITION in opened.metadata().partition_columns,
    )


def scan_sql(table: TableFiles) -> str:
    """Give the table function that reads exactly the live files of a table.

    A column that came later is null in the files before it, also where only those are read.
    """
    files = ", ".join("'" + file.replace("'", "''") + "'" for file in table.files)
    hive = (
        f"hive_partitioning=true, hive_types={{'{PARTITION}': {_partition_type(table)}}}"
        if table.is_partitioned
        else "hive_partitioning=false"
    )
    columns = ", ".join(f'"{name}"' for name in table.schema.names)
    empty = ", ".join(f'NULL::{sql_type(field.type)} AS "{field.name}"' for field in table.schema)
    read = f"SELECT * FROM read_parquet([{files}], union_by_name=true, {hive})"
    return f"SELECT {columns} FROM ({read} UNION ALL BY NAME SELECT {empty} WHERE false)"


def _partition_type(table: TableFiles) -> str:
    return sql_type(table.schema.field(PARTITION).type)


def by_names_of_now(table: str, rows: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Give columns that an earlier release wrote under another name the name they have now."""
    if table not in FORMER_COLUMNS:
        return rows
    held = set(rows.columns)
    former = {before: now for before, now in FORMER_COLUMNS[table].items() if before in held}
    if not former:
        return rows
    values = {now: f'coalesce("{now}", "{before}")' if now in held else f'"{before}"' for before, now in former.items()}
    kept = [f'"{name}"' for name in rows.columns if name not in former and name not in values]
    return rows.project(", ".join([*kept, *(f'{value} AS "{now}"' for now, value in values.items())]))


def content_hash(relation: duckdb.DuckDBPyRelation) -> str:
    """Hash the rows of a table, in no order, without the columns that start with an underscore.

    Those hold run ids, lake versions, wall-clock times and file names: two runs that computed the
    same values have the same hash.
    """
    columns = sorted(name for name in relation.columns if not name.startswith("_"))
    row = ", ".join(f'"{name}"' for name in columns)
    lines = relation.project(f"sha256(CAST(row({row}) AS VARCHAR)) AS line")
    found = lines.aggregate("coalesce(sha256(string_agg(line, '' ORDER BY line)), sha256(''))")
    return found.limit(1).fetchall()[0][0]


def sql_type(kind: pa.DataType) -> str:
    """Give the SQL type of a column."""
    import pyarrow as pa

    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"{sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        fields = (f'"{field.name}" {sql_type(field.type)}' for field in kind)
        return f"STRUCT({', '.join(fields)})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ" if kind.tz else "TIMESTAMP"
    return _SQL_TYPES[str(kind).removeprefix("large_")]


def drop_of(file: str) -> DropKey:
    """Give the drop that a file of a partitioned table belongs to."""
    return read_key(file.rpartition(f"{PARTITION}=")[2].partition("/")[0])


def refuse_other_types(table: str, stored: Mapping[str, str], schema: pa.Schema) -> None:
    """Refuse rows whose columns have other types than those that are stored.

    Raises
    ------
    ColumnTypeError
        Naming the column, both types and what to do.
    """
    import pyarrow as pa

    for field in schema:
        before = stored.get(field.name)
        if before is None or pa.types.is_null(field.type) or before == (now := sql_type(field.type)):
            continue
        if not (before in _WHOLE and now in _WHOLE):
            raise ColumnTypeError(
                f"{table}.{field.name}: found values of type {now}; allowed: {before}, as its earlier drops have. Give "
                "the column another name, or declare the type it had"
            )


def pyarrow_schema(table: DeltaTable) -> pa.Schema:
    """Give the columns of a Delta table."""
    import pyarrow as pa

    return pa.schema(table.schema().to_arrow())
