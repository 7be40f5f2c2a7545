"""Copies the state of use cases into a new folder while runs go on.

What a use case's tables hold is one moment: the versions of all its tables are noted under its write lock, between two
runs, and copied after it was released. Databases are copied before the tables, but for MLflow's: incidents and runs
that are older than the tables are brought up to date by the next look, those that are newer would not be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ml_assets.stores.backup_files import MANIFEST, BackupError, BackupFile, Manifest, copy_file, copy_live_database
from ml_assets.stores.delta_log import files_up_to
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.state_version import STATE_VERSION, VERSION_FILE, keeping_files, writing
from ml_assets.stores.write_lock import LockHeldError

Tell = Callable[[str, int, int], None]  # what is done now, files done, files known so far
_DATABASES = (".db", ".sqlite")
_OF_A_USE_CASE = ("models", "landing", "extracted", "delivered", "reports")


@dataclass(frozen=True)
class NotedTables:
    """The versions of all tables of a use case at one moment, and what lies beside them."""

    versions: dict[str, int]
    other_files: dict[str, bytes]


def use_cases_in(paths: StatePaths) -> list[str]:
    """Name the use cases that have something in a state."""
    folders = [paths.root / name for name in ("lake", *_OF_A_USE_CASE)]
    return sorted({path.name for folder in folders for path in folder.glob("*/") if not path.name.startswith(".")})


def back_up(
    paths: StatePaths, to: Path, use_cases: Sequence[str], now: datetime, tell: Tell, *, on_wait: Callable[[str], None]
) -> Manifest:
    """Copy the state of `use_cases` to the new folder `to`, and give what was copied.

    Parameters
    ----------
    tell
        Is told of each file.
    on_wait
        Is told which run is waited for, to note the versions of its tables.

    Raises
    ------
    BackupError
        If `to` is not empty, lies in the state, or another backup goes on.
    """
    _require_new(paths, to)
    to.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(STATE_VERSION, now.isoformat(), str(paths.root), tables := {})
    copies = _Copies(paths.root, to, manifest.files, tell)
    with ExitStack() as held:
        for name in use_cases:
            _keep_files(held, paths, name)
        copies.take([paths.alerts, paths.dagster_home])
        for name in use_cases:
            with writing(paths, name, on_wait):
                noted = note_tables(Lake(paths.lake / name))
            tables[name] = noted.versions
            copies.write({f"lake/{name}/{file}": content for file, content in noted.other_files.items()})
            folder = paths.lake / name
            copies.take([path for t, v in noted.versions.items() for path in files_up_to(folder / t, v)], is_sure=True)
            copies.take([paths.root / part / name for part in _OF_A_USE_CASE])
        is_all = set(use_cases) >= set(use_cases_in(paths))
        copies.take([paths.received] if is_all else list(_received(paths, use_cases)))
        copies.take([paths.mlflow / "mlflow.db", *(paths.mlflow / "artifacts" / name for name in use_cases)])
        copies.take([paths.root / VERSION_FILE], is_sure=True)
        manifest.write(to)
    return manifest


def note_tables(lake: Lake) -> NotedTables:
    """Decide which version of each table is backed up: the newest. Call it while no run writes to the use case."""
    versions = {table: version for table in lake.tables() if (version := lake.version(table)) is not None}
    other_files = {path.name: path.read_bytes() for path in lake.folder.glob("*") if path.is_file()}
    return NotedTables(versions, other_files)


def _require_new(paths: StatePaths, to: Path) -> None:
    if to.resolve().is_relative_to(paths.root.resolve()):
        raise BackupError(f"{to}: found a folder of the state itself; allowed: a folder outside of {paths.root}")
    if to.exists() and not to.is_dir():
        raise BackupError(f"{to}: found a file; allowed: a new folder")
    if to.exists() and any(to.iterdir()):
        what = "a backup" if (to / MANIFEST).exists() else "a backup that was killed, or other files"
        raise BackupError(f"{to}: found {what}; allowed: a new or empty folder, such as {to}-2")


def _keep_files(held: ExitStack, paths: StatePaths, use_case: str) -> None:
    try:
        held.enter_context(keeping_files(paths, use_case))
    except LockHeldError as error:
        raise BackupError(
            f"{use_case}: another backup or housekeeping goes on (process {error.holder}). Run the command again when "
            "it has ended, into a new folder"
        ) from error


def _received(paths: StatePaths, use_cases: Sequence[str]) -> Iterator[Path]:
    """Give the copies of received files that the tables of some use cases name."""
    names: set[str] = set()
    for name in use_cases:
        lake = Lake(paths.lake / name)
        for table in lake.tables():
            if table.startswith("received_"):
                names |= {row["sha256"] for row in read_rows(lake, table, ["sha256"]) if row["sha256"]}
    return (paths.received / f"{name}.csv" for name in sorted(names))


@dataclass(frozen=True)
class _Copies:
    """Copies files of `root` to the same places below `to`, and notes each in `files`."""

    root: Path
    to: Path
    files: dict[str, BackupFile]
    tell: Tell

    def write(self, contents: dict[str, bytes]) -> None:
        """Write files whose content was read before."""
        for name, content in contents.items():
            source = self.to / name
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_bytes(content)
            self.files[name] = copy_file(source, source.with_name(f"{source.name}.copy"))
            source.with_name(f"{source.name}.copy").unlink()

    def take(self, parts: Sequence[Path], *, is_sure: bool = False) -> None:
        """Copy files, and all files of folders. One that is gone meanwhile is left out, unless it `is_sure`."""
        found = [path for part in parts for path in ([part] if part.is_file() or is_sure else _below(part))]
        done = len(self.files)
        for number, path in enumerate(found):
            name = path.relative_to(self.root).as_posix()
            self.tell(name, done + number, done + len(found))
            try:
                copy = copy_live_database if path.suffix in _DATABASES else copy_file
                self.files[name] = copy(path, self.to / name)
            except FileNotFoundError:
                if is_sure:
                    raise
                (self.to / name).unlink(missing_ok=True)


def _below(folder: Path) -> list[Path]:
    """List the files of a folder but those that a process is writing, logs of databases and links."""
    if not folder.is_dir():
        return []
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return [path for path in found if not path.name.endswith((".tmp", "-wal", "-shm", "-journal", ".lock"))]
