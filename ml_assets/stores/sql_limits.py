"""How much of the machine one SQL connection may take: threads, memory, and where it spills what memory does not hold.

The environment declares them for the machine: `ML_ASSETS_SQL_THREADS`, `ML_ASSETS_SQL_MEMORY`, `ML_ASSETS_SQL_SPILL`.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from ml_assets.stores.processes import is_running

THREADS_VARIABLE = "ML_ASSETS_SQL_THREADS"
MEMORY_VARIABLE = "ML_ASSETS_SQL_MEMORY"
SPILL_VARIABLE = "ML_ASSETS_SQL_SPILL"
_SPILL = "ml_assets_sql_"  # before the number of the process
_MOST_THREADS = 2  # by default: fits and other runs want the cores too
_SHARE_OF_MEMORY = 0.6
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class SqlLimitError(ValueError):
    """A limit of the environment that says nothing DuckDB could keep to."""


@dataclass(frozen=True)
class SqlLimits:
    """The limits of one connection. `spill` is a folder of its own, made when it is needed and removed at the end."""

    threads: int
    memory: str
    spill: Path


def sql_limits(environment: Mapping[str, str] | None = None) -> SqlLimits:
    """Read the limits of this machine; by default two threads, 60 % of the memory, and the system's temporary folder.

    Raises
    ------
    SqlLimitError
        With the variable, what it holds and what it may hold.

    Examples
    --------
    >>> found = sql_limits({"ML_ASSETS_SQL_THREADS": "4", "ML_ASSETS_SQL_MEMORY": "2GB", "ML_ASSETS_SQL_SPILL": "/srv"})
    >>> found.threads, found.memory, found.spill.parent.as_posix()
    (4, '2GB', '/srv')
    """
    given = os.environ if environment is None else environment
    threads = given.get(THREADS_VARIABLE) or str(min(_MOST_THREADS, os.cpu_count() or 1))
    memory = given.get(MEMORY_VARIABLE) or f"{int(_memory_bytes() * _SHARE_OF_MEMORY / 2**20)}MiB"
    if not re.fullmatch(r"[1-9]\d{0,2}", threads):
        raise SqlLimitError(f"${THREADS_VARIABLE}: found {threads!r}; allowed: a whole number from 1 to 999")
    if not re.fullmatch(r"[1-9]\d*(?:\.\d+)? ?(?:[KMGT]i?B)", memory):
        raise SqlLimitError(f"${MEMORY_VARIABLE}: found {memory!r}; allowed: a size such as 500MB or 4GB")
    folder = Path(given.get(SPILL_VARIABLE) or tempfile.gettempdir())
    if not folder.is_absolute():
        raise SqlLimitError(f"${SPILL_VARIABLE}: found {str(folder)!r}; allowed: an absolute path of a folder")
    return SqlLimits(int(threads), memory, folder / f"{_SPILL}{os.getpid()}_{uuid4().hex[:12]}")


def forget_spilled(before: datetime, *, is_dry_run: bool = False) -> list[int]:
    """Remove folders that killed processes spilled to, last written to before a moment; give the sizes of the files."""
    sizes: list[int] = []
    for folder in sql_limits().spill.parent.glob(f"{_SPILL}*_*"):
        number = folder.name.removeprefix(_SPILL).partition("_")[0]
        try:
            files = [path for path in folder.rglob("*") if path.is_file()]
            newest = max(path.stat().st_mtime for path in (folder, *files))
            if not number.isdigit() or is_running(int(number)) or newest >= before.timestamp():
                continue
            found = [path.stat().st_size for path in files]
            if not is_dry_run:
                shutil.rmtree(folder)
        except OSError:  # gone by now, or another user's
            continue
        sizes += found or [0]
    return sizes


def _memory_bytes() -> int:
    """Give the memory that this process may take: of the machine, or of the container around it."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = _CGROUP_LIMIT.read_text().strip()
    except OSError:
        return machine
    return min(machine, int(limit)) if limit.isdigit() else machine
