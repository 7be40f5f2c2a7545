"""Backups of a served history: taken while it goes on, killed in the middle, damaged, restored elsewhere."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ml_assets.pipeline.backup import back_up
from ml_assets.pipeline.housekeeping import housekeep
from ml_assets.pipeline.monitoring.status import content_hashes, facts_of
from ml_assets.pipeline.restore import _point_registry, restore
from ml_assets.pipeline.training.reproduce import reproduce
from ml_assets.stores.backup_files import BackupError, Manifest, read_manifest
from ml_assets.stores.calendar_record import calendar_facts, read_calendar
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.state_version import StateVersionError, check_state, writing
from ml_assets_tests.rehearsal import Rehearsal, day, go_on_from
from ml_assets_tests.served import LAST, SPEC

pytestmark = pytest.mark.xdist_group("models")  # one worker runs the shared history once

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAME = SPEC.name
_KILLED = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ml_assets.pipeline.backup import back_up
from ml_assets.pipeline.restore import restore
from ml_assets.stores.paths import StatePaths

what, root, folder, word, times = *sys.argv[1:5], int(sys.argv[5])
seen = 0
def kill_at(text):
    global seen
    seen += word in str(text)
    if seen == times:
        os.kill(os.getpid(), signal.SIGKILL)
rename = Path.rename
def renamed(path, target):
    kill_at(f"rename {target}")
    return rename(path, target)
Path.rename = renamed
tell = lambda name, done, total: kill_at(f"copy {name}")
now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
if what == "backup":
    back_up(StatePaths(Path(root)), Path(folder), ["flight_delays"], now, tell, on_wait=print)
else:
    restore(Path(folder), StatePaths(Path(root)), now, tell, may_set_aside=True)
"""


def ignore(_name: str, _done: int, _total: int) -> None:
    """Show no progress."""


def kill(what: str, root: Path, folder: Path, word: str, times: int) -> None:
    """Run a backup or a restore in a process that kills itself at a step whose name holds `word`."""
    command = [sys.executable, "-c", _KILLED, what, str(root), str(folder), word, str(times)]
    assert subprocess.run(command, check=False, timeout=120).returncode == -9


def backup_of(state: Rehearsal, to: Path, tell: Callable[[str, int, int], None] = ignore) -> Manifest:
    return back_up(state.paths, to, [NAME], NOW, tell, on_wait=lambda _: None)


def hashes(state: Rehearsal) -> dict[str, str]:
    return content_hashes(SPEC, state.state, None, None)


def files_of(root: Path) -> dict[str, str]:
    """Hash every file of a state but its locks."""
    found = (path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.fixture(scope="module")
def history(served: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """Give a copy of the served history, with a file beside its tables and what a killed writer left."""
    state = go_on_from(served, tmp_path_factory.mktemp("history"))
    _point_registry(state.paths.mlflow / "mlflow.db", served.root, state.root)
    (state.lake.folder / "beside.json").write_text('{"committed": 1}')
    (state.lake.folder / "drops" / "part-of-no-version.parquet").write_bytes(b"left")
    return state


@pytest.fixture(scope="module")
def backup(history: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("backups") / "one"
    backup_of(history, to)
    return to


def test_backup_taken_while_a_batch_runs_holds_the_tables_as_they_were_before_it(
    history: Rehearsal, tmp_path: Path
) -> None:
    state, told = go_on_from(history, tmp_path / "state"), list[str]()
    before = hashes(state)

    def run_a_batch(name: str, _done: int, _total: int) -> None:
        if name.startswith("lake/") and not told:  # noted, and the first file is about to be copied
            told.append(name)
            batch = threading.Thread(target=lambda: state.batch(LAST, LAST))
            batch.start()
            batch.join()

    backup_of(state, tmp_path / "backup", run_a_batch)
    restore(tmp_path / "backup", StatePaths(tmp_path / "other"), NOW, ignore)
    restored = Rehearsal(SPEC, tmp_path / "other")

    after = hashes(state)
    assert after["predictions"] != before["predictions"]
    assert hashes(restored) == before
    restored.batch(LAST, LAST)  # the next drop, whose files were landed when the backup was made
    assert hashes(restored) == after


def test_backup_waits_for_the_run_that_writes_and_only_to_note_versions(history: Rehearsal, tmp_path: Path) -> None:
    state, waited, held = go_on_from(history, tmp_path / "state"), list[str](), ExitStack()
    held.enter_context(writing(state.paths, NAME))
    threading.Timer(0.5, held.close).start()

    def is_free(name: str, _done: int, _total: int) -> None:
        if name.startswith("lake/"):
            with writing(state.paths, NAME, pytest.fail):
                pass

    back_up(state.paths, tmp_path / "backup", [NAME], NOW, is_free, on_wait=waited.append)

    assert len(waited) == 1
    assert f"another run writes to {NAME}" in waited[0]


def test_restored_state_serves_scores_and_reproduces(history: Rehearsal, backup: Path, tmp_path: Path) -> None:
    paths = StatePaths(tmp_path / "other")

    found = restore(backup, paths, NOW, ignore)

    state = Rehearsal(SPEC, paths.root)
    facts, before = facts_of(SPEC, state.state), facts_of(SPEC, history.state)
    assert found.aside is None
    assert facts == before
    assert (paths.lake / NAME / "beside.json").read_text() == '{"committed": 1}'
    assert not (paths.lake / NAME / "drops" / "part-of-no-version.parquet").exists()
    assert read_calendar(paths.lake / NAME) == calendar_facts(SPEC.calendar)
    version = facts["champion"]["model_version"]
    again = reproduce(state.state, version, lambda _: None)
    assert again.differing == ()
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{paths.mlflow / 'mlflow.db'}")
    run = client.get_model_version_by_alias(NAME, "challenger")
    addresses = (run.source, client.get_run(str(run.run_id)).info.artifact_uri)
    assert all(str(address).startswith(paths.mlflow.as_uri()) for address in addresses)


@pytest.mark.parametrize("word", ["copy lake/", "copy models/", "copy state.json"])
def test_killed_backup_is_known_as_none_and_refused(history: Rehearsal, tmp_path: Path, word: str) -> None:
    folder, before = tmp_path / "backup", files_of(history.root)
    kill("backup", history.root, folder, word, 1)

    with pytest.raises(BackupError, match=r"manifest\.json: not found, so .* is no whole backup"):
        restore(folder, StatePaths(tmp_path / "other"), NOW, ignore)
    with pytest.raises(BackupError, match="a backup that was killed, or other files"):
        backup_of(history, folder)
    assert files_of(history.root) == before
    assert not (tmp_path / "other").exists()
    shutil.rmtree(folder)
    backup_of(history, folder)


@pytest.mark.parametrize(("word", "times"), [("copy lake/", 5), ("rename", 2), ("rename", 6), ("rename", 12)])
def test_killed_restore_leaves_the_state_before_or_goes_on(
    history: Rehearsal, backup: Path, tmp_path: Path, word: str, times: int
) -> None:
    state = go_on_from(history, tmp_path / "state")
    (state.landing / "2013-01-15" / "weather.csv").write_text("changed since\n")
    before = files_of(state.root)

    kill("restore", state.root, backup, word, times)

    if word == "rename":
        with pytest.raises(StateVersionError, match="a restore that was stopped half-way"):
            check_state(state.paths)
        other = tmp_path / "other_backup"
        shutil.copytree(backup, other)
        manifest = json.loads((other / "manifest.json").read_text())
        (other / "manifest.json").write_text(json.dumps({**manifest, "made_at": "another"}))
        with pytest.raises(BackupError, match="the restore of another backup"):
            restore(other, state.paths, NOW, ignore)
    else:
        check_state(state.paths)
        left = {name: sha for name, sha in files_of(state.root).items() if not name.startswith(".restoring.tmp/")}
        assert left == before
    found = restore(backup, state.paths, NOW, ignore, may_set_aside=True)

    assert hashes(state) == hashes(history)
    assert found.aside is not None
    assert files_of(found.aside) == before
    assert not list(state.root.glob(".restoring*"))


def test_state_that_is_there_is_set_aside_only_when_asked(history: Rehearsal, backup: Path, tmp_path: Path) -> None:
    state = go_on_from(history, tmp_path / "state")
    before = files_of(state.root)

    with pytest.raises(BackupError, match="allowed: an empty folder, or --set-aside"):
        restore(backup, state.paths, NOW, ignore)

    assert files_of(state.root) == before


def test_changed_file_of_a_backup_is_found_before_anything_is_replaced(
    history: Rehearsal, backup: Path, tmp_path: Path
) -> None:
    folder, state = tmp_path / "backup", go_on_from(history, tmp_path / "state")
    shutil.copytree(backup, folder)
    changed = next(path for path in sorted(folder.rglob("*.parquet")))
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    before = files_of(state.root)

    with pytest.raises(BackupError, match=r"\.parquet: found sha256 .* Nothing was restored"):
        restore(folder, state.paths, NOW, ignore, may_set_aside=True)
    assert files_of(state.root) == before

    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../out"] = manifest["files"].popitem()[1]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BackupError, match="allowed: paths below the backup"):
        read_manifest(folder)


def test_housekeeping_removes_nothing_while_a_backup_is_made(
    history: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_ASSETS_SQL_SPILL", str(tmp_path / "spill"))
    state, seen = go_on_from(history, tmp_path / "state"), list[str]()
    (state.lake.folder / "drops" / "part-of-no-version.parquet").write_bytes(b"left")
    nothing_old = SPEC.retention.model_copy(update={"versions": timedelta(0)})
    spec, now = SPEC.model_copy(update={"retention": nothing_old}), datetime.now(UTC)  # noqa: TID251 - files have real ages

    def clean(_name: str, _done: int, _total: int) -> None:
        if not seen:
            seen.extend(each.what for each in housekeep(spec, state.state, now))

    backup_of(state, tmp_path / "backup", clean)

    assert set(seen) == {"nothing"}
    removed = housekeep(spec, state.state, now)
    assert sum(each.files for each in removed) > 0
    backup_of(state, tmp_path / "after")  # versions that are gone are left out
    restore(tmp_path / "after", StatePaths(tmp_path / "other"), NOW, ignore)
    assert hashes(Rehearsal(SPEC, tmp_path / "other")) == hashes(history)


def test_backup_goes_to_a_new_folder_outside_of_the_state(history: Rehearsal, backup: Path) -> None:
    with pytest.raises(BackupError, match="a folder of the state itself"):
        backup_of(history, history.root / "backup")
    with pytest.raises(BackupError, match="found a backup; allowed: a new or empty folder"):
        backup_of(history, backup)


def test_backup_of_one_use_case_takes_the_received_files_that_its_tables_name(
    history: Rehearsal, tmp_path: Path
) -> None:
    state = go_on_from(history, tmp_path / "state")
    (state.paths.landing / "other_use_case" / day(1).isoformat()).mkdir(parents=True)
    (state.paths.received / f"{'0' * 64}.csv").write_text("of the other use case")

    manifest = backup_of(state, tmp_path / "backup")

    received = {Path(name).stem for name in manifest.files if name.startswith("received/")}
    named = {row["sha256"] for source in SPEC.sources for row in state.rows(f"received_{source.name}")}
    assert received == named - {None, ""}
