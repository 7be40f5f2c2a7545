"""Whole commands on a state that is damaged, locked or full: what they say, and that what was written stands."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from ml_assets.cli.models import commands as models
from ml_assets.cli.operate import commands as operate
from ml_assets.cli.operate import status as status_command
from ml_assets.graph.runs.launch import open_instance
from ml_assets.graph.runs.lost_runs import PROCESS_TAG
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.processes import this_process
from ml_assets_tests.rehearsal import Rehearsal, day, go_on_from
from ml_assets_tests.served import LAST, SPEC, run

pytestmark = pytest.mark.xdist_group("models")  # one worker runs the shared history once

NAME = SPEC.name
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NEXT = ("--from", str(day(LAST)), "--to", str(day(LAST)))


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands read the small declaration."""
    for module in (models, operate, status_command):
        monkeypatch.setattr(module, "read_use_case", lambda _: SPEC)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("DAGSTER_HOME", "")  # a run sets it; restored after the test


@pytest.fixture
def state(served: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    found = go_on_from(served, tmp_path / "state")
    monkeypatch.setenv("ML_ASSETS_DATA", str(found.root))
    return found


def in_one_line(*arguments: str) -> str:
    """Give the one line that a command ended with; there is no trace beside it."""
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    (line,) = [line for line in result.stderr.splitlines() if line.strip()]
    return line


def dead_process() -> str:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        host, _, _ = this_process().rsplit(":", 2)
    return f"{host}:{process.pid}:1"


def champion_file(state: Rehearsal) -> tuple[str, Path]:
    (row,) = state.rows("champion", "SELECT model_version FROM t")
    folder = state.paths.models / NAME / row["model_version"]
    return row["model_version"], max(folder.rglob("*"), key=lambda path: path.stat().st_size)


def test_changed_champion_is_told_by_every_command_that_shows_it_and_scores_nothing(state: Rehearsal) -> None:
    version, file = champion_file(state)
    before = state.content("predictions")
    file.write_bytes(file.read_bytes() + b"x")

    shown = " ".join(run("status", NAME).stdout.split())
    examined = run("doctor", NAME)
    scored = run("batch", NAME, *NEXT)
    told = json.loads(run("alerts", NAME, "--json").stdout)["incidents"]

    assert str(file) in shown
    assert examined.exit_code == 1
    assert f"model {version}: {file}" in " ".join(examined.stdout.split())
    assert scored.exit_code == 1
    assert "failed predictions/predictions" in scored.stdout
    assert str(file) in scored.stdout.replace("\n    ", "")
    assert "damaged_model" in {each["kind"] for each in told}
    assert state.content("predictions") == before
    assert "Traceback" not in shown + examined.output + scored.output


def test_repair_removes_what_dead_processes_left_and_ends_their_runs_once(state: Rehearsal) -> None:
    process = dead_process()
    number = process.rsplit(":", 2)[1]
    left = state.landing / str(day(LAST)) / f".weather.csv.{number}.tmp"
    left.write_text("half")
    kept = left.with_name(f".schedule.csv.{this_process().rsplit(':', 2)[1]}.tmp")
    kept.write_text("of a process that goes on")
    with open_instance(state.paths) as instance:
        lost = instance.add_run(
            dg.DagsterRun(f"{NAME}_batch", status=dg.DagsterRunStatus.STARTED, tags={PROCESS_TAG: process})
        )
    looked = run("doctor", NAME)
    assert looked.exit_code == 1
    assert f"doctor {NAME} --repair" in looked.stdout

    found = json.loads(run("doctor", NAME, "--repair", "--json").stdout)
    again = json.loads(run("doctor", NAME, "--repair", "--json").stdout)

    assert found["repaired"] == [f"removed {left}", f"run {lost.run_id[:8]} marked as failed: its process is gone"]
    assert again["repaired"] == []
    assert not [each for each in again["found"] if each["problem"]]
    assert (left.exists(), kept.exists()) == (False, True)


def test_repair_of_nothing_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "none"))

    result = run("doctor", NAME, "--repair")

    assert result.exit_code == 1
    assert "is not there yet" in result.stdout
    assert not (tmp_path / "none").exists()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait no longer than a moment for a database."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **named: connect(*given, **{**named, "timeout": 0.1}))


@pytest.mark.usefixtures("impatient")
def test_locked_alerts_hide_nothing_and_cost_a_batch_its_incidents_alone(state: Rehearsal) -> None:
    file = state.paths.alerts / "alerts.sqlite"
    AlertOutbox(state.paths).reconcile(NAME, ["landing/"], NOW.isoformat(), [], NOW)

    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        read = [run(command, NAME).exit_code for command in ("status", "alerts")]
        line = in_one_line("batch", NAME, *NEXT)

    assert read == [0, 0]
    assert f"ended, and its incidents could not be written: {file}: another process has held it" in line
    assert "try again when that has ended" in line
    assert state.rows("decisions", f"SELECT * FROM t WHERE batch_date = '{day(LAST)}'")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("command", [("batch", NAME, *NEXT), ("doctor", NAME, "--repair")])
def test_locked_runs_of_dagster_end_a_command_with_their_file(state: Rehearsal, command: tuple[str, ...]) -> None:
    with open_instance(state.paths) as instance:
        lost = dg.DagsterRun("other", status=dg.DagsterRunStatus.STARTED, tags={PROCESS_TAG: dead_process()})
        instance.add_run(lost)
    file = next(state.paths.dagster_home.rglob("runs.db"))

    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        line = in_one_line(*command)

    assert f"{file}: locked by another process. Wait for it or end it" in line


@pytest.fixture
def full_disk(served: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Rehearsal, Path]]:
    """A served state on a disk that has no room left, and the file to remove for some."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk: run as root with CAP_SYS_ADMIN")
    state = go_on_from(served, folder)
    monkeypatch.setenv("ML_ASSETS_DATA", str(folder))
    with open_instance(state.paths):
        pass
    free = shutil.disk_usage(folder).free
    (folder / "ballast").write_bytes(b"x" * (free - 16 * 1024))
    yield state, folder / "ballast"
    subprocess.run(["umount", "-l", folder], check=True)  # noqa: S607


@pytest.mark.slow  # a batch and a retraining, twice each
@pytest.mark.parametrize("command", [("batch", NAME, *NEXT), ("retrain", NAME, "--gate", "disabled")])
def test_full_disk_ends_a_run_in_plain_words_and_the_same_command_works_once_there_is_room(
    full_disk: tuple[Rehearsal, Path], command: tuple[str, ...]
) -> None:
    state, ballast = full_disk
    before = {table: state.lake.version(table) for table in state.lake.tables()}

    result = run(*command)

    assert result.exit_code == 1
    assert "no space left on this disk" in " ".join(result.output.split()), result.output
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)
    assert {table: state.lake.version(table) for table in state.lake.tables()} == before
    assert run("status", NAME).exit_code == 0
    ballast.unlink()
    assert run(*command).exit_code == 0
