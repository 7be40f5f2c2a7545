"""Puts a backup back into a state folder, whole or not at all.

Files are copied beside the state and checked against the manifest first; then what was there is set aside, and the
checked copies are moved to their places. A restore that is killed while it copies changes nothing; one that is killed
while it moves is finished by starting it again, and no command opens the state before.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ml_assets.stores.backup_files import MANIFEST, BackupError, Manifest, copy_checked, read_manifest
from ml_assets.stores.landing import write_whole
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.state_version import RESTORING, STATE_VERSION, VERSION_FILE

Tell = Callable[[str, int, int], None]
SET_ASIDE = "set_aside"
_PARTS = (
    "landing",
    "extracted",
    "received",
    "lake",
    "models",
    "mlflow",
    "delivered",
    "reports",
    "kept",
    "alerts",
    "dagster_home",
    VERSION_FILE,
)
_PLAN = "plan.json"  # where what was there goes, beside the checked copies
_IS_ASIDE = "aside.done"
# columns of MLflow's tables that hold the address of an artifact
_ADDRESSES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "model_versions": ("source", "storage_location"),
}


@dataclass(frozen=True)
class Restored:
    """What was restored, and where what was there before is now."""

    manifest: Manifest
    aside: Path | None


def restore(source: Path, paths: StatePaths, now: datetime, tell: Tell, *, may_set_aside: bool = False) -> Restored:
    """Put the backup in the folder `source` into a state folder that no other process works on.

    Raises
    ------
    BackupError
        If the backup is not whole or of a newer release, a file of it was changed, or the state is not empty and
        nothing may be set aside.
    """
    manifest = read_manifest(source)
    if manifest.state_version > STATE_VERSION:
        raise BackupError(
            f"{source}: found a backup of a state of version {manifest.state_version}; allowed: up to {STATE_VERSION}. "
            "Install the release that made it"
        )
    staged, identity = paths.root / RESTORING, hashlib.sha256((source / MANIFEST).read_bytes()).hexdigest()
    if staged.exists():
        _require_same(staged, identity)
    else:
        occupied = [name for name in _PARTS if _holds_something(paths.root / name)]
        if occupied and not may_set_aside:
            raise BackupError(
                f"{paths.root}: found a state with {', '.join(occupied)}; allowed: an empty folder, or --set-aside, "
                f"which moves what is there to {paths.root / SET_ASIDE}"
            )
        _stage(source, manifest, paths, tell)
        write_whole(
            _staging(paths) / _PLAN, json.dumps({"backup": identity, "aside": f"{now:%Y-%m-%d_%H%M%S}"}).encode()
        )
        _staging(paths).rename(staged)
    return Restored(manifest, _move(paths, staged))


def _staging(paths: StatePaths) -> Path:
    return paths.root / f"{RESTORING}.tmp"


def _stage(source: Path, manifest: Manifest, paths: StatePaths, tell: Tell) -> None:
    """Copy and check everything beside the state, and point what holds addresses to where it will be."""
    staging = _staging(paths)
    shutil.rmtree(staging, ignore_errors=True)
    try:
        for number, (name, expected) in enumerate(manifest.files.items()):
            tell(name, number, len(manifest.files))
            copy_checked(source, name, expected, staging / name)
    except BackupError:
        shutil.rmtree(staging)
        raise
    _point_registry(staging / "mlflow" / "mlflow.db", Path(manifest.root), paths.root)


def _point_registry(file: Path, before: Path, root: Path) -> None:
    """Point the addresses of MLflow's artifacts to the folder they are restored to."""
    if not file.exists() or before == root:
        return
    old, new = ((folder / "mlflow").as_uri() for folder in (before, root))
    with closing(sqlite3.connect(file)) as database, database:
        for table, columns in _ADDRESSES.items():
            for column in columns:
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, len(old), old),
                )


def _require_same(staged: Path, identity: str) -> None:
    found = json.loads((staged / _PLAN).read_bytes())["backup"]
    if found != identity:
        raise BackupError(
            f"{staged}: found the restore of another backup, stopped half-way; allowed: to finish that one first, by "
            "naming the same FROM"
        )


def _move(paths: StatePaths, staged: Path) -> Path | None:
    """Set aside what is there, then move the checked copies to their places. Started again, it goes on."""
    aside = paths.root / SET_ASIDE / json.loads((staged / _PLAN).read_bytes())["aside"]
    if not (staged / _IS_ASIDE).exists():
        for name in _PARTS:
            if (paths.root / name).exists():
                aside.mkdir(parents=True, exist_ok=True)
                (paths.root / name).rename(aside / name)
        write_whole(staged / _IS_ASIDE, b"")
    for name in _PARTS:
        if (staged / name).exists():
            (staged / name).rename(paths.root / name)
    staged.rename(_staging(paths))  # from here on the state is opened
    shutil.rmtree(_staging(paths))
    return aside if aside.exists() else None


def _holds_something(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))
