"""A table of when batches run, for SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from ml_assets.spec.calendar import Calendar
from ml_assets.spec.drop import DropKey

if TYPE_CHECKING:
    import duckdb

_AT_ONCE = 500  # rows of one INSERT: more placeholders take longer to parse than they save


def create_batch_times(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    calendar: Calendar,
    drops: Sequence[DropKey],
    opens_after: timedelta | None = None,
) -> None:
    """Make a table of the intervals of drops.

    Its columns are `batch_date`; `previous_batch_at`, or `opens_at` where `opens_after`, what lies between the two, is
    given; and `batch_at`.
    """
    opens = "previous_batch_at" if opens_after is None else "opens_at"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {table} "
        f"(batch_date {calendar.key_type}, {opens} TIMESTAMPTZ, batch_at TIMESTAMPTZ)"
    )
    rows = [[each.key, each.start + (opens_after or timedelta()), each.end] for each in map(calendar.drop, drops)]
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        places = ", ".join(["(?, ?, ?)"] * len(part))
        connection.execute(f"INSERT INTO {table} VALUES {places}", [value for row in part for value in row])
