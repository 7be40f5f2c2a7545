"""Marks that tell whether anything has changed, without reading it."""

from __future__ import annotations

import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from ml_assets.stores.lake import Lake
from ml_assets.stores.unchanged import (
    SameObject,
    file_mark,
    folder_marks,
    forget_unchanged,
    keep_unchanged,
    landing_marks,
    table_marks,
    time_mark,
)

DAY = date(2013, 1, 1)
ROWS = pa.table({"batch_date": [DAY], "action": ["nothing"]})
A_TICK = 0.02  # beyond one of the clock of files


def test_work_is_done_once_for_a_mark() -> None:
    done: list[int] = []

    def work() -> int:
        done.append(1)
        return len(done)

    assert [keep_unchanged("a work", mark, work) for mark in (1, 1, 2, 2, 1)] == [1, 1, 2, 2, 3]
    forget_unchanged("a work")
    assert keep_unchanged("a work", 1, work) == 4


def test_what_is_kept_is_bounded_and_the_oldest_goes_first() -> None:
    done: list[int] = []
    for number in range(2001):
        keep_unchanged(("bounded", number), 1, lambda: done.append(1))

    keep_unchanged(("bounded", 2000), 1, lambda: done.append(1))
    assert len(done) == 2001
    keep_unchanged(("bounded", 0), 1, lambda: done.append(1))
    assert len(done) == 2002


def test_commit_and_file_beside_the_tables_change_the_marks_of_a_lake(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "flights")
    marks = [table_marks(lake.folder, ["decisions", "champion"])]
    for change in (
        lambda: lake.replace_drops("decisions", ROWS, [DAY]),
        lambda: lake.replace_drops("decisions", ROWS, [DAY]),
        lambda: (lake.folder / "committed.json").write_text("1"),
    ):
        time.sleep(A_TICK)
        change()
        marks.append(table_marks(lake.folder, ["decisions", "champion"]))

    assert len(set(marks)) == len(marks)
    assert table_marks(lake.folder, ["decisions", "champion"]) == marks[-1]


def test_new_file_changes_the_marks_of_the_landing_folder(tmp_path: Path) -> None:
    (tmp_path / "2013-01-01").mkdir()
    before = landing_marks(tmp_path)
    time.sleep(A_TICK)
    (tmp_path / "2013-01-01" / "stops.csv").touch()

    assert landing_marks(tmp_path) != before
    assert landing_marks(tmp_path / "nowhere") is None


def test_content_of_the_same_size_and_time_changes_the_mark_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    file.write_text("1")
    os.utime(file, (1, 1))
    before = file_mark(file), folder_marks(tmp_path)
    time.sleep(A_TICK)

    file.write_text("2")
    os.utime(file, (1, 1))

    assert file_mark(file) != before[0]
    assert folder_marks(tmp_path) != before[1]


def test_a_look_is_taken_again_after_five_minutes() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    assert time_mark(now) == time_mark(now + timedelta(seconds=299))
    assert time_mark(now) != time_mark(now + timedelta(seconds=300))


def test_another_object_is_another_mark_even_where_the_first_one_stood() -> None:
    def mark_of_new_object() -> SameObject:
        return SameObject(Thing())

    marks = [mark_of_new_object() for _ in range(100)]  # nothing else holds the objects

    assert len(set(marks)) == 100
    assert marks[0] == marks[0]


class Thing:
    """What a mark is taken of."""
