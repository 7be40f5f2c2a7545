from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.stores.lake import Lake, MissingTableError, content_hash

FIRST, SECOND, THIRD = (date(2013, 1, day) for day in (1, 2, 3))
DROPS = [FIRST, SECOND, THIRD]


def rows(values: dict[date, list[int]], **more: Any) -> pa.Table:
    """Give a table of the values of each drop."""
    days = [day for day, found in values.items() for _ in found]
    numbers = [number for found in values.values() for number in found]
    return pa.table(
        {"batch_date": pa.array(days, pa.date32()), "n": pa.array(numbers, pa.int64()), **more},
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Give a lake with one table of three drops."""
    lake = Lake(tmp_path / "stops")
    lake.replace_drops("flights", rows({FIRST: [1, 2], SECOND: [3], THIRD: [4]}), DROPS, {"run": "a"})
    return lake


def read(lake: Lake, table: str = "flights", **which: Any) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return sorted(lake.relation(connection, table, **which).fetchall())


def test_write_replaces_the_given_drops_and_no_other(lake: Lake) -> None:
    lake.replace_drops("flights", rows({SECOND: [30, 31]}), [SECOND])

    assert read(lake) == [(FIRST, 1), (FIRST, 2), (SECOND, 30), (SECOND, 31), (THIRD, 4)]


def test_drop_written_without_rows_becomes_empty(lake: Lake) -> None:
    lake.replace_drops("flights", rows({THIRD: [40]}), [SECOND, THIRD])

    assert read(lake) == [(FIRST, 1), (FIRST, 2), (THIRD, 40)]


def test_rows_of_a_drop_that_is_not_written_are_refused_and_nothing_changes(lake: Lake) -> None:
    with pytest.raises(ValueError, match=r"flights: rows of drops that are not written here: .*2013-01-01"):
        lake.replace_drops("flights", rows({FIRST: [9], SECOND: [9]}), [SECOND])

    assert lake.version("flights") == 1
    assert read(lake) == [(FIRST, 1), (FIRST, 2), (SECOND, 3), (THIRD, 4)]


def test_table_first_written_without_rows_has_its_columns(lake: Lake) -> None:
    lake.replace_drops("delays", rows({}), [FIRST])

    with duckdb.connect() as connection:
        found = lake.relation(connection, "delays")
        assert (found.columns, found.fetchall()) == (["batch_date", "n"], [])


def test_new_column_is_null_in_the_drops_before_it(lake: Lake) -> None:
    lake.replace_drops("flights", rows({SECOND: [30]}, gate=["B4"]), [SECOND])

    with duckdb.connect() as connection:
        found = lake.relation(connection, "flights").project("batch_date, n, gate").order("n").fetchall()
    assert found == [(FIRST, 1, None), (FIRST, 2, None), (THIRD, 4, None), (SECOND, 30, "B4")]


def test_some_drops_are_read_from_their_files_alone(lake: Lake) -> None:
    assert read(lake, drops=(SECOND, THIRD)) == [(SECOND, 3), (THIRD, 4)]
    assert len(lake.files("flights", drops=(SECOND, THIRD)).files) == 2
    assert lake.files("flights", drops=(date(2014, 1, 1), date(2014, 1, 2))).files == ()


def test_every_version_can_be_read_with_what_was_recorded_of_it(lake: Lake) -> None:
    first = lake.version("flights")
    second = lake.replace_drops("flights", rows({SECOND: [30]}), [SECOND], {"run": "b", "drops": 1})

    assert (first, second) == (1, 2)
    assert read(lake, version=first)[2] == (SECOND, 3)
    assert (lake.metadata("flights"), lake.metadata("flights", first)) == ({"run": "b", "drops": 1}, {"run": "a"})
    assert [(entry["version"], entry.get("run")) for entry in lake.history("flights")] == [
        (2, "b"),
        (1, "a"),
        (0, None),
    ]
    assert lake.versions(["flights", "never"]) == {"flights": 2, "never": None}


def test_missing_table_or_version_is_refused_by_name(lake: Lake) -> None:
    with pytest.raises(MissingTableError, match=r"stops\.never is not there yet: no run has written it"):
        lake.files("never")
    with pytest.raises(MissingTableError, match="flights has no version 7; allowed: 0 to 1"):
        lake.files("flights", version=7)
    with pytest.raises(MissingTableError, match="flights has no version 7; allowed: 0 to 1"):
        lake.metadata("flights", version=7)


def test_file_that_no_version_knows_is_not_read(lake: Lake) -> None:
    live = Path(lake.files("flights", drops=(SECOND, SECOND)).files[0])
    shutil.copy(live, live.with_name("part-from-a-killed-writer.parquet"))
    live.with_name("truncated.parquet").write_bytes(b"PAR1")

    assert read(lake) == [(FIRST, 1), (FIRST, 2), (SECOND, 3), (THIRD, 4)]


def test_replacing_and_appending_are_versions_of_a_table_without_drops(lake: Lake) -> None:
    lake.append("champion", pa.table({"model": ["m1"]}), {"verdict": "promoted"})
    lake.append("champion", pa.table({"model": ["m2"], "reason": ["drift"]}))
    lake.replace("training_set", pa.table({"a": [1, 2]}))
    lake.replace("training_set", pa.table({"b": ["x"]}))

    assert read(lake, "champion") == [("m1", None), ("m2", "drift")]
    assert read(lake, "champion", version=1) == [("m1",)]
    assert (read(lake, "training_set"), read(lake, "training_set", version=0)) == ([("x",)], [(1,), (2,)])
    assert lake.tables() == ["champion", "flights", "training_set"]


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def test_hash_leaves_out_columns_of_the_run_and_the_order_of_columns(engine: duckdb.DuckDBPyConnection) -> None:
    table = pa.table({"id": ["a", "b"], "score": [0.5, None]})
    of_a_run = pa.table({"_run": ["r1", "r2"], "score": [0.5, None], "id": ["a", "b"]})

    assert content_hash(engine.from_arrow(of_a_run)) == content_hash(engine.from_arrow(table))


VALUES = st.tuples(
    st.sampled_from(["a", "b, c", "'", "NULL", "", None]), st.sampled_from([0.1, 0.1 + 2**-55, 2.0, None])
)


TABLES = st.lists(VALUES, max_size=4)


@settings(max_examples=30)
@given(first=TABLES, second=TABLES)
def test_hashes_are_equal_exactly_when_the_rows_are_in_some_order(
    engine: duckdb.DuckDBPyConnection,
    first: list[tuple[str | None, float | None]],
    second: list[tuple[str | None, float | None]],
) -> None:
    def hash_of(found: list[tuple[str | None, float | None]]) -> str:
        names, scores = [row[0] for row in found], [row[1] for row in found]
        table = pa.table({"id": pa.array(names, pa.string()), "score": pa.array(scores, pa.float64())})
        return content_hash(engine.from_arrow(table))

    is_same = sorted(map(repr, first)) == sorted(map(repr, second))

    assert (hash_of(first) == hash_of(second)) is is_same
    assert hash_of(first) == hash_of(first[::-1])
