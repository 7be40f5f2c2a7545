"""What the machine lacks ends a command with one line: the path, and what to do. The lacks are real."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.cli.machine_errors import explain_machine_error, locked_databases
from ml_assets.graph.runs.launch import make_instance
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.paths import StatePaths

LAND = ("land", "flight_delays", "--from", "2013-01-01", "--to", "2013-01-20")
BATCH = ("batch", "flight_delays", "--from", "2013-01-01", "--to", "2013-01-02")


def run(state: Path, *arguments: str, **more: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"ML_ASSETS_DATA": str(state), **more}, terminal_width=200)


def the_line(result: Result) -> str:
    """Give the one line that a command ended with; there is no trace beside it."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    (line,) = [line for line in result.stderr.splitlines() if line.strip()]
    return line


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("this user may not mount a small disk: run as root with CAP_SYS_ADMIN")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)  # noqa: S607


def test_full_disk_is_told_with_its_path_and_what_was_written_before_stands(small_disk: Path) -> None:
    for arguments in (LAND, BATCH):
        line = the_line(run(small_disk, *arguments))

        assert f"error {small_disk}" in line
        assert "no space left on this disk" in line
        assert "ML_ASSETS_DATA" in line
    shutil.rmtree(small_disk / "landing")
    assert run(small_disk, "status", "flight_delays").exit_code == 0


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")  # a run sets it; restored after the test


@pytest.mark.parametrize("arguments", [LAND, BATCH])
@pytest.mark.parametrize("state", ["/sys/fs/none", "/dev/null"])
def test_folder_that_cannot_be_written_to_is_told(state: str, arguments: tuple[str, ...]) -> None:
    line = the_line(run(Path(state), *arguments))

    assert f"error {state}" in line
    assert "ML_ASSETS_DATA" in line


def test_locked_databases_are_named(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    make_instance(paths)
    AlertOutbox(paths).unsent()
    path = sorted(paths.dagster_home.rglob("runs.db"))[0]
    assert locked_databases(tmp_path) == []

    with sqlite3.connect(path, isolation_level=None) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with sqlite3.connect(path, timeout=0) as other, pytest.raises(sqlite3.OperationalError) as locked:
            other.execute("CREATE TABLE t (a)")
        said = explain_machine_error(locked.value, tmp_path)

    assert said is not None
    assert said.startswith(f"{path}: locked by another process. Wait for it or end it")


def test_low_memory_is_told_with_the_variable_that_gives_more(tmp_path: Path) -> None:
    query = "SELECT length(string_agg(md5(i::VARCHAR), '')) FROM range(3000000) AS t(i)"
    spill = tmp_path / "none"
    spill.write_text("no folder, so nothing is spilled")

    line = the_line(run(tmp_path, "sql", query, ML_ASSETS_SQL_MEMORY="30MB", ML_ASSETS_SQL_SPILL=str(spill)))

    assert "ML_ASSETS_SQL_MEMORY" in line or str(spill) in line


def test_wrong_limit_of_the_environment_is_told(tmp_path: Path) -> None:
    line = the_line(run(tmp_path, "sql", "SELECT 1", ML_ASSETS_SQL_MEMORY="lots"))

    assert line == "error $ML_ASSETS_SQL_MEMORY: found 'lots'; allowed: a size such as 500MB or 4GB"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "out of memory. Free some"),
        (
            OSError("Generic LocalFileSystem error: Unable to create dir /srv/x: No space left (os error 28)"),
            "/srv/x: ",
        ),
        (OSError(24, "Too many open files", "/srv/x"), "/srv/x: too many open files. Raise the limit"),
        (OSError(5, "Input/output error", "/srv/x"), "/srv/x: input/output error. Check the disk"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "/srv: read-only file system"),
        (sqlite3.OperationalError("database or disk is full"), "/srv: no space left"),
    ],
)
def test_each_lack_has_its_line(error: Exception, said: str) -> None:
    found = explain_machine_error(error, Path("/srv"))

    assert found is not None
    assert found.startswith(said)
    assert "\n" not in found


@pytest.mark.parametrize(("free", "said"), [(4096, "/srv: no space left"), (10**9, "/srv: input/output error")])
def test_an_input_output_error_of_sqlite_on_a_full_disk_is_the_full_disk(
    free: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))

    found = explain_machine_error(sqlite3.OperationalError("disk I/O error"), Path("/srv"))

    assert (found or "").startswith(said)


def test_lack_below_other_errors_is_found_and_other_errors_are_none() -> None:
    outer = RuntimeError("the step failed")
    outer.__cause__ = OSError(28, "No space left on device", "/srv/x")

    assert (explain_machine_error(outer, Path("/srv")) or "").startswith("/srv/x: no space left")
    for error in (
        KeyError("a"),
        FileNotFoundError(2, "No such file", "x"),
        sqlite3.OperationalError("no such table: a"),
    ):
        assert explain_machine_error(error, Path("/srv")) is None


def test_trace_of_a_fault_of_ours_is_still_shown(tmp_path: Path) -> None:
    code = (
        "from ml_assets.cli import app\nimport ml_assets.cli.operate.status as c\n"
        "def f(*_): raise KeyError('ours')\nc.use_case_names = f\napp(['status'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "ML_ASSETS_DATA": str(tmp_path)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip

    assert "KeyError: 'ours'" in done.stderr
    assert "Traceback" in done.stderr
