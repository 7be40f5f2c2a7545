"""The files of a backup: copied with their hash, listed in a manifest, and checked when they are copied back.

A backup is a folder with the files under the paths they have in the state, and `manifest.json`, which is written last:
a folder without it is no backup. The manifest names each file with its sha256, size and time of change.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ml_assets.stores.database_copies import copy_database
from ml_assets.stores.landing import write_whole

MANIFEST = "manifest.json"
_CHUNK = 1 << 20
_TRIES = 5  # copies of a file that somebody changes meanwhile


class BackupError(RuntimeError):
    """A folder that is no whole backup, or a backup that cannot be made or restored here."""


@dataclass(frozen=True)
class BackupFile:
    """A file of a backup as it was copied."""

    sha256: str
    bytes: int
    modified_ns: int


@dataclass(frozen=True)
class Manifest:
    """What a backup holds.

    Attributes
    ----------
    state_version
        Version of the state it was made of.
    made_at
        The wall's moment at which it was begun, ISO 8601.
    root
        The state folder it was made of.
    tables
        By use case and table, the version that was copied.
    files
        By path below the state folder.
    """

    state_version: int
    made_at: str
    root: str
    tables: Mapping[str, Mapping[str, int]]
    files: dict[str, BackupFile] = field(default_factory=dict[str, BackupFile])

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files.values())

    def write(self, folder: Path) -> None:
        """Make the backup valid: everything that was copied is on the disk before its manifest is."""
        os.sync()
        write_whole(folder / MANIFEST, json.dumps(asdict(self), indent=1, sort_keys=True).encode())


def read_manifest(folder: Path) -> Manifest:
    """Read what a backup holds.

    Raises
    ------
    BackupError
        If the folder has no manifest, or one that cannot be read or leads out of the folder.
    """
    file = folder / MANIFEST
    try:
        content: dict[str, Any] = json.loads(file.read_bytes())
        files = {name: BackupFile(**each) for name, each in content.pop("files").items()}
        found = Manifest(**content, files=files)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BackupError(
            f"{file}: not found, so {folder} is no whole backup: name the folder of one. A backup that was killed has "
            "no manifest either; then take another"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BackupError(f"{file}: found {error!r}; allowed: what `ml-assets backup` wrote") from error
    for name in found.files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise BackupError(f"{file}: found the path {name!r}; allowed: paths below the backup")
    return found


def copy_file(source: Path, target: Path) -> BackupFile:
    """Copy a file with its time of change, and give its hash. One that is changed meanwhile is copied again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for tries in range(_TRIES, 0, -1):
        with source.open("rb") as reading, target.open("wb") as writing:
            before = os.fstat(reading.fileno())
            hashed, size = hashlib.sha256(), 0
            while chunk := reading.read(_CHUNK):
                hashed.update(chunk)
                writing.write(chunk)
                size += len(chunk)
            after = os.fstat(reading.fileno())
        os.utime(target, ns=(before.st_mtime_ns, before.st_mtime_ns))
        if tries == 1 or (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, size):
            return BackupFile(hashed.hexdigest(), size, before.st_mtime_ns)
    raise AssertionError("the last try returns")


def copy_live_database(source: Path, target: Path) -> BackupFile:
    """Copy a SQLite file as it is at one moment, and give the hash of the copy."""
    source.stat()  # a FileNotFoundError, where SQLite would raise one of its own
    copy_database(source, target)
    content = target.read_bytes()
    return BackupFile(hashlib.sha256(content).hexdigest(), len(content), target.stat().st_mtime_ns)


def copy_checked(folder: Path, name: str, expected: BackupFile, target: Path) -> None:
    """Copy a file of a backup, and raise BackupError where it is not the one that was backed up."""
    try:
        found = copy_file(folder / name, target)
    except FileNotFoundError as error:
        raise BackupError(f"{folder / name}: the file is gone; nothing was restored") from error
    if found.sha256 != expected.sha256:
        raise BackupError(
            f"{folder / name}: found sha256 {found.sha256}; recorded when it was backed up: {expected.sha256}. Nothing "
            "was restored; use another backup"
        )
    os.utime(target, ns=(expected.modified_ns, expected.modified_ns))
