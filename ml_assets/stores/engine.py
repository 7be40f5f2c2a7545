"""DuckDB in memory: one database a process, and sessions over it that see nothing of each other.

To open a database takes some 35 ms of processor time, a session 1 to 8: a batch needs hundreds. SQL of users gets a
database of its own, since what shuts it in holds for all sessions of one: see stores/sandbox.py.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import TYPE_CHECKING

from ml_assets.stores.unreadable_files import naming_unreadable_files

if TYPE_CHECKING:
    import duckdb

SETTINGS = "SET TimeZone = 'UTC'; SET enable_progress_bar = false"
_NUMBERS = count()


@contextmanager
def open_database() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database of its own and close it at the end."""
    import duckdb

    with naming_unreadable_files(), duckdb.connect() as connection:
        yield connection


@contextmanager
def open_reader() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a session for queries that make no table and no view."""
    with naming_unreadable_files(), _database().cursor() as connection:
        connection.execute(SETTINGS)
        yield connection


@contextmanager
def open_session() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a session whose tables and views are its own, and drop them at the end."""
    name = f"session_{next(_NUMBERS)}"
    with naming_unreadable_files(), _database().cursor() as connection:
        connection.execute(f"{SETTINGS}; ATTACH ':memory:' AS {name}; USE {name}")
        try:
            yield connection
        finally:
            connection.execute(f"USE memory; DETACH {name}")


@cache
def _database() -> duckdb.DuckDBPyConnection:
    import duckdb

    atexit.register(_database.cache_clear)  # held until the interpreter is gone, DuckDB's bindings call it a leak
    return duckdb.connect()
