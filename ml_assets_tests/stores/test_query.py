from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ml_assets.spec.user_sql import UserSqlError
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.query import ask, known_tables

DROPS = [date(2013, 1, day) for day in (1, 2, 3)]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> StatePaths:
    """Give two use cases; an example has a label that was corrected, and one drop was rewritten empty."""
    paths = StatePaths(tmp_path_factory.mktemp("state"))
    flights, trains = Lake(paths.lake / "flights"), Lake(paths.lake / "trains")
    scores = pa.table({"batch_date": pa.array(DROPS), "example_id": ["a", "b", "c"], "score": [0.25, 0.5, 0.75]})
    flights.replace_drops("predictions", scores, DROPS)
    flights.replace_drops("predictions", scores.slice(0, 0), [DROPS[2]])
    known = [datetime(2013, 1, day, tzinfo=UTC) for day in (1, 2)]
    labels = {"batch_date": pa.array(DROPS[:2]), "example_id": ["a", "a"], "label": [1, 0], "known_at": known}
    flights.replace_drops("labels", pa.table(labels), DROPS[:2])
    trains.replace("champion", pa.table({"as_of": pa.array(DROPS)}))
    trains.replace("empty", pa.table({"n": pa.array([], pa.int64())}))
    return paths


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def answer(connection: duckdb.DuckDBPyConnection, paths: StatePaths, query: str) -> list[tuple[Any, ...]]:
    return ask(connection, paths, query).fetchall()


def refusal(connection: duckdb.DuckDBPyConnection, paths: StatePaths, query: str) -> str:
    with pytest.raises(UserSqlError) as refused:
        ask(connection, paths, query)
    return str(refused.value)


def test_tables_are_named_by_use_case(paths: StatePaths, tmp_path: Path) -> None:
    assert sorted(known_tables(paths)) == ["flights.labels", "flights.predictions", "trains.champion", "trains.empty"]
    assert known_tables(StatePaths(tmp_path)) == {}


def test_newest_version_answers_across_use_cases(connection: duckdb.DuckDBPyConnection, paths: StatePaths) -> None:
    query = "SELECT count(*), sum(score), (SELECT count(*) FROM trains.champion) FROM flights.predictions;"

    assert answer(connection, paths, query) == [(2, 0.75, 3)]


def test_example_has_one_label_the_newest_known(connection: duckdb.DuckDBPyConnection, paths: StatePaths) -> None:
    at = datetime(2013, 1, 2, tzinfo=UTC)

    assert answer(connection, paths, "SELECT example_id, label, known_at FROM flights.labels") == [("a", 0, at)]


def test_table_without_rows_answers_with_none(connection: duckdb.DuckDBPyConnection, paths: StatePaths) -> None:
    relation = ask(connection, paths, "SELECT * FROM trains.empty")

    assert (relation.columns, relation.fetchall()) == (["n"], [])


@pytest.mark.parametrize(
    "query", ["SELECT count(*) FROM Flights.PREDICTIONS", 'SELECT count(*) FROM "flights".predictions']
)
def test_case_and_quotes_of_a_name_do_not_matter(
    query: str, connection: duckdb.DuckDBPyConnection, paths: StatePaths
) -> None:
    assert answer(connection, paths, query) == [(2,)]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("flights.prediction", "flights.predictions"),
        ("predictions", "flights.predictions"),
        ("champion", "trains.champion"),
    ],
)
def test_unknown_table_is_refused_with_the_nearest_name(
    name: str, hint: str, connection: duckdb.DuckDBPyConnection, paths: StatePaths
) -> None:
    assert refusal(connection, paths, f"SELECT * FROM {name}") == (
        f"there is no table {name}; allowed: flights.labels, flights.predictions, trains.champion, trains.empty; "
        f"nearest: {hint}"
    )


def test_empty_state_says_that_no_run_has_written(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    found = refusal(connection, StatePaths(tmp_path), "SELECT * FROM flights.predictions")

    assert found == "there is no table flights.predictions: no run has written one yet"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT 1; SELECT 2", "found SELECT, SELECT; allowed: one SELECT"),
        ("COPY (SELECT 1) TO '{file}'", "found COPY; allowed: one SELECT"),
        ("DELETE FROM flights.predictions", "found DELETE; allowed: one SELECT"),
        ("ATTACH '{file}' AS other", "found ATTACH; allowed: one SELECT"),
        ("", "found nothing; allowed: one SELECT"),
    ],
)
def test_anything_but_one_select_is_refused(
    query: str, message: str, connection: duckdb.DuckDBPyConnection, paths: StatePaths, tmp_path: Path
) -> None:
    file = tmp_path / "written"

    assert refusal(connection, paths, query.format(file=file)) == message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT content FROM read_blob('{lake}/trains/champion/_delta_log/00000000000000000000.json')",
        "SELECT * FROM flights.predictions, read_parquet('{lake}/trains/champion/*.parquet')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT getenv('HOME')",
    ],
)
def test_nothing_else_of_the_machine_is_in_reach(
    query: str, connection: duckdb.DuckDBPyConnection, paths: StatePaths
) -> None:
    with pytest.raises((UserSqlError, duckdb.Error)) as refused:
        answer(connection, paths, query.format(lake=paths.lake))

    assert "root:" not in str(refused.value)
