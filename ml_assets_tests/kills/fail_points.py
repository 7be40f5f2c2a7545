"""Every step that makes something last: counted by its place in the code, and the process killed at a chosen one.

A fail point is a call that other processes can see the effect of: a commit of a Delta table, a file that gets its name
or is removed, a commit to one of the SQLite files. It is named by the function that calls it and by what it writes.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import sqlite3.dbapi2
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deltalake

PACKAGE = "ml_assets"
_NUMBERS = re.compile(r"[0-9a-f]{8,}|\d+")


@dataclass(frozen=True)
class FailPoint:
    """Where a process is killed: the `count`-th time it comes by `place`, before or after what it does there."""

    place: str
    count: int
    is_after: bool


class Watch:
    """Counts the fail points that this process comes by, and kills it at `target`."""

    def __init__(self, target: FailPoint | None = None) -> None:
        self.target = target
        self.passed: Counter[str] = Counter()

    def begin(self) -> None:
        """Watch the calls from now on, in this process alone."""
        deltalake.write_deltalake = self._watched("delta", deltalake.write_deltalake)
        os.replace = self._watched("replace", os.replace, of_target=1)
        os.rename = self._watched("rename", os.rename, of_target=1)
        os.unlink = self._watched("unlink", os.unlink)
        shutil.rmtree = self._watched("rmtree", shutil.rmtree)
        connect = sqlite3.connect
        watch = self

        class Connection(sqlite3.Connection):
            def commit(self) -> None:
                with watch.around(f"sqlite {watch.caller()}"):
                    super().commit()

        def connecting(*given: Any, **named: Any) -> sqlite3.Connection:
            return connect(*given, **{"factory": Connection, **named})

        sqlite3.connect = connecting
        sqlite3.dbapi2.connect = connecting  # what SQLAlchemy takes
        sqlite3.dbapi2.connect = connecting  # pyright: ignore[reportAttributeAccessIssue]

    def _watched(self, kind: str, call: Callable[..., Any], of_target: int = 0) -> Callable[..., Any]:
        def watched(*given: Any, **named: Any) -> Any:
            # a table is written to by its path, or through the table that is open
            target = getattr(given[of_target], "table_uri", given[of_target]) if len(given) > of_target else ""
            name = _NUMBERS.sub("N", Path(str(target)).name)
            with self.around(f"{kind} {name} {self.caller()}"):
                return call(*given, **named)

        return watched

    def around(self, place: str) -> _Around:
        """Count a passage, and kill before or after it where it is the one."""
        self.passed[place] += 1
        is_here = self.target is not None and (self.target.place, self.target.count) == (place, self.passed[place])
        return _Around(is_here and not self.target.is_after, is_here and self.target.is_after)  # pyright: ignore[reportOptionalMemberAccess]

    @staticmethod
    def caller() -> str:
        """Name the innermost function of the package on the stack, else what called at all."""
        frame = sys._getframe(2)
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if module.startswith(f"{PACKAGE}."):
                return f"{module.removeprefix(f'{PACKAGE}.')}.{frame.f_code.co_name}"
            frame = frame.f_back
        return "elsewhere"


@dataclass(frozen=True)
class _Around:
    is_before: bool
    is_after: bool

    def __enter__(self) -> None:
        if self.is_before:
            _die()

    def __exit__(self, *_: object) -> None:
        if self.is_after:
            _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
