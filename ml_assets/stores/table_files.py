"""The files of a Delta table up to one version: its log, and the data that any version of that log names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

_NO_VERSION = 10**20
_LOG = "_delta_log"
_NEWEST_CHECKPOINT = "_last_checkpoint"


def files_up_to(folder: Path, version: int) -> list[Path]:
    """List the files of a table that its versions up to `version` are read from, below `folder`.

    A file is never changed once a version names it, so they can be copied while the table is written to. Files that
    only versions removed by housekeeping named are gone, and left out.
    """
    log = sorted(path for path in (folder / _LOG).iterdir() if _number(path) <= version)
    newest = folder / _LOG / _NEWEST_CHECKPOINT
    if newest.exists() and json.loads(newest.read_bytes())["version"] <= version:
        log.append(newest)
    named = {path for file in log if file.suffix == ".json" for path in _added(file)}
    checkpoints = [_number(path) for path in log if ".checkpoint" in path.name]
    if checkpoints:  # commits before it may be gone
        named |= _files_of(folder, min(checkpoints))
    data = (folder / name for name in sorted(named))
    return [*log, *(path for path in data if path.exists())]


def _number(path: Path) -> int:
    return int(path.name[:20]) if path.name[:20].isdigit() else _NO_VERSION


def _added(commit: Path) -> Iterator[str]:
    for line in commit.read_text(encoding="utf-8").splitlines():
        added = json.loads(line).get("add")
        if added is not None:
            yield unquote(added["path"])


def _files_of(folder: Path, version: int) -> set[str]:
    from deltalake import DeltaTable

    found = DeltaTable(str(folder), version=version).get_add_actions()
    import pyarrow as pa

    return {unquote(path) for path in pa.table(found)["path"].to_pylist()}
