from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, time, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ml_assets.ingestion.history import HistoryError, HistoryRange, moment_of, newest_drop, place_rows
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.contract import Source
from ml_assets.spec.user_sql import UserSqlError

CALENDAR = Calendar(start=date(2024, 3, 3), every=timedelta(days=7), at=time(6), timezone="Asia/Kolkata")
SUNDAYS = [date(2024, 3, 3), date(2024, 3, 10), date(2024, 3, 17)]
ALL = HistoryRange(SUNDAYS[0], SUNDAYS[-1])


def source(**changes: Any) -> Source:
    columns = {"id": {"type": "string"}, "seen_at": {"type": "timestamp"}}
    return Source.model_validate({"name": "visits", "key": ["id"], "known_at": "seen_at", "columns": columns} | changes)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def placed(
    connection: duckdb.DuckDBPyConnection, moments: Sequence[str | None], asked: HistoryRange = ALL, **changes: Any
) -> list[str]:
    """Give for each moment the day of its drop, or the reason why it has none."""
    rows = {"_line": list(range(2, 2 + len(moments))), "id": ["a"] * len(moments), "seen": moments,
            "_text": ["x,y,z" if moment == "malformed" else None for moment in moments]}  # fmt: skip
    schema = pa.schema({"_line": pa.int64(), "id": pa.string(), "seen": pa.string(), "_text": pa.string()})
    connection.register("given", pa.table(rows, schema=schema))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE raw AS "
        "SELECT * EXCLUDE (seen), TRY_CAST(seen AS TIMESTAMPTZ) AS seen_at FROM given"
    )
    found = place_rows(connection, source(**changes), CALENDAR, asked).order("_line").fetchall()
    return [str(drop) if drop is not None else reason for _, drop, reason in found]


def test_row_goes_to_the_drop_whose_interval_holds_its_moment_closed_at_its_end(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    moments = ["2024-03-03T06:00:00+05:30", "2024-03-03T06:00:00.000001+05:30", "2024-03-10T00:30:00Z",
               "2024-03-10T00:30:00.000001Z"]  # fmt: skip

    assert placed(connection, moments) == ["2024-03-03", "2024-03-10", "2024-03-10", "2024-03-17"]


def test_what_cannot_be_placed_says_why(connection: duckdb.DuckDBPyConnection) -> None:
    moments = ["2024-02-25T06:00:00+05:30", "2024-02-25T06:00:00.000001+05:30", "2024-03-17T06:00:01+05:30", None,
               "malformed"]  # fmt: skip

    assert placed(connection, moments) == [
        "known_before_first_drop",
        "2024-03-03",
        "known_after_last_drop",
        "moment_missing",
        "malformed_line",
    ]


def test_early_rows_go_into_the_first_drop_when_asked(connection: duckdb.DuckDBPyConnection) -> None:
    asked = HistoryRange(SUNDAYS[0], SUNDAYS[-1], is_early_taken=True)

    assert placed(connection, ["2020-01-01T00:00:00Z", "2024-03-11T00:00:00Z", None], asked) == [
        "2024-03-03",
        "2024-03-17",
        "moment_missing",
    ]


def test_plan_arrives_drops_ahead_of_what_it_plans(connection: duckdb.DuckDBPyConnection) -> None:
    asked = HistoryRange(SUNDAYS[0], SUNDAYS[-1], ahead=1)
    moments = ["2024-03-03T06:00:00+05:30", "2024-03-03T06:00:01+05:30", "2024-03-10T06:00:00+05:30",
               "2024-03-24T06:00:00+05:30", "2024-03-24T06:00:01+05:30"]  # fmt: skip

    assert placed(connection, moments, asked, known_at="received", event_at="seen_at") == [
        "known_before_first_drop",
        "2024-03-03",
        "2024-03-03",
        "2024-03-17",
        "known_after_last_drop",
    ]


def test_source_that_arrives_once_goes_whole_into_the_first_drop(connection: duckdb.DuckDBPyConnection) -> None:
    moments = ["2020-01-01T00:00:00Z", None, "2030-01-01T00:00:00Z", "malformed"]

    assert placed(connection, moments, arrives="once") == ["2024-03-03"] * 3 + ["malformed_line"]
    later = HistoryRange(SUNDAYS[1], SUNDAYS[2])
    assert placed(connection, moments[:1], later, arrives="once") == ["known_before_first_drop"]


def test_newest_drop_is_that_of_the_newest_moment(connection: duckdb.DuckDBPyConnection) -> None:
    placed(connection, ["2024-03-11T00:00:00Z", "2024-03-04T00:00:00Z", None])

    assert newest_drop(connection, source(), CALENDAR, 0) == SUNDAYS[2]
    assert newest_drop(connection, source(known_at="received", event_at="seen_at"), CALENDAR, 1) == SUNDAYS[1]
    placed(connection, [None])
    assert newest_drop(connection, source(), CALENDAR, 0) is None


def test_source_that_says_nothing_of_its_receipt_is_refused() -> None:
    with pytest.raises(HistoryError, match="visits: nothing in its contract says when a row was received; allowed: a"):
        moment_of(source(known_at="received"))


def test_moment_is_one_expression_over_a_row(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(UserSqlError, match="found now"):
        placed(connection, ["2024-03-11T00:00:00Z"], known_at="least(now(), seen_at)")
