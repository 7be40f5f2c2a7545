from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ml_assets.stores.commit_record import FILE, UndoneRunError
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState

FIRST, SECOND = date(2013, 1, 1), date(2013, 1, 2)


def rows(drop: date, *numbers: int) -> pa.Table:
    return pa.table({"batch_date": pa.array([drop] * len(numbers), pa.date32()), "n": pa.array(numbers, pa.int64())})


def read(lake: Lake, table: str) -> list[tuple[Any, ...]] | None:
    if not lake.has(table):
        return None
    with duckdb.connect() as connection:
        return sorted(lake.relation(connection, table).fetchall())


@pytest.fixture
def state(tmp_path: Path) -> UseCaseState:
    """Give a state whose tables `one` and `other` hold a committed drop."""
    state = UseCaseState("stops", StatePaths(tmp_path))
    with state.writing("first") as lake:
        lake.replace_drops("one", rows(FIRST, 1), [FIRST])
        lake.replace_drops("other", rows(FIRST, 10), [FIRST])
    return state


@contextmanager
def failing(state: UseCaseState, writer: str) -> Iterator[Lake]:
    """Begin a run that fails after the block."""
    with pytest.raises(OSError, match="disk"), state.writing(writer) as lake:  # noqa: PT012
        yield lake
        raise OSError("disk")


def reader(state: UseCaseState) -> Lake:
    return Lake(state.lake.folder)


def test_readers_see_a_drop_in_all_tables_or_in_none(state: UseCaseState) -> None:
    beside = reader(state)
    with state.writing("second") as lake:
        lake.replace_drops("one", rows(SECOND, 2), [SECOND])
        assert read(lake, "one") == [(FIRST, 1), (SECOND, 2)]
        for each in (beside, reader(state)):
            assert read(each, "one") == [(FIRST, 1)]
        lake.replace_drops("new", rows(SECOND, 3), [SECOND])
        assert beside.tables() == ["one", "other"]
        assert read(beside, "new") is None

    assert read(beside, "one") == [(FIRST, 1), (SECOND, 2)]
    assert read(beside, "new") == [(SECOND, 3)]


def test_pinned_reader_stays_at_what_was_committed(state: UseCaseState) -> None:
    pinned = state.pinned()
    with state.writing("second") as lake:
        lake.replace_drops("one", rows(FIRST, 7), [FIRST])

    assert read(pinned.lake, "one") == [(FIRST, 1)]
    assert read(state.lake, "one") == [(FIRST, 7)]


def test_what_a_failed_run_wrote_is_seen_by_none_and_undone_by_the_next(state: UseCaseState) -> None:
    versions = state.lake.versions(["one", "other"])
    with failing(state, "second") as lake:
        lake.replace_drops("one", rows(SECOND, 2), [SECOND])
        lake.append("new", rows(SECOND, 3))
    assert read(state.lake, "one") == [(FIRST, 1)]

    told: list[str] = []
    with state.writing("third", tell=told.append) as lake:
        assert told == ["stops: what run second wrote is undone: it ended without a commit"]
        assert read(lake, "one") == [(FIRST, 1)]
        assert not lake.has("new")
        assert lake.versions(["one", "other"]) == versions
        assert lake.replace_drops("one", rows(SECOND, 4), [SECOND]) == (versions["one"] or 0) + 1
    assert read(reader(state), "one") == [(FIRST, 1), (SECOND, 4)]


def test_columns_of_an_undone_run_are_undone(state: UseCaseState) -> None:
    wider = rows(SECOND, 2).append_column("more", pa.array(["x"]))
    with failing(state, "second") as lake:
        lake.replace_drops("one", wider, [SECOND])

    with state.writing("third") as lake:
        assert set(lake.column_types("one")) == {"batch_date", "n"}


def test_resumed_run_goes_on_from_what_it_resumes(state: UseCaseState) -> None:
    with failing(state, "second") as lake:
        lake.replace_drops("one", rows(SECOND, 2), [SECOND])
    with state.writing("third", resumes="second") as lake:
        assert read(lake, "one") == [(FIRST, 1), (SECOND, 2)]
        lake.replace_drops("other", rows(SECOND, 20), [SECOND])

    assert read(reader(state), "one") == [(FIRST, 1), (SECOND, 2)]
    assert read(reader(state), "other") == [(FIRST, 10), (SECOND, 20)]


def test_run_that_resumes_an_undone_one_is_refused(state: UseCaseState) -> None:
    with failing(state, "second") as lake:
        lake.replace_drops("one", rows(SECOND, 2), [SECOND])
    with state.writing("third"):
        pass

    with pytest.raises(UndoneRunError, match=r"run second did not end.*run its drops again"):
        state.writing("fourth", resumes="second").__enter__()
    assert read(state.lake, "one") == [(FIRST, 1)]


def test_write_outside_of_a_run_is_committed_at_once(state: UseCaseState) -> None:
    reader(state).append("notes", rows(FIRST, 5))

    assert read(reader(state), "notes") == [(FIRST, 5)]


def test_state_of_an_earlier_release_has_all_its_tables_committed(tmp_path: Path) -> None:
    old = Lake(tmp_path / "lake" / "stops")
    old.replace_drops("one", rows(FIRST, 1), [FIRST])
    assert not (old.folder / FILE).exists()

    with UseCaseState("stops", StatePaths(tmp_path)).writing("first") as lake:
        lake.replace_drops("one", rows(SECOND, 2), [SECOND])
        assert read(Lake(old.folder), "one") == [(FIRST, 1)]


def test_checkpoint_past_the_commit_is_taken_back(state: UseCaseState) -> None:
    with failing(state, "second") as lake:
        for number in range(120):  # delta-rs makes a checkpoint at every hundredth version
            lake.replace_drops("one", rows(SECOND, number), [SECOND])
    log = state.lake.folder / "one" / "_delta_log"
    assert (log / "_last_checkpoint").exists()

    with state.writing("third") as lake:
        assert read(lake, "one") == [(FIRST, 1)]
    assert not (log / "_last_checkpoint").exists()


def test_history_ends_at_the_committed_version(state: UseCaseState) -> None:
    with failing(state, "second") as lake:
        lake.replace_drops("one", rows(SECOND, 2), [SECOND], {"run": "second"})

    lake = state.lake
    assert [each["version"] for each in lake.history("one")] == [1, 0]
    assert lake.metadata("one") == {}
    assert lake.kept_versions("one") == {0, 1}


_KILLED = """
import os, signal, sys
from pathlib import Path
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.stores.test_commit_record import SECOND, rows
with UseCaseState("stops", StatePaths(Path(sys.argv[1]))).writing("killed") as lake:
    lake.replace_drops("one", rows(SECOND, 2), [SECOND])
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_wrote_is_undone(state: UseCaseState) -> None:
    ended = subprocess.run([sys.executable, "-c", _KILLED, str(state.paths.root)], env=os.environ, check=False)

    assert ended.returncode == -9
    assert read(reader(state), "one") == [(FIRST, 1)]
    with state.writing("next") as lake:
        assert read(lake, "one") == [(FIRST, 1)]


def test_damaged_record_is_told_with_its_path(state: UseCaseState) -> None:
    (state.lake.folder / FILE).write_text("{")

    with pytest.raises(ValueError, match=r"commit.json is damaged.*from a backup"):
        reader(state)
