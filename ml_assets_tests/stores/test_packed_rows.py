"""Rows of small files in one: the same rows as from the files, whatever is packed, lost or damaged."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from ml_assets.stores import kept_files, packed_rows
from ml_assets.stores.kept_files import rows_of
from ml_assets.stores.lake import Lake
from ml_assets.stores.packed_rows import NAME, read_packed

FIRST = date(2024, 1, 1)
DROPS = [FIRST + timedelta(days=number) for number in range(24)]


def write(lake: Lake, drops: list[date], **more: str) -> None:
    rows = [{"batch_date": drop, "name": f"{drop}-{n}", "n": n, **more} for drop in drops for n in range(3)]
    columns = [("batch_date", pa.date32()), ("name", pa.string()), ("n", pa.int64()), *((k, pa.string()) for k in more)]
    lake.replace_drops("orders", pa.Table.from_pylist(rows, pa.schema(columns)), drops)


def from_files(lake: Lake, bounds: tuple[date, date] | None = None) -> list[dict[str, object]]:
    """Read file after file."""
    files = lake.files("orders", drops=bounds)
    parts = [kept_files._read(file, is_partitioned=True) for file in files.files]
    return kept_files._stacked(parts, files.schema).to_pylist()


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is in memory yet."""
    forget(monkeypatch)


def forget(monkeypatch: pytest.MonkeyPatch) -> kept_files._Kept:
    kept = kept_files._Kept(10_000_000)
    monkeypatch.setattr(kept_files, "_KEPT", kept)
    return kept


def read(lake: Lake, bounds: tuple[date, date] | None = None) -> list[dict[str, object]]:
    rows = rows_of(lake.files("orders", drops=bounds))
    assert rows is not None
    return rows.to_pylist()


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found, original = list[str](), kept_files._read

    def counting(path: str, *, is_partitioned: bool) -> pa.Table:
        found.append(path)
        return original(path, is_partitioned=is_partitioned)

    monkeypatch.setattr(kept_files, "_read", counting)
    return found


def test_many_small_files_are_packed_and_read_as_one_by_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path / "lake")
    write(lake, DROPS[:20])
    assert read(lake) == from_files(lake)
    assert (tmp_path / "lake" / "orders" / NAME).exists()

    forget(monkeypatch)
    reads = count_reads(monkeypatch)
    assert len(read(lake)) == 60
    assert reads == []

    write(lake, DROPS[20:22])
    assert len(read(lake)) == 66
    assert len(reads) == 2


def test_few_files_are_not_packed(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    write(lake, DROPS[:5])

    read(lake)
    assert not (tmp_path / "lake" / "orders" / NAME).exists()


@pytest.mark.parametrize("bounds", [None, (DROPS[3], DROPS[15]), (DROPS[0], DROPS[0]), (DROPS[10], DROPS[23])])
def test_ranges_rewritten_drops_and_columns_that_come_later_read_as_from_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bounds: tuple[date, date] | None
) -> None:
    lake = Lake(tmp_path / "lake")
    write(lake, DROPS[:14])
    read(lake)
    write(lake, DROPS[5:7])  # run again: other files
    write(lake, DROPS[14:24], region="north")
    forget(monkeypatch)

    assert read(lake, bounds) == from_files(lake, bounds)
    assert read(lake, bounds) == from_files(lake, bounds)  # packed again by the first, if by any
    forget(monkeypatch)
    assert read(lake, bounds) == from_files(lake, bounds)


@pytest.mark.parametrize("damage", [b"", b"ARROW1", None])
def test_damaged_or_lost_packed_rows_cost_only_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | None
) -> None:
    lake = Lake(tmp_path / "lake")
    write(lake, DROPS[:20])
    expected = read(lake)
    file = tmp_path / "lake" / "orders" / NAME
    file.unlink() if damage is None else file.write_bytes(damage)
    forget(monkeypatch)

    assert read(lake) == expected
    assert read_packed(file.parent) is not None


def test_of_more_rows_than_fit_the_newest_drops_are_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(tmp_path / "lake")
    write(lake, DROPS[:20])
    monkeypatch.setattr(packed_rows, "_MOST_ROWS", 500)

    assert read(lake) == from_files(lake)
    packed = read_packed(tmp_path / "lake" / "orders")
    assert packed is not None
    assert 2 <= len(packed.places) < 20
    assert max(packed.places).startswith(f"batch_date={DROPS[19]}")
    written = (tmp_path / "lake" / "orders" / NAME).stat().st_mtime_ns
    forget(monkeypatch)
    assert read(lake) == from_files(lake)
    assert (tmp_path / "lake" / "orders" / NAME).stat().st_mtime_ns == written  # what does not fit is not tried again


def test_files_that_are_gone_are_no_longer_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(tmp_path / "lake")
    write(lake, DROPS[:12])
    read(lake)
    before = lake.files("orders").files
    write(lake, DROPS[:12])
    for file in before:
        Path(file).unlink()
    forget(monkeypatch)

    assert read(lake) == from_files(lake)
    packed = read_packed(tmp_path / "lake" / "orders")
    assert packed is not None
    assert len(packed.places) == 12


def test_what_is_kept_in_memory_stays_within_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(tmp_path / "lake")
    write(lake, DROPS[:20])
    kept = forget(monkeypatch)
    kept.most = 600

    assert read(lake) == from_files(lake)
    assert kept.n_bytes <= 600
