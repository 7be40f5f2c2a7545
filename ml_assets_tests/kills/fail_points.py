"""Every call that makes something last: counted by its place in the code, and the process killed at a chosen one.

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
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deltalake

PACKAGE = "ml_assets"
_NUMBERS = re.compile(r"[0-9a-f]{8,}|(?<=^tmp)[a-z0-9_]{8}$|\d+")  # ids, dates, names that tempfile draws


@dataclass(frozen=True)
class FailPoint:
    """Where a process is killed: the `count`-th time it comes by `place` in a step of the replay, before or after it.

    `step` counts from 0; those that were done before count too.
    """

    step: int
    place: str
    count: int
    is_after: bool


class Watch:
    """Counts the fail points that this process comes by, and kills it at the first of `targets` that it meets.

    Attributes
    ----------
    step
        The step of the replay that goes on.
    passed
        How often each place was passed, by step.
    met
        The file that names the target it was killed at, by its number among `targets`.
    """

    def __init__(self, targets: Sequence[FailPoint] = (), met: Path | None = None) -> None:
        self.step = 0
        self.passed: dict[int, Counter[str]] = defaultdict(Counter)
        self._targets, self._met = targets, met

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
        """Count a passage, and kill before or after it where it is a target."""
        self.passed[self.step][place] += 1
        here = (self.step, place, self.passed[self.step][place])
        for number, each in enumerate(self._targets):
            if (each.step, each.place, each.count) == here and self._met is not None:
                return _Around(self._met, number, is_after=each.is_after)
        return _Around(None, 0, is_after=False)

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
    """Dies before or after a call, naming the target in the file `met`; where that is None, it does nothing."""

    met: Path | None
    number: int
    is_after: bool

    def __enter__(self) -> None:
        if not self.is_after:
            self._die()

    def __exit__(self, *_: object) -> None:
        if self.is_after:
            self._die()

    def _die(self) -> None:
        if self.met is not None:
            self.met.write_text(str(self.number))
            os.kill(os.getpid(), signal.SIGKILL)
