"""User SQL, shut in: it sees the tables it was given and nothing else of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ml_assets.spec.drop import DropKey, key_sql, key_type
from ml_assets.spec.user_sql import check_repeatable, check_select
from ml_assets.stores.kept_files import rows_of
from ml_assets.stores.sql_limits import sql_limits
from ml_assets.stores.table_files import TableFiles, scan_sql
from ml_assets.stores.unreadable_files import note_files

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from ml_assets.spec.calendar import Calendar


_MANY_FILES, _FEW_ROWS = 8, 200_000  # of a table that is worth holding, and may be held


def restrict_to_tables(
    connection: duckdb.DuckDBPyConnection, tables: Mapping[str, TableFiles], *, threads: int | None = None
) -> None:
    """Make `tables` the only thing the SQL of `connection` can reach, as views by their names.

    Names are `table` or `schema.table`. Allowed paths are the live files alone: a folder would show
    files that no version knows. What may be asked is checked apart, since COPY TO an allowed file
    would still pass here. Threads, memory and the folder to spill to are those of the machine (`sql_limits`).
    """
    limits = sql_limits()
    files = [file for table in tables.values() for file in table.files]
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    connection.execute(f"SET threads = {int(threads or limits.threads)}")
    connection.execute(f"SET memory_limit = '{limits.memory}'")
    spill = str(limits.spill).replace("'", "''")
    connection.execute(f"SET temp_directory = '{spill}'")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET autoload_known_extensions = false")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET allowed_paths = [" + ", ".join("'" + file.replace("'", "''") + "'" for file in files) + "]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    show_tables(connection, tables)


def show_tables(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, TableFiles]) -> None:
    """Make views of `tables` by their names, `table` or `schema.table`: for SQL of our own, which nothing shuts in."""
    for name, table in tables.items():
        schema, _, bare = name.rpartition(".")
        if not schema and (rows := rows_of(table)) is not None:
            connection.register(bare, rows)
            continue
        if schema:
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        target = f'"{schema}"."{bare}"' if schema else f'"{bare}"'
        if table.files:
            note_files(table)
            connection.execute(f"CREATE VIEW {target} AS {scan_sql(table)}")
        else:
            connection.register("_empty", table.schema.empty_table())
            connection.execute(f"CREATE TABLE {target} AS SELECT * FROM _empty")
            connection.unregister("_empty")


def hold_small_tables(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, TableFiles]) -> None:
    """Make tables in memory of what `show_tables` showed, where that is few rows of many files.

    A loop that asks for one drop at a time looks into each of the files each time: a month of hours has a thousand.
    """
    for name, table in tables.items():
        if len(table.files) < _MANY_FILES:
            continue
        ((rows,),) = connection.execute(f'SELECT count(*) FROM "{name}"').fetchall()
        if rows <= _FEW_ROWS:
            connection.execute(f'CREATE TEMP TABLE "_held" AS SELECT * FROM "{name}"')
            connection.unregister(name)
            connection.execute(f'DROP VIEW IF EXISTS "{name}"')
            connection.execute(f'ALTER TABLE "_held" RENAME TO "{name}"')


def select_by_drop(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    sources: Sequence[str],
    drops: Sequence[DropKey],
    calendar: Calendar,
) -> pa.Table:
    """Run one SELECT once a drop, each time over the rows of that drop alone, and stack the results.

    `connection` is shut in and has a view `validated_<source>` for each of `sources`; the SELECT
    sees them as `<source>`, without the columns that say where a row came from, and `batch` with
    one row: batch_date, batch_at, previous_batch_at. Run drop by drop, the result of a drop cannot
    depend on which others are asked for.
    """
    check_select(sql, {*sources, "batch"})
    check_repeatable(sql)
    for source in sources:
        connection.execute(
            f'CREATE OR REPLACE TEMP TABLE "_{source}" AS SELECT * FROM "validated_{source}" '
            "WHERE batch_date BETWEEN ? AND ?",
            [drops[0], drops[-1]],
        )
    query = sql.strip().rstrip(";")
    for position, drop in enumerate(drops):
        interval = calendar.drop(drop)
        previous_batch_at, batch_at = interval.start, interval.end
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE batch AS SELECT ?::{key_type(drop)} AS batch_date, "
            "?::TIMESTAMPTZ AS batch_at, ?::TIMESTAMPTZ AS previous_batch_at",
            [drop, batch_at, previous_batch_at],
        )
        for source in sources:
            connection.execute(
                f"CREATE OR REPLACE TEMP VIEW \"{source}\" AS SELECT COLUMNS(lambda c: NOT starts_with(c, '_') AND "
                f"c <> 'batch_date') FROM \"_{source}\" WHERE batch_date = {key_sql(drop)}"
            )
        target = "INSERT INTO _drawn BY NAME" if position else "CREATE OR REPLACE TEMP TABLE _drawn AS"
        connection.execute(f"{target} SELECT {key_sql(drop)} AS batch_date, drawn.* FROM (\n{query}\n) AS drawn")
    return connection.sql("SELECT * FROM _drawn").to_arrow_table()
