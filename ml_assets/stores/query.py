"""Questions in SQL over the lake, read-only and shut in: tables are named <use case>.<table>."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ml_assets.spec.use_case import did_you_mean
from ml_assets.spec.user_sql import UserSqlError, check_select
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.sandbox import restrict_to_tables

if TYPE_CHECKING:
    import duckdb


# One row an example: of several labels of one, the newest known. The drop it came in is not part of it,
# so that `batch_date` beside a join with predictions means theirs.
_NEWEST_LABELS = (
    "SELECT example_id, arg_max(label, known_at) AS label, max(known_at) AS known_at FROM {} GROUP BY example_id"
)


def lake_of(paths: StatePaths, use_case: str) -> Lake:
    """Give the tables of a use case."""
    return Lake(paths.lake / use_case)


def known_tables(paths: StatePaths) -> dict[str, Lake]:
    """Give every table that a query can name, with the lake it lies in."""
    if not paths.lake.is_dir():
        return {}
    lakes = [Lake(folder, is_pinned=True) for folder in sorted(paths.lake.iterdir()) if folder.is_dir()]
    return {f"{lake.folder.name}.{table}": lake for lake in lakes for table in lake.tables()}


def ask(connection: duckdb.DuckDBPyConnection, paths: StatePaths, text: str) -> duckdb.DuckDBPyRelation:
    """Run one SELECT over the newest versions of the tables it names.

    Raises
    ------
    UserSqlError
        If it is not one SELECT, or names a table that is not there.
    """
    tables = known_tables(paths)
    asked = check_select(text)
    unknown = [name for name in asked if name not in tables]
    if unknown:
        raise UserSqlError("; ".join(_unknown(name, tables) for name in unknown))
    restrict_to_tables(connection, {_stored(name): tables[name].files(name.partition(".")[2]) for name in asked})
    for name in asked:
        if _stored(name) != name:
            connection.execute(f"CREATE VIEW {name} AS {_NEWEST_LABELS.format(_stored(name))}")
    return connection.sql(text.strip().rstrip(";"))


def _stored(name: str) -> str:
    """Name the stored table behind a table that is shown otherwise; nobody can ask for it by that name."""
    use_case, _, table = name.partition(".")
    return f"{use_case}._labels" if table == "labels" else name


def _unknown(name: str, tables: Iterable[str]) -> str:
    known = list(tables)
    if not known:
        return f"there is no table {name}: no run has written one yet"
    bare = [table for table in known if table.partition(".")[2] == name]
    hint = f"; nearest: {bare[0]}" if bare else did_you_mean(name, known)
    return f"there is no table {name}; allowed: {', '.join(known)}{hint}"
