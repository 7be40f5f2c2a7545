"""Profiles of a source by hand."""

from __future__ import annotations

from datetime import date

import duckdb
import numpy as np
import pytest

from ml_assets.monitoring.feed_profile import monitor_count, profile_source
from ml_assets.spec.contract import Source

ONE, TWO = date(2013, 1, 1), date(2013, 1, 2)
SOURCE = Source.model_validate(
    {
        "name": "readings",
        "key": ["id"],
        "columns": {
            "id": {"type": "string"},
            "station": {"type": "string"},
            "level": {"type": "float"},
            "at": {"type": "timestamp"},
        },
    }
)


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    opened = duckdb.connect()
    opened.execute("SET TimeZone = 'UTC'")
    opened.execute(
        """
        CREATE TABLE raw_readings AS SELECT * FROM (VALUES
            (DATE '2013-01-01', 'a', 'X', 1.0, TIMESTAMPTZ '2013-01-01 01:00:00Z'),
            (DATE '2013-01-01', 'b', 'X', 2.0, TIMESTAMPTZ '2013-01-01 02:00:00Z'),
            (DATE '2013-01-01', 'c', 'Y', 3.0, TIMESTAMPTZ '2013-01-01 03:00:00Z'),
            (DATE '2013-01-02', 'd', 'X', 1.0, TIMESTAMPTZ '2013-01-02 01:00:00Z'),
            (DATE '2013-01-02', 'd', 'Y', NULL, TIMESTAMPTZ '2013-01-02 02:00:00Z'),
            (DATE '2013-01-02', 'e', 'Y', 'Infinity'::DOUBLE, NULL),
            (DATE '2013-01-02', 'f', NULL, 9.0, TIMESTAMPTZ '2013-01-02 04:00:00Z')
        ) AS t(batch_date, id, station, level, "at")
        """
    )
    opened.execute("CREATE VIEW first_readings AS SELECT * FROM raw_readings")
    opened.execute("CREATE TABLE quarantine_readings AS SELECT DATE '2013-01-02' AS batch_date, 'too_high' AS reason")
    return opened


def test_profile_counts_what_was_sent(connection: duckdb.DuckDBPyConnection) -> None:
    series, categories = profile_source(connection, SOURCE, [ONE, TWO])
    found = {(each.column, each.statistic): each.values for each in series}

    assert found["", "rows"] == pytest.approx({ONE: 1.0986123, TWO: 1.3862944})
    assert found["", "duplicate_share"] == {ONE: 0.0, TWO: 0.25}
    assert found["", "repeated_share"] == {ONE: 0.0, TWO: 0.25}  # ('X', 1.0) came the day before, under another key
    assert found["", "quarantined_share"] == {ONE: 0.0, TWO: 0.25}
    assert [each.details for each in series if each.statistic == "quarantined_share"] == [{TWO: "too_high x1"}]
    assert found["level", "null_share"] == {ONE: 0.0, TWO: 0.25}
    assert found["at", "null_share"] == {ONE: 0.0, TWO: 0.25}
    assert found["level", "center"] == {ONE: 2.0, TWO: 5.0}  # the infinite one is left out
    assert found["level", "spread"][ONE] == pytest.approx(0.4700036)  # ln(2.8 - 1.2)
    (stations,) = [each for each in categories if each.column == "station"]
    assert stations.counts == {ONE: {"X": 2, "Y": 1}, TWO: {"X": 1, "Y": 2}}


def test_drop_outside_the_range_is_not_profiled(connection: duckdb.DuckDBPyConnection) -> None:
    series, _ = profile_source(connection, SOURCE, [ONE])

    assert {drop for each in series for drop in each.values} == {ONE}


def test_drop_in_which_rows_were_due_and_none_came_has_a_number_of_rows(connection: duckdb.DuckDBPyConnection) -> None:
    days = [date(2013, 1, day) for day in range(1, 5)]
    until = SOURCE.model_copy(update={"until": days[2]})
    counted = {}
    for source in (SOURCE, until, SOURCE.model_copy(update={"arrives": "sometimes"})):
        (rows,) = [each for each in profile_source(connection, source, days)[0] if each.statistic == "rows"]
        counted[source.arrives, source.until] = {day: round(np.exp(value), 3) for day, value in rows.values.items()}

    assert counted["every_drop", None] == {ONE: 3, TWO: 4, days[2]: 0.5, days[3]: 0.5}
    assert counted["every_drop", days[2]] == {ONE: 3, TWO: 4, days[2]: 0.5}
    assert counted["sometimes", None] == {ONE: 3, TWO: 4}


def test_column_is_a_category_by_the_first_drops_whatever_came_later(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "INSERT INTO raw_readings SELECT DATE '2013-01-03', 'g' || i, 'N' || i, 1.0, NULL FROM range(900) AS t(i)"
    )
    connection.execute(
        "CREATE OR REPLACE VIEW first_readings AS SELECT * FROM raw_readings WHERE batch_date < '2013-01-03'"
    )

    _, categories = profile_source(connection, SOURCE, [ONE, TWO, date(2013, 1, 3)])

    assert [each.column for each in categories] == ["station"]  # an id is hardly ever there twice


def test_monitors_are_counted_by_the_declaration(connection: duckdb.DuckDBPyConnection) -> None:
    series, _ = profile_source(connection, SOURCE, [ONE, TWO])

    assert monitor_count(SOURCE) == len(series) + 2 * 2


def test_column_of_two_values_is_a_share_and_not_a_median(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("ALTER TABLE raw_readings ADD COLUMN late INTEGER")
    connection.execute("UPDATE raw_readings SET late = (id IN ('a', 'd'))::INTEGER WHERE id <> 'f'")
    connection.execute("CREATE OR REPLACE VIEW first_readings AS SELECT * FROM raw_readings")
    columns = {name: {"type": column.type} for name, column in SOURCE.columns.items()} | {"late": {"type": "integer"}}
    source = Source.model_validate({"name": "readings", "key": ["id"], "columns": columns})

    series, _ = profile_source(connection, source, [ONE, TWO])
    found = {each.statistic: each for each in series if each.column == "late"}

    assert set(found) == {"null_share", "null_alone_share", "other_share"}
    assert found["other_share"].values == pytest.approx({ONE: 1 / 3, TWO: 2 / 3})  # among rows that hold any
    assert found["other_share"].details[ONE] == "other than 0"


def test_boolean_is_watched_by_its_share(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("ALTER TABLE raw_readings ADD COLUMN dry BOOLEAN")
    connection.execute("UPDATE raw_readings SET dry = (id = 'a')")
    connection.execute("CREATE OR REPLACE VIEW first_readings AS SELECT * FROM raw_readings")
    columns = {name: {"type": column.type} for name, column in SOURCE.columns.items()} | {"dry": {"type": "boolean"}}
    source = Source.model_validate({"name": "readings", "key": ["id"], "columns": columns})

    series, _ = profile_source(connection, source, [ONE, TWO])

    (share,) = [each.values for each in series if (each.column, each.statistic) == ("dry", "other_share")]
    assert share == pytest.approx({ONE: 1 / 3, TWO: 0.0})
    assert monitor_count(source) == len(series) + 2 * 2
