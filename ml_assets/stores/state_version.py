"""The version of a state folder: which layout its files have, and whether this software may open it.

A state carries `state.json`, written when its first table, model or run is about to be made. A state that was used and
has none is of the releases before there were versions: version 0. `ml-assets migrate` takes an older state along.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ml_assets.stores.landing import write_whole
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.write_lock import lock_at_once, write_lock

STATE_VERSION = 1
VERSION_FILE = "state.json"
RESTORING = ".restoring"  # a folder that is there while a backup is restored
_MADE_BY_RUNS = ("lake", "dagster_home")


class StateVersionError(RuntimeError):
    """A state that this software may not open: of another version, or half restored."""


def found_version(paths: StatePaths) -> int | None:
    """Give the version of a state; None where nothing was run yet."""
    declared = _read(paths.root / VERSION_FILE).get("version")
    if declared is not None:
        return int(declared)
    return 0 if any((paths.root / name).exists() for name in _MADE_BY_RUNS) else None


def check_state(paths: StatePaths) -> None:
    """Refuse a state of another version, and one that a killed restore left.

    Raises
    ------
    StateVersionError
        With the path, the version found, the one allowed, and what to do.
    """
    if (paths.root / RESTORING).exists():
        raise StateVersionError(
            f"{paths.root}: found a restore that was stopped half-way; allowed: a whole state. Run the same "
            "`ml-assets restore FROM` again"
        )
    found = found_version(paths)
    if found is None or found == STATE_VERSION:
        return
    message = f"{paths.root}: found a state of version {found}; allowed: {STATE_VERSION}. "
    if found > STATE_VERSION:
        raise StateVersionError(f"{message}It was written by a newer release: install that one, or name another state "
                                "with $ML_ASSETS_DATA")  # fmt: skip
    raise StateVersionError(f"{message}Run `ml-assets migrate` once; `ml-assets migrate --dry-run` lists what it does")


def begin_state(paths: StatePaths) -> None:
    """Check a state that is about to be written to, and declare the version of a new one."""
    check_state(paths)
    if found_version(paths) is None:
        declare_version(paths)


def begin_lake(folder: Path) -> None:
    """Declare the version of a new state, whose first table is about to be made below `<state>/lake/<use case>`."""
    if folder.parent.name == "lake" and not folder.parent.exists():
        begin_state(StatePaths(folder.parent.parent))


def declare_version(paths: StatePaths) -> None:
    """Write that a state has the version of this software."""
    write_whole(paths.root / VERSION_FILE, json.dumps({"version": STATE_VERSION}).encode())


@contextmanager
def alone(paths: StatePaths) -> Iterator[None]:
    """Hold every lock of a state: no run, command or UI works on it meanwhile.

    Raises
    ------
    LockHeldError
        At once, where a lock is held.
    """
    locks = {"ui", *(path.stem for folder in (paths.locks, paths.lake) if folder.is_dir() for path in folder.iterdir())}
    with ExitStack() as held:
        for name in sorted(locks):
            held.enter_context(lock_at_once(paths.locks, name, str(os.getpid())))
        yield


@contextmanager
def keeping_files(paths: StatePaths, use_case: str) -> Iterator[None]:
    """Hold the lock of whoever copies files of a use case, and of whoever removes some.

    Raises
    ------
    LockHeldError
        At once, where another process holds it.
    """
    with lock_at_once(paths.locks, f"{use_case}.files", str(os.getpid())):
        yield


@contextmanager
def writing(paths: StatePaths, use_case: str, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the write lock of a use case, in a state that this software may write to."""
    begin_state(paths)
    with write_lock(paths.locks, use_case, on_wait):
        yield


def _read(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise StateVersionError(f"{file}: found {error}; allowed: what ml_assets wrote, such as "
                                f'{{"version": {STATE_VERSION}}}. Take it from a backup') from error  # fmt: skip
