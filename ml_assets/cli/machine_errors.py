"""Errors of the machine in one line: full disk, folder not to be written to, locked database, low memory, damaged file.

`explain_machine_error` takes any error and gives a line with the path and what to do, or None where the error is of
another kind and its trace is what helps. The command line prints that line instead of a trace.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ml_assets.stores.paths import DATA_VARIABLE
from ml_assets.stores.sql_limits import MEMORY_VARIABLE, SPILL_VARIABLE, SqlLimitError
from ml_assets.stores.unreadable_files import UnreadableFileError

_STANDS = "What was written before stands; then run the command again"
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FULL_MB = 1.0
_ADVICE = {
    (errno.EACCES, errno.EPERM, errno.EROFS): f"Let this user write there, or name another folder with "
    f"${DATA_VARIABLE}. {_STANDS}",
    (errno.ENOTDIR, errno.EISDIR, errno.EEXIST): f"Remove it or name another folder with ${DATA_VARIABLE}",
    (errno.EMFILE, errno.ENFILE): "Raise the limit of this shell, as in `ulimit -n 4096`, and run the command again",
    (errno.EIO, errno.ESTALE): "Check the disk; `ml-assets status` says what stands",
}
_NUMBER_IN_TEXT = re.compile(r"os error (\d+)|\[Errno (\d+)\]")  # of Delta and of DuckDB, which give no errno
_PATH_IN_TEXT = re.compile(r"[\"' ](/[^\"':\n]+)")
_SQLITE_WORDS = {
    "database is locked": errno.EAGAIN,
    "database table is locked": errno.EAGAIN,
    "disk is full": errno.ENOSPC,
    "readonly database": errno.EROFS,
    "unable to open database file": errno.EACCES,
    "disk I/O error": errno.EIO,
}


def explain_machine_error(error: BaseException, state: Path) -> str | None:
    """Say in one line what the machine lacks, where, and what to do; None for any other error.

    Parameters
    ----------
    error
        What was raised; the errors that it was made of are looked at too.
    state
        The folder of all state: what is named where the error names no path.

    Examples
    --------
    >>> explain_machine_error(OSError(errno.ENOSPC, "No space left on device", "/srv/data/lake/x"), Path("/srv/data"))
    '/srv/data/lake/x: no space left on this disk. Free some or move the state with $ML_ASSETS_DATA. What was written
    before stands; then run the command again'
    >>> explain_machine_error(KeyError("a"), Path("/srv/data")) is None
    True
    """
    for each in _chain(error):
        if isinstance(each, SqlLimitError | UnreadableFileError):
            return str(each)
        if isinstance(each, MemoryError):
            return _low_memory(each)
        if type(each).__module__.partition(".")[0] in {"_duckdb", "duckdb"} and "OutOfMemory" in type(each).__name__:
            return _low_memory(each)
        said = _by_number(_number_of(each), each, state)
        if said is not None:
            return said
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Go through an error and those below it, from the outside in."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop(0)
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        waiting += [getattr(found, "orig", None), found.__cause__, found.__context__]


def _number_of(error: BaseException) -> int | None:
    """Give the error number of the system, also where only the text of the error has it."""
    if isinstance(error, sqlite3.Error):
        return next((number for words, number in _SQLITE_WORDS.items() if words in str(error)), None)
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    library = type(error).__module__.partition(".")[0]
    if isinstance(error, OSError) or library in {"deltalake", "_internal", "duckdb", "_duckdb", "pyarrow"}:
        found = _NUMBER_IN_TEXT.search(str(error))
        if found:
            return int(found[1] or found[2])
        return errno.ENOSPC if "No space left" in str(error) else None
    return None


def _by_number(number: int | None, error: BaseException, state: Path) -> str | None:
    if number is None:
        return None
    if number == errno.EAGAIN:
        return _locked(state) if isinstance(error, sqlite3.Error) else None
    path = _path_of(error, state)
    if number in _FULL or (isinstance(error, sqlite3.Error) and number == errno.EIO and _is_full(path)):
        return f"{path}: {_full_disk(path)}. Free some or move the state with ${DATA_VARIABLE}. {_STANDS}"
    advice = next((said for numbers, said in _ADVICE.items() if number in numbers), None)
    return f"{path}: {os.strerror(number).lower()}. {advice}" if advice else None


def _locked(state: Path) -> str:
    held = " and ".join(str(each) for each in locked_databases(state)) or f"a database below {state}"
    return f"{held}: locked by another process. Wait for it or end it; `fuser FILE` names it. {_STANDS}"


def _full_disk(path: str) -> str:
    """Say how much is left on the disk of a path."""
    return "no space left on this disk" + (f" ({_free_mb(path):.1f} MB free)" if Path(path).exists() else "")


def _is_full(path: str) -> bool:
    """Say whether SQLite's `disk I/O error`, which it also gives for a full disk, is one."""
    return _free_mb(path) < _FULL_MB


def _free_mb(path: str) -> float:
    """Give what is left on the disk of a path, of its nearest folder that is there."""
    folder = Path(path)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free / 1e6


def _path_of(error: BaseException, state: Path) -> str:
    named = getattr(error, "filename2", None) or getattr(error, "filename", None)
    if isinstance(named, str | bytes):
        return os.fsdecode(named)
    found = _PATH_IN_TEXT.search(str(error)) if not isinstance(error, sqlite3.Error) else None
    return found[1].strip() if found else str(state)


def _low_memory(error: BaseException) -> str:
    text = str(error).partition("\n")[0].strip()
    return (
        f"out of memory{': ' + text if text else ''}. Free some, take fewer drops at once (--from, --to), let SQL take "
        f"more with ${MEMORY_VARIABLE}, as in 4GB, or spill to a larger disk with ${SPILL_VARIABLE}. {_STANDS}"
    )


def locked_databases(state: Path) -> list[Path]:
    """List the SQLite databases below `state` that another process holds right now."""
    found: list[Path] = []
    for path in sorted([*state.glob("*/*.db"), *state.glob("*/*.sqlite"), *state.glob("dagster_home/**/*.db")]):
        try:
            connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", timeout=0, uri=True)
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
            finally:
                connection.close()
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                found.append(path)
    return list(dict.fromkeys(found))
