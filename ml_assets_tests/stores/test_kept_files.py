"""Rows of small files from memory: the same as DuckDB reads from the files, and no more of them than is allowed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from ml_assets.stores import kept_files
from ml_assets.stores.kept_files import rows_of, scan
from ml_assets.stores.lake import Lake
from ml_assets.stores.table_files import scan_sql

DROPS = [date(2024, 1, day) for day in (1, 2, 3)]
KINDS = pa.schema(
    [
        ("batch_date", pa.date32()),
        ("name", pa.string()),
        ("count", pa.int64()),
        ("small", pa.int32()),
        ("share", pa.float64()),
        ("is_late", pa.bool_()),
        ("seen_at", pa.timestamp("us", tz="UTC")),
        ("local_at", pa.timestamp("us")),
        ("codes", pa.list_(pa.string())),
        ("reasons", pa.list_(pa.struct([("code", pa.string()), ("passed", pa.bool_())]))),
    ]
)


def row(drop: date, number: int) -> dict[str, object]:
    known = number % 2 == 0
    return {
        "batch_date": drop,
        "name": f"ä{number}" if known else None,
        "count": number,
        "small": number if known else None,
        "share": number / 3 if known else float("nan"),
        "is_late": known,
        "seen_at": datetime(2024, 1, 1, number, tzinfo=UTC),
        "local_at": datetime(2024, 1, 1, number) if known else None,  # noqa: DTZ001 - a column without a zone
        "codes": ["a", None] if known else [],
        "reasons": [{"code": "x", "passed": None}] if known else None,
    }


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A table of three drops, one of them empty, to which the last adds a column."""
    found = Lake(tmp_path / "lake")
    found.replace_drops("orders", pa.Table.from_pylist([row(DROPS[0], n) for n in range(4)], KINDS), DROPS[:1])
    found.replace_drops("orders", KINDS.empty_table(), DROPS[1:2])
    newest = pa.Table.from_pylist([row(DROPS[2], n) for n in range(3)], KINDS)
    found.replace_drops("orders", newest.append_column("region", pa.array(["N", None, "S"])), DROPS[2:])
    return found


@pytest.mark.parametrize("drops", [None, (DROPS[0], DROPS[0]), (DROPS[1], DROPS[1]), (DROPS[1], DROPS[2])])
def test_rows_from_memory_are_those_of_the_files_in_order_and_type(lake: Lake, drops: tuple[date, date] | None) -> None:
    files = lake.files("orders", drops=drops)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        kept = scan(connection, files)
        if not files.files:  # a drop without rows has no file
            assert (kept.columns, kept.fetchall()) == (lake.files("orders").schema.names, [])
            return
        from_files = connection.sql(scan_sql(files))

        assert (kept.columns, kept.types) == (from_files.columns, from_files.types)
        assert str(kept.fetchall()) == str(from_files.fetchall())  # as text: nan is not nan


def test_a_column_that_came_later_is_null_before_it_in_its_type(lake: Lake) -> None:
    rows = rows_of(lake.files("orders", drops=(DROPS[0], DROPS[0])))

    assert rows is not None
    assert rows["region"].to_pylist() == [None] * 4
    assert rows.schema.field("region").type == pa.string()


def test_a_file_is_read_once_and_again_only_when_it_was_forgotten(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    kept, original = kept_files._Kept(10_000_000), kept_files._read

    def counting(path: str, *, is_partitioned: bool) -> pa.Table:
        read.append(path)
        return original(path, is_partitioned=is_partitioned)

    monkeypatch.setattr(kept_files, "_KEPT", kept)
    monkeypatch.setattr(kept_files, "_read", counting)
    files = lake.files("orders")

    rows_of(files)
    rows_of(files)
    assert sorted(read) == sorted(files.files)

    kept.most = 1
    lake.replace_drops("orders", pa.Table.from_pylist([row(DROPS[1], 0)], KINDS), DROPS[1:2])
    rows_of(lake.files("orders"))  # the newest file pushes all others out, and itself
    assert kept.n_bytes == 0


def test_what_is_too_large_to_keep_is_read_from_its_files(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    files = lake.files("orders")
    kept = rows_of(files)
    monkeypatch.setattr(kept_files, "MOST_OF_A_READ", 10)

    assert rows_of(files) is None
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        assert kept is not None
        assert str(scan(connection, files).to_arrow_table().to_pylist()) == str(kept.to_pylist())


@pytest.mark.parametrize("is_size_known", [False, True])
def test_a_file_that_is_gone_is_told_by_its_name(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, is_size_known: bool
) -> None:
    kept = kept_files._Kept(10_000_000)
    monkeypatch.setattr(kept_files, "_KEPT", kept)
    files = lake.files("orders")
    gone = Path(files.files[0])
    if is_size_known:
        kept.size(str(gone))
    gone.unlink()

    with duckdb.connect() as connection, pytest.raises(duckdb.IOException, match=gone.name):
        scan(connection, files).fetchall()


def test_a_version_that_was_taken_back_and_written_anew_shows_its_new_rows(lake: Lake) -> None:
    before = rows_of(lake.files("orders"))
    lake.begin("run")
    lake.replace_drops("orders", pa.Table.from_pylist([row(DROPS[1], 1)], KINDS), DROPS[1:2])
    lake.leave()
    lake.begin("another")
    lake.replace_drops("orders", pa.Table.from_pylist([row(DROPS[1], n) for n in (2, 3)], KINDS), DROPS[1:2])
    lake.commit()

    rows = rows_of(lake.files("orders", drops=(DROPS[1], DROPS[1])))

    assert before is not None
    assert rows is not None
    assert rows["count"].to_pylist() == [2, 3]
