"""Copies of SQLite files that are in use, through SQLite's own backup."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path


def copy_database(file: Path, target: Path) -> None:
    """Copy a database as it is at one moment, whoever writes to it; whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    address = f"{file.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=60)) as source, closing(sqlite3.connect(temporary)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    temporary.replace(target)


def begin_as_copy(empty: Path, target: Path) -> bool:
    """Create a database as a copy of `empty`. False where there is no `empty`, or `target` already exists."""
    if not empty.exists() or target.exists():
        return False
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.write_bytes(empty.read_bytes())
    try:
        os.link(temporary, target)  # unlike a rename, it never replaces what another process began
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True


def keep_copy(file: Path, name: str) -> Path:
    """Keep a database as it was before a change, beside it; a copy that is there already stays."""
    copy = file.with_name(f"{file.name}.{name}")
    if not copy.exists():
        copy_database(file, copy)
    return copy
