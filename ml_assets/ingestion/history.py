"""In which drop each row of a past would have been received.

The rule is that of the contract: a row arrives in the drop whose interval holds the moment it became known. What
cannot be placed is given back with its reason; nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ml_assets.spec.calendar import MICROSECOND, Calendar
from ml_assets.spec.contract import RECEIVED, Source
from ml_assets.spec.drop import DropKey, key_sql
from ml_assets.spec.user_sql import check_expression

if TYPE_CHECKING:
    import duckdb

MALFORMED = "malformed_line"
NO_MOMENT = "moment_missing"
TOO_EARLY = "known_before_first_drop"
TOO_LATE = "known_after_last_drop"


class HistoryError(ValueError):
    """A past that cannot be split into drops, with what is allowed."""


@dataclass(frozen=True)
class HistoryRange:
    """How a past is split.

    Attributes
    ----------
    first, last
        The drops that may be written; a row of another one is left out.
    ahead
        For a source that claims nothing about when its rows were known and has `event_at`, a plan: how many
        drops before the one that holds `event_at` a row was published. 0 is a report, which comes after.
    is_early_taken
        Rows known before the first drop go into it, as a first delivery would bring them, in place of being left out.
    """

    first: DropKey
    last: DropKey
    ahead: int = 0
    is_early_taken: bool = False


def moment_of(source: Source) -> str | None:
    """Give the expression that decides the drop of a row; None where every row is of the first drop.

    Raises
    ------
    HistoryError
        If nothing in the contract says when a row was received.

    Examples
    --------
    >>> moment_of(Source(name="stops", key=["id"], known_at="seen_at + INTERVAL 1 HOUR",
    ...                  columns={"id": {"type": "string"}, "seen_at": {"type": "timestamp"}}))
    'seen_at + INTERVAL 1 HOUR'
    """
    if source.arrives == "once":
        return None
    if source.known_at != RECEIVED:
        return source.known_at
    if source.event_at is not None:
        return source.event_at
    raise HistoryError(
        f"{source.name}: nothing in its contract says when a row was received; allowed: a known_at, an event_at, or "
        "arrives: once, which puts all rows into the first drop"
    )


def newest_drop(
    connection: duckdb.DuckDBPyConnection, source: Source, calendar: Calendar, ahead: int
) -> DropKey | None:
    """Give the drop of the newest moment among the rows of `raw`; None where no row has one."""
    moment = moment_of(source)
    if moment is None:
        return calendar.first_drop
    check_expression(moment)
    found: datetime | None = connection.execute(
        f"SELECT max(CAST(({moment}) AS TIMESTAMPTZ)) FROM raw WHERE _text IS NULL"
    ).fetchall()[0][0]
    return None if found is None else calendar.shift(calendar.drop_receiving(found), -ahead)


def place_rows(
    connection: duckdb.DuckDBPyConnection, source: Source, calendar: Calendar, asked: HistoryRange
) -> duckdb.DuckDBPyRelation:
    """Say of each row of view `raw` in which drop it was received, or why in none.

    Parameters
    ----------
    connection
        Shut in, with a view or table `raw` of the rows, as `read_landed` gives them.

    Returns
    -------
    relation
        Grain: a row of `raw`. `_line`; `batch_date`, null where the row is left out; `reason`, null where it is not.
    """
    moment = moment_of(source)
    lines = "SELECT _line, _text IS NOT NULL AS is_malformed"
    if moment is None:
        is_covered = asked.first <= calendar.first_drop <= asked.last
        drop = f"CASE WHEN NOT is_malformed AND {is_covered} THEN {key_sql(calendar.first_drop)} END"
        reason = f"CASE WHEN is_malformed THEN '{MALFORMED}' WHEN NOT {is_covered} THEN '{TOO_EARLY}' END"
        return connection.sql(f"SELECT _line, {drop} AS batch_date, {reason} AS reason FROM ({lines} FROM raw)")
    check_expression(moment)
    begins_at = _create_intervals(connection, calendar, calendar.drops_between(asked.first, asked.last), asked.ahead)
    begins = f"TIMESTAMPTZ '{begins_at.isoformat()}'"
    early = f"{key_sql(asked.first)}" if asked.is_early_taken else "NULL"
    return connection.sql(
        f"""
        SELECT _line, CASE WHEN reason IS NULL THEN coalesce(batch_date, {early}) END AS batch_date, reason FROM (
            SELECT _line, CASE WHEN moment >= {begins} THEN batch_date END AS batch_date, CASE
                WHEN is_malformed THEN '{MALFORMED}'
                WHEN moment IS NULL THEN '{NO_MOMENT}'
                WHEN moment < {begins} AND NOT {asked.is_early_taken} THEN '{TOO_EARLY}'
                WHEN batch_date IS NULL THEN '{TOO_LATE}' END AS reason
            FROM ({lines}, CASE WHEN _text IS NULL THEN CAST(({moment}) AS TIMESTAMPTZ) END AS moment FROM raw)
            ASOF LEFT JOIN _intervals ON moment <= closes_at
        )
        """
    )


def _create_intervals(
    connection: duckdb.DuckDBPyConnection, calendar: Calendar, drops: Sequence[DropKey], ahead: int
) -> datetime:
    """Make `_intervals` (`batch_date`, `closes_at`) of the moments each drop brings; give when the first begins."""
    if not drops:
        raise HistoryError(f"there is no drop to write; allowed: drops of the calendar, from {calendar.first_drop} on")
    rows = [[drop, calendar.batch_at(calendar.shift(drop, ahead))] for drop in drops]
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _intervals (batch_date {calendar.key_type}, closes_at TIMESTAMPTZ)"
    )
    for start in range(0, len(rows), 500):
        part = rows[start : start + 500]
        places = ", ".join(["(?, ?)"] * len(part))
        connection.execute(f"INSERT INTO _intervals VALUES {places}", [value for row in part for value in row])
    return calendar.batch_at(calendar.shift(drops[0], ahead - 1)) + MICROSECOND
