"""What was worked out before, given again while nothing it was worked out from has changed.

A sensor looks every few seconds and nearly always finds what it found before. Marks tell that from the times that the
file system keeps: of the logs of tables, of the folders of drops, of files. To take them costs a thousandth of reading.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from ml_assets.spec.received import ExpectedFile

T = TypeVar("T")
_LOOK_AGAIN_S = 300  # whatever the marks say: two changes within one tick of the file system's clock look like one
_MOST = 2000  # results kept in a process: those of the newest names; the others are worked out again
_kept: dict[Hashable, tuple[Hashable, Any]] = {}


class SameObject:
    """Mark an object by which one it is. It is kept with the mark, so no later object can stand at its address.

    >>> first, again = [1], [1]
    >>> SameObject(first) == SameObject(first), SameObject(first) == SameObject(again)
    (True, False)
    """

    def __init__(self, marked: object) -> None:
        self._marked = marked

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SameObject) and self._marked is other._marked

    def __hash__(self) -> int:
        return id(self._marked)


def keep_unchanged(name: Hashable, mark: Hashable, work: Callable[[], T]) -> T:
    """Give what `work` gave for the same `mark`, or do it; what it gave last is kept under `name`."""
    found = _kept.get(name)
    if found is None or found[0] != mark:
        found = (mark, work())
        _kept.pop(name, None)  # the newest stand last
        _kept[name] = found
        while len(_kept) > _MOST:
            _kept.pop(next(iter(_kept)), None)
    return found[1]


def is_unchanged(name: Hashable, mark: Hashable) -> bool:
    """Say whether the work of `name` was done for the same `mark`."""
    return name in _kept and _kept[name][0] == mark


def forget_unchanged(name: Hashable) -> None:
    """Do the work of `name` again the next time."""
    _kept.pop(name, None)


def time_mark(now: datetime) -> int:
    """Mark a moment: it changes every five minutes."""
    return int(now.timestamp() // _LOOK_AGAIN_S)


def table_marks(lake: Path, tables: Iterable[str]) -> Hashable:
    """Mark the newest versions of tables, and what lies beside them: a commit adds a file to a log."""
    return (_changed(lake), *(_changed(lake / table / "_delta_log") for table in tables))


def landing_marks(landing: Path, files: Sequence[ExpectedFile] = ()) -> Hashable:
    """Mark which files lie in the folders of drops; not what is in them. Sub-folders where some of `files` may be."""
    depth = max((pattern.count("/") for file in files for pattern in file.patterns), default=0)
    try:
        with os.scandir(landing) as entries:
            found = [(entry.name, entry.stat(follow_symlinks=False).st_mtime_ns) for entry in entries]
        for level in range(1, depth + 1):
            inner = landing.glob("/".join(["*"] * (level + 1)))
            found += [(str(each), each.lstat().st_mtime_ns) for each in inner if each.is_dir()]
    except OSError:
        return None
    return tuple(sorted(found))


def file_mark(path: Path) -> Hashable:
    """Mark the content of a file: whoever writes it can set its time, and not that of its inode."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def folder_marks(folder: Path) -> Hashable:
    """Mark the content of every file below a folder."""
    return tuple((str(path), file_mark(path)) for path in sorted(folder.rglob("*")))


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
