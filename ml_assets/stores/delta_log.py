"""Files of the log of a Delta table: what is taken back, what a version is read from, and what no version needs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

from ml_assets.stores.landing import write_whole

_NO_VERSION = 10**20
_LOG = "_delta_log"
_NEWEST_CHECKPOINT = "_last_checkpoint"
_FORGOTTEN = "_forgotten.json"  # ours; Delta passes over it


def newest_version(folder: Path) -> int | None:
    """Give the version of the newest commit of a table, from the names of its log alone; None where there is none."""
    return max((_number(path) for path in (folder / _LOG).glob("*.json") if path.name[:20].isdigit()), default=None)


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
    later = [path for path in log.iterdir() if version < _number(path) < _NO_VERSION]
    if any(".checkpoint" in path.name for path in later):
        (log / _NEWEST_CHECKPOINT).unlink(missing_ok=True)  # it may name one of them; the log is listed without it
    for path in sorted(later, key=lambda path: path.name, reverse=True):
        path.unlink()


@dataclass(frozen=True)
class Forgotten:
    """Which versions of a table can no longer be read: those before `first`, but for the ones that were `kept`."""

    first: int = 0
    kept: tuple[int, ...] = ()

    def readable(self, versions: Iterable[int]) -> set[int]:
        """Give those of `versions` that can be read."""
        return {version for version in versions if version >= self.first or version in self.kept}


def read_forgotten(folder: Path) -> Forgotten:
    """Read which versions of a table housekeeping has removed the files of."""
    path = folder / _LOG / _FORGOTTEN
    if not path.exists():
        return Forgotten()
    content = json.loads(path.read_bytes())
    return Forgotten(content["first"], tuple(content["kept"]))


def write_forgotten(folder: Path, forgotten: Forgotten) -> None:
    """Note which versions cannot be read from now on, before their files are removed."""
    write_whole(folder / _LOG / _FORGOTTEN, json.dumps(asdict(forgotten)).encode())


def unneeded_log(folder: Path, before: datetime) -> list[Path]:
    """List the files of a log that precede its newest checkpoint from before a moment."""
    numbered = {path: int(path.name[:20]) for path in folder.iterdir() if path.name[:20].isdigit()}
    old = [
        number
        for path, number in numbered.items()
        if ".checkpoint" in path.name and path.stat().st_mtime < before.timestamp()
    ]
    return sorted(path for path, number in numbered.items() if number < max(old, default=0))


def files_up_to(folder: Path, version: int) -> list[Path]:
    """List the files of a table that its versions up to `version` are read from, below `folder`.

    A file is never changed once a version names it, so they can be copied while the table is written to. Files that
    only versions removed by housekeeping named are gone, and left out.
    """
    log = sorted(path for path in (folder / _LOG).iterdir() if _number(path) <= version)
    log += [path for path in [folder / _LOG / _FORGOTTEN] if path.exists()]
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
    import pyarrow as pa
    from deltalake import DeltaTable

    found = DeltaTable(str(folder), version=version).get_add_actions()
    return {unquote(path) for path in pa.table(found)["path"].to_pylist()}
