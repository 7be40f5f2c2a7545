"""What is found wrong in a state, each fault made by hand, and what is mended."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from ml_assets.pipeline.doctor import examine, find_left_behind, remove_left_behind
from ml_assets.spec.tables.models import CHAMPION
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import day

DROPS = [day(1), day(2)]


@pytest.fixture
def state(tmp_path: Path) -> UseCaseState:
    """Give a state with one table of two drops and one database."""
    found = UseCaseState("trips", StatePaths(tmp_path))
    found.lake.replace_drops("rows", pa.table({"batch_date": DROPS, "n": [1, 2]}), DROPS)
    found.paths.mlflow.mkdir()
    with closing(sqlite3.connect(found.paths.mlflow / "mlflow.db")) as connection:
        connection.execute("CREATE TABLE runs (id TEXT)")
        connection.executemany("INSERT INTO runs VALUES (?)", [(str(number),) for number in range(2000)])
        connection.commit()
    return found


def problems(state: UseCaseState) -> dict[str, str]:
    found = examine(state)
    assert all(each.advice for each in found if each.problem)
    return {each.what: each.problem for each in found if each.problem}


def ended_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def test_sound_state_has_no_problem_and_says_what_was_looked_at(state: UseCaseState) -> None:
    assert problems(state) == {}
    assert {each.what for each in examine(state)} == {
        "state folder", "database mlflow/mlflow.db", "table rows", "files left behind", "alert messages",
    }  # fmt: skip


def test_state_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    assert "is not there yet" in problems(UseCaseState("trips", StatePaths(tmp_path / "none")))["state folder"]


def test_file_of_a_table_that_was_cut_is_named(state: UseCaseState) -> None:
    cut = Path(state.lake.files("rows").files[0])
    cut.write_bytes(cut.read_bytes()[:-5])

    said = problems(state)["table rows"]
    assert said.startswith(f"1 of its 2 files are gone or damaged, first {cut}: Parquet magic bytes not found")


def test_what_cannot_be_looked_at_is_a_finding_and_the_rest_is_looked_at(state: UseCaseState) -> None:
    state.paths.alerts.mkdir(parents=True, exist_ok=True)
    (state.paths.alerts / "alerts.sqlite").write_text("junk")
    Path(state.lake.files("rows").files[0]).unlink()

    assert set(problems(state)) == {"database alerts/alerts.sqlite", "messages", "table rows"}


def test_file_of_a_table_that_is_gone_is_named(state: UseCaseState) -> None:
    gone = Path(state.lake.files("rows").files[0])
    gone.unlink()

    assert problems(state) == {"table rows": f"1 of its 2 files are gone or damaged, first {gone}: it is gone"}


def test_damaged_database_is_named(state: UseCaseState) -> None:
    file = state.paths.mlflow / "mlflow.db"
    content = bytearray(file.read_bytes())
    content[4096 : 3 * 4096] = os.urandom(2 * 4096)
    file.write_bytes(bytes(content))

    assert "SQLite says" in problems(state)["database mlflow/mlflow.db"]


def test_promoted_model_whose_files_are_gone_is_named(state: UseCaseState) -> None:
    row = {"sequence": 1, "verdict": "promoted", "model_version": "m1", "artifact_sha256": "a", "as_of": day(1),
           "serves_after": day(1), "gate": "enabled", "_recorded_at": datetime(2013, 1, 1, tzinfo=UTC)}  # fmt: skip
    state.lake.replace("champion", arrow_rows(CHAMPION, [row]))

    assert "the file is gone" in problems(state)["model m1"]


def test_what_ended_processes_were_writing_goes_and_what_living_ones_write_stays(state: UseCaseState) -> None:
    folder = state.paths.models / "trips"
    left, model = folder / f".part.csv.{ended_process()}.tmp", folder / f".m1.{ended_process()}.tmp"
    model.mkdir(parents=True)
    (model / "manifest.json").write_text("{}")
    left.write_text("half")
    going_on = folder / f".part.csv.{os.getpid()}.tmp"
    going_on.write_text("half")
    assert "2 files that ended processes were writing" in problems(state)["files left behind"]

    removed = remove_left_behind(state.paths)

    assert sorted(removed) == sorted([left, model])
    assert find_left_behind(state.paths) == []
    assert going_on.exists()
    assert problems(state) == {}
