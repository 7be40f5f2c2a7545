"""What is committed: one version of each table, in a file that is replaced as a whole.

Delta commits one table at a time, and a run writes many. The record names one version of each table; readers use these
versions, so they see all that a run wrote or nothing of it. Newer versions were written by a run that has not ended, or
by one that was killed or failed: the next run removes them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ml_assets.stores.landing import write_whole

Stamp = tuple[int, int]
FILE = "commit.json"
_KEPT = 50  # undone runs that are remembered, to refuse a resumed one


class UndoneRunError(RuntimeError):
    """A run that goes on from one whose tables were undone."""


@dataclass(frozen=True)
class CommitRecord:
    """The committed state of a lake.

    Attributes
    ----------
    number
        How many runs have committed.
    tables
        The committed version of each table; one that is not named is not there for readers.
    writer
        The run that writes, or that wrote and has not committed; empty where none does.
    undone
        The newest runs whose writes were undone.
    """

    number: int = 0
    tables: Mapping[str, int] = field(default_factory=dict[str, int])
    writer: str = ""
    undone: tuple[str, ...] = ()

    def of_writer(self, writer: str) -> CommitRecord:
        """Give the record while `writer` writes."""
        return replace(self, writer=writer)

    def committed(self, tables: Mapping[str, int]) -> CommitRecord:
        """Give the record of a run that has ended."""
        return replace(self, number=self.number + 1, tables=dict(tables), writer="")

    def without_writer(self) -> CommitRecord:
        """Give the record after what its writer wrote was undone."""
        undone = (*self.undone, self.writer)[-_KEPT:] if self.writer else self.undone
        return replace(self, writer="", undone=undone)


def read_record(folder: Path) -> tuple[Stamp, CommitRecord] | None:
    """Read the record of a lake, with what tells this writing of it from every other; None where there is none."""
    path = folder / FILE
    try:
        with path.open("rb") as file:
            content, stamp = json.load(file), _stamp(os.fstat(file.fileno()))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; take the lake folder from a backup") from error
    return stamp, CommitRecord(**{**content, "undone": tuple(content["undone"])})


def stamp_of(folder: Path) -> Stamp | None:
    """Tell one writing of the record from every other, without reading it; None where there is none."""
    try:
        return _stamp((folder / FILE).stat())
    except OSError:
        return None


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_mtime_ns, found.st_ino


def write_record(folder: Path, record: CommitRecord) -> None:
    """Replace the record, whole or not at all."""
    write_whole(folder / FILE, json.dumps(asdict(record), sort_keys=True).encode())
