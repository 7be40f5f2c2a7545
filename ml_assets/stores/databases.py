"""Databases by the variable that holds their address: opened for one transaction, and their errors in words.

Sources and deliveries reach databases through this module. An address, and a password in it, is in no message.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ml_assets.spec.databases import VARIABLE

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table

_AT_ONCE = 5_000  # rows that are fetched or written together


class DatabaseError(RuntimeError):
    """A database that cannot be reached, read or written, with what to do."""


def resolve_address(address: str) -> str:
    """Give the address that a variable of the environment holds.

    Raises
    ------
    DatabaseError
        If the variable is not set.
    """
    named = VARIABLE.fullmatch(address)
    found = os.environ.get(named[1], "").strip() if named else ""
    if not found:
        raise DatabaseError(f"{address} is not set; set it to the address, as postgresql+psycopg://reader@db/shop")
    return found


@contextmanager
def opened(address: str, *, is_read_only: bool) -> Iterator[Connection]:
    """Open a database for one transaction: committed when the block ends, rolled back when it raises.

    Reading is from one snapshot, so that several queries agree.

    Raises
    ------
    DatabaseError
        Of whatever the database or its driver says, in one line and without the password.
    """
    import sqlalchemy as sa
    from sqlalchemy.exc import SQLAlchemyError

    engine = _engine(address)
    options: dict[str, Any] = {}
    if is_read_only and engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    try:
        with engine.connect().execution_options(**options) as connection, connection.begin():
            if is_read_only and engine.dialect.name == "postgresql":
                connection.execute(sa.text("SET LOCAL TIME ZONE 'UTC'"))
            yield connection
    except SQLAlchemyError as error:
        raise DatabaseError(f"{address}: {_in_words(error)}") from error
    finally:
        engine.dispose()


def _engine(address: str) -> Engine:
    import sqlalchemy as sa
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    url = resolve_address(address)
    try:
        return sa.create_engine(url, poolclass=sa.NullPool)
    except NoSuchModuleError as error:
        raise DatabaseError(f"{address}: no driver for it; install one, as psycopg for PostgreSQL") from error
    except (ArgumentError, ImportError) as error:
        raise DatabaseError(f"{address}: {_in_words(error)}") from error


def _in_words(error: Exception) -> str:
    original = getattr(error, "orig", None)
    lines = str(original if original is not None else error).strip().splitlines()
    return " ".join(lines[:2])[:300] or type(error).__name__


def fetch_parts(connection: Connection, sql: str, values: dict[str, Any]) -> Iterator[Sequence[Any]]:
    """Give the rows of a query in parts, without holding all of them."""
    import sqlalchemy as sa

    found = connection.execution_options(stream_results=True).execute(sa.text(sql), values)
    try:
        yield from found.partitions(_AT_ONCE)
    finally:
        found.close()


def fetch_one(connection: Connection, sql: str, values: dict[str, Any] | None = None) -> Any:
    """Give the single value of a query."""
    import sqlalchemy as sa

    return connection.execute(sa.text(sql), values or {}).scalar()


def quoted(connection: Connection, name: str) -> str:
    """Quote a name as the database does, also one with its schema before a point."""
    prepare = connection.dialect.identifier_preparer
    return ".".join(prepare.quote(part) for part in name.split("."))


def replace_part(connection: Connection, table: Table, where: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Make the rows of a table with some values be these: the others of them go, these are inserted or updated."""
    import sqlalchemy as sa

    keys = [column.name for column in table.primary_key.columns]
    chosen = sa.and_(*(table.c[name] == value for name, value in where.items()))
    inner = [name for name in keys if name not in where]
    kept = [tuple(row[name] for name in inner) for row in rows]
    stored = {tuple(row) for row in connection.execute(sa.select(*(table.c[name] for name in inner)).where(chosen))}
    gone = stored - set(kept)
    for key in gone:
        same = sa.and_(*(table.c[name] == value for name, value in zip(inner, key, strict=True)))
        connection.execute(sa.delete(table).where(chosen, same))
    for start in range(0, len(rows), _AT_ONCE):
        _upsert(connection, table, keys, rows[start : start + _AT_ONCE], stored, inner)


def _upsert(
    connection: Connection, table: Table, keys: Sequence[str], rows: Sequence[dict[str, Any]],
    stored: set[tuple[Any, ...]], inner: Sequence[str],
) -> None:  # fmt: skip
    import sqlalchemy as sa
    from sqlalchemy.dialects import postgresql, sqlite

    inserts: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
    others = [column.name for column in table.columns if column.name not in keys]
    if connection.dialect.name in inserts and others:
        statement = inserts[connection.dialect.name](table)
        statement = statement.on_conflict_do_update(
            index_elements=list(keys), set_={name: statement.excluded[name] for name in others}
        )
        connection.execute(statement, list(rows))
        return
    fresh = [row for row in rows if tuple(row[name] for name in inner) not in stored]
    for row in rows:
        if tuple(row[name] for name in inner) in stored and others:
            same = sa.and_(*(table.c[name] == row[name] for name in keys))
            connection.execute(sa.update(table).where(same).values({name: row[name] for name in others}))
    if fresh:
        connection.execute(sa.insert(table), fresh)
