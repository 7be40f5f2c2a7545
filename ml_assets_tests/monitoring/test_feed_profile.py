"""Profiles of a source by hand."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from ml_assets.monitoring.feed_profile import profile_source
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
