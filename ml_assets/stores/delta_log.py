"""Files of the log of a Delta table: what is taken back, and what no version needs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

_LOG = "_delta_log"


def take_back(folder: Path, newest: Mapping[str, int], committed: Mapping[str, int]) -> None:
    """Take back what lies past the committed versions of the tables in `folder`; what has none is removed."""
    for table, version in newest.items():
        if table not in committed:
            shutil.rmtree(folder / table)
        elif version > committed[table]:
            _cut(folder / table / _LOG, committed[table])


def _cut(log: Path, version: int) -> None:
    """Remove what was logged after `version`, the newest first: killed within, it can go on.

    Files of data stay until housekeeping finds that no version needs them.
    """
    later = [path for path in log.iterdir() if path.name[:20].isdigit() and int(path.name[:20]) > version]
    if any(".checkpoint" in path.name for path in later):
        (log / "_last_checkpoint").unlink(missing_ok=True)  # it may name one of them; the log is listed without it
    for path in sorted(later, key=lambda path: path.name, reverse=True):
        path.unlink()


def unneeded_log(folder: Path, before: datetime) -> list[Path]:
    """List the files of a log that precede its newest checkpoint from before a moment."""
    numbered = {path: int(path.name[:20]) for path in folder.iterdir() if path.name[:20].isdigit()}
    old = [
        number
        for path, number in numbered.items()
        if ".checkpoint" in path.name and path.stat().st_mtime < before.timestamp()
    ]
    return sorted(path for path, number in numbered.items() if number < max(old, default=0))
