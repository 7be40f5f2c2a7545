from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.stores.lake import Lake, MissingTableError
from ml_assets.stores.table_files import content_hash

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


LONG_AGO = 200  # days: beyond the 30 after which delta-rs would clean a log


def age_log(lake: Lake, days: int = LONG_AGO) -> None:
    """Make the log of the table look as if it had been written days ago."""
    for file in (lake.folder / "flights" / "_delta_log").iterdir():
        moment = file.stat().st_mtime - 86_400 * days
        os.utime(file, (moment, moment))


def write_many(lake: Lake, commits: int) -> None:
    for number in range(commits):
        lake.replace_drops("flights", rows({SECOND: [number]}), [SECOND], {"run": str(number)})


@pytest.mark.slow  # 205 commits
@pytest.mark.parametrize("is_of_an_older_release", [False, True])
def test_versions_outlive_the_hundredth_commit_and_the_thirtieth_day(
    is_of_an_older_release: bool, tmp_path: Path
) -> None:
    lake = Lake(tmp_path / "stops")
    if is_of_an_older_release:
        write_deltalake(str(lake.folder / "flights"), rows({FIRST: [1]}), partition_by=["batch_date"])
        lake.set_properties("flights")
    else:
        lake.replace_drops("flights", rows({FIRST: [1]}), [FIRST])
    write_many(lake, 105)
    age_log(lake)

    write_many(lake, 100)

    assert lake.rewritten("flights", {FIRST: 1, SECOND: 5}, lake.version("flights") or 0) == {SECOND}
    assert lake.kept_versions("flights") >= set(range(200))


def test_what_is_forgotten_is_old_and_the_newest_rows_and_versions_stay(lake: Lake) -> None:
    write_many(lake, 120)
    newest, now = lake.version("flights"), datetime.now(UTC)  # noqa: TID251 - files are dated by the machine
    before = read(lake)

    kept = lake.forget("flights", now - timedelta(days=1), now)
    planned = lake.forget("flights", now, now, is_dry_run=True)

    assert kept == []
    assert len(planned) > 200  # files of 120 versions, and their log up to the checkpoint
    assert lake.kept_versions("flights") == set(range((newest or 0) + 1))
    assert read(lake) == before


def test_old_log_is_forgotten_up_to_a_checkpoint_and_what_is_left_can_be_read(lake: Lake) -> None:
    write_many(lake, 120)
    age_log(lake)
    write_many(lake, 3)
    before, now = read(lake), datetime.now(UTC)  # noqa: TID251 - files are dated by the machine

    removed = lake.forget("flights", now - timedelta(days=100), now)

    assert len(removed) >= 90
    assert min(lake.kept_versions("flights")) >= 90
    assert all(read(lake, version=version) for version in lake.kept_versions("flights"))
    assert read(lake) == before
    assert lake.metadata("flights") == {"run": "2"}
    assert lake.forget("flights", now - timedelta(days=100), now) == []


def test_versions_that_were_forgotten_are_named_as_such_and_the_others_can_be_read(lake: Lake) -> None:
    for number in range(4):
        lake.replace("flights", rows({FIRST: [number]}))
    now = datetime.now(UTC)  # noqa: TID251 - files are dated by the machine

    lake.forget("flights", now, now, keep=[1])

    newest = lake.version("flights") or 0
    assert lake.kept_versions("flights") == {1, newest}
    assert all(read(lake, version=version) for version in lake.kept_versions("flights"))
    with pytest.raises(MissingTableError, match=f"no version 2; allowed: {newest} to {newest}; those before {newest}"):
        read(lake, version=2)
    lake.replace("flights", rows({FIRST: [5]}))
    assert lake.kept_versions("flights") == {1, newest, newest + 1}


def test_versions_that_are_needed_stay_readable_whatever_their_age(lake: Lake) -> None:
    lake.replace("flights", rows({FIRST: [7]}), {"plan": "a"})
    needed = lake.version("flights") or 0
    for number in range(3):
        lake.replace("flights", rows({FIRST: [number]}))
    now = datetime.now(UTC)  # noqa: TID251 - files are dated by the machine

    removed = lake.forget("flights", now, now, keep=[needed])

    assert removed != []
    assert read(lake, version=needed) == [(FIRST, 7)]
    assert lake.metadata("flights", needed) == {"plan": "a"}
