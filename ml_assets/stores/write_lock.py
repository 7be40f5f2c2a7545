"""Locks across processes: one write at a time a use case, one UI a state folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def write_lock(folder: Path, name: str, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock `name` in `folder`, waiting for whoever holds it.

    The kernel lets go of it when the process ends, however it ends. `on_wait` is told who holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_wait is not None:
                file.seek(0)
                on_wait(f"another run writes to {name} (process {file.read().strip() or 'unknown'}); waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_locked(folder: Path, name: str) -> bool:
    """Say whether a process holds the lock `name` in `folder`."""
    try:
        with (folder / f"{name}.lock").open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


class LockHeldError(RuntimeError):
    """A lock that another process holds; `holder` is what that process wrote about itself."""

    def __init__(self, path: Path, holder: str) -> None:
        self.holder = holder
        super().__init__(f"{path} is held by {holder}")


@contextmanager
def lock_at_once(folder: Path, name: str, holder: str) -> Iterator[TextIO]:
    """Hold the lock `name` in `folder`, or raise at once where another process holds it.

    A child process that inherits the file holds the lock too: it is free when all of them have ended.

    Raises
    ------
    LockHeldError
        With what the holder wrote about itself.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise LockHeldError(path, file.read().strip() or "an unknown process") from error
        file.seek(0)
        file.truncate()
        file.write(holder)
        file.flush()
        yield file
