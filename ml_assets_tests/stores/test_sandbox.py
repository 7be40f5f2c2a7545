from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from ml_assets.spec.calendar import Calendar
from ml_assets.spec.user_sql import UserSqlError
from ml_assets.stores.lake import Lake
from ml_assets.stores.sandbox import hold_small_tables, restrict_to_tables, select_by_drop, show_tables

CALENDAR = Calendar(start=date(2013, 3, 8), at=time(4), timezone="America/New_York")
DROPS = [date(2013, 3, day) for day in (9, 10, 11)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    stops = {"batch_date": [DROPS[0], DROPS[0], DROPS[2]], "id": ["a", "b", "c"], "_file": ["x.csv"] * 3}
    lake.replace_drops("validated_stops", pa.table(stops), DROPS)
    lake.replace_drops("secrets", pa.table({"batch_date": DROPS, "id": ["s"] * 3}), DROPS)
    return lake


@pytest.fixture
def shut(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection that may see the stops and nothing else."""
    with duckdb.connect() as connection:
        restrict_to_tables(connection, {"validated_stops": lake.files("validated_stops")}, threads=1)
        yield connection


def test_given_tables_are_read_by_their_names_also_in_a_schema(lake: Lake) -> None:
    with duckdb.connect() as connection:
        restrict_to_tables(
            connection, {"stops.raw": lake.files("validated_stops"), "empty": lake.files("secrets", drops=NEVER)}
        )

        assert connection.sql("SELECT id FROM stops.raw ORDER BY id").fetchall() == [("a",), ("b",), ("c",)]
        assert connection.sql("SELECT * FROM empty").columns == ["batch_date", "id"]
        assert connection.sql("SELECT * FROM empty").fetchall() == []


NEVER = (date(2000, 1, 1), date(2000, 1, 2))


def test_no_file_outside_the_given_ones_is_read(shut: duckdb.DuckDBPyConnection, lake: Lake, tmp_path: Path) -> None:
    secret, link = lake.files("secrets").files[0], tmp_path / "link.parquet"
    link.symlink_to(secret)
    outside = [
        f"read_parquet('{secret}')",
        f"read_parquet('{lake.files('validated_stops').files[0]}/../{Path(secret).name}')",
        f"read_parquet('{link}')",
        f"read_parquet('{lake.folder}/*/*/*.parquet')",
        f"'{secret}'",
        "read_text('/etc/hostname')",
        "glob('/etc/*')",
    ]

    for table in outside:
        with pytest.raises(duckdb.PermissionException, match="disabled by configuration"):
            shut.sql(f"SELECT * FROM {table}").fetchall()


@pytest.mark.parametrize(
    "statement",
    [
        "SET enable_external_access = true",
        "SET allowed_paths = ['/etc/hostname']",
        "RESET lock_configuration",
        "ATTACH '/tmp/other.duckdb' AS other",
        "INSTALL httpfs",
    ],
)
def test_lock_cannot_be_opened_again(shut: duckdb.DuckDBPyConnection, statement: str) -> None:
    with pytest.raises(duckdb.Error, match=r"locked|disabled"):
        shut.execute(statement)


def test_variables_of_the_program_are_no_tables(shut: duckdb.DuckDBPyConnection) -> None:
    local = pa.table({"id": [1]})

    with pytest.raises(duckdb.CatalogException, match="local does not exist"):
        shut.sql("SELECT * FROM local").fetchall()

    assert local.num_rows == 1


def test_select_sees_only_the_rows_of_its_drop_and_its_batch(shut: duckdb.DuckDBPyConnection) -> None:
    sql = """
        SELECT count(id) AS stops, max(id) AS last, min(batch_at) AS at, min(previous_batch_at) AS before
        FROM batch LEFT JOIN stops ON true;
    """

    found = select_by_drop(shut, sql, ["stops"], DROPS, CALENDAR).to_pylist()

    assert [(row["batch_date"], row["stops"], row["last"]) for row in found] == [
        (DROPS[0], 2, "b"),
        (DROPS[1], 0, None),
        (DROPS[2], 1, "c"),
    ]
    # the clocks of New York went forward before the batch of March 10
    assert (found[0]["at"], found[0]["before"]) == (
        datetime(2013, 3, 9, 9, tzinfo=UTC),
        datetime(2013, 3, 8, 9, tzinfo=UTC),
    )
    assert found[2]["at"] == datetime(2013, 3, 11, 8, tzinfo=UTC)


def test_drop_has_the_same_rows_alone_and_among_others(shut: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT id, count(*) OVER () AS beside FROM stops ORDER BY id"

    together = select_by_drop(shut, sql, ["stops"], DROPS, CALENDAR)
    alone = [select_by_drop(shut, sql, ["stops"], [drop], CALENDAR) for drop in DROPS]

    assert pa.concat_tables(alone).to_pylist() == together.to_pylist()
    assert together["beside"].to_pylist() == [2, 2, 1]


def test_select_does_not_see_where_a_row_came_from(shut: duckdb.DuckDBPyConnection) -> None:
    assert select_by_drop(shut, "SELECT * FROM stops", ["stops"], DROPS, CALENDAR).column_names == ["batch_date", "id"]


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT * FROM secrets", "reads secrets; allowed: batch, stops"),
        ("SELECT * FROM validated_stops", "reads validated_stops; allowed"),
        ("SELECT * FROM _stops", "reads _stops; allowed"),
        ("WITH validated_stops AS (FROM validated_stops) FROM validated_stops", "reads validated_stops; allowed"),
        ("SELECT * FROM query_table('validated_stops')", r"reads query_table\(\); allowed"),
        ("SELECT * FROM query('FROM validated_stops')", r"reads query\(\); allowed"),
        ("SELECT 1; SELECT 2", "found SELECT, SELECT; allowed: one SELECT"),
        ("COPY (SELECT 1) TO '/tmp/out.csv'", "found COPY; allowed: one SELECT"),
        ("DROP VIEW validated_stops", "found DROP; allowed: one SELECT"),
        ("SELECT id, now() AS at FROM stops", "found now in "),
    ],
)
def test_select_that_reaches_beyond_its_drop_is_refused(shut: duckdb.DuckDBPyConnection, sql: str, found: str) -> None:
    with pytest.raises(UserSqlError, match=found):
        select_by_drop(shut, sql, ["stops"], DROPS, CALENDAR)


@pytest.mark.parametrize("is_registered", [True, False])
def test_held_tables_have_the_rows_and_types_of_what_was_shown_and_open_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_registered: bool
) -> None:
    if not is_registered:  # as where files are too large to be kept in memory
        monkeypatch.setattr("ml_assets.stores.sandbox.rows_of", lambda _: None)
    many, drops = Lake(tmp_path), [date(2013, 3, day) for day in range(1, 13)]
    rows = {"batch_date": drops, "id": [f"{n}" for n in range(12)], "is_late": [None, True, False] * 4}
    many.replace_drops("many", pa.table(rows), drops)
    many.replace_drops("few", pa.table({"batch_date": drops[:2], "id": ["a", "b"]}), drops[:2])
    tables = {name: many.files(name) for name in ("many", "few")}
    with duckdb.connect() as connection:
        show_tables(connection, tables)
        shown = [connection.sql(f"SELECT * FROM {name}").to_arrow_table() for name in tables]

        hold_small_tables(connection, tables)

        for file in tables["many"].files:
            Path(file).unlink()
        held = [connection.sql(f"SELECT * FROM {name}").to_arrow_table() for name in tables]
        assert held == shown
        one = connection.execute("SELECT id, is_late FROM many WHERE batch_date = ?", [drops[4]])
        assert one.fetchall() == [("4", True)]


def test_tables_of_many_rows_are_read_from_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml_assets.stores.sandbox._FEW_ROWS", 11)
    many, drops = Lake(tmp_path), [date(2013, 3, day) for day in range(1, 13)]
    many.replace_drops("many", pa.table({"batch_date": drops, "id": ["a"] * 12}), drops)
    with duckdb.connect() as connection:
        show_tables(connection, {"many": many.files("many")})
        hold_small_tables(connection, {"many": many.files("many")})

        held = connection.sql("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'many'").fetchall()
        assert held == [(0,)]
        assert connection.sql("SELECT count(*) FROM many").fetchall() == [(12,)]
