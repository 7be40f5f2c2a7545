"""Delta tables that stay open.

To open a table, delta-rs reads its checkpoint and each commit since (10 to 30 ms). What was written to a table that is
open is read in addition (2 ms), and two looks at the names in its log tell whether anything was.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deltalake import DeltaTable


class OpenTables:
    """The tables below `folder` that one lake has opened, each with what tells its commit from every other.

    A commit that was taken back and written anew has the same number and another time: the table is opened again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened: dict[str, tuple[int, DeltaTable]] = {}

    def newest(self, table: str) -> DeltaTable | None:
        """Give the newest version of a table; None where there is none."""
        from deltalake import DeltaTable

        kept = self._kept(table)
        if kept is not None:
            return kept if self._commit(table, kept.version() + 1) is None else self._catch_up(table, kept)
        if not DeltaTable.is_deltatable(str(self.folder / table)):
            return None
        return self.keep(table, DeltaTable(str(self.folder / table)))

    def at(self, table: str, version: int) -> DeltaTable | None:
        """Give one version of a table; None where there is no table."""
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        kept = self._kept(table)
        if kept is not None and kept.version() < version:
            kept = self._catch_up(table, kept)
        if kept is not None and kept.version() == version:
            return kept
        try:
            return self.keep(table, DeltaTable(str(self.folder / table), version=version))
        except TableNotFoundError:
            return None

    def keep(self, table: str, opened: DeltaTable) -> DeltaTable:
        """Keep a table open at the version that it has now."""
        commit = self._commit(table, opened.version())
        if commit is not None:
            self._opened[table] = (commit, opened)
        return opened

    def _kept(self, table: str) -> DeltaTable | None:
        """Give a table that is open, if the commit that it was kept at is still there."""
        commit, kept = self._opened.get(table, (None, None))
        if kept is None or commit == self._commit(table, kept.version()):
            return kept
        del self._opened[table]
        return None

    def _catch_up(self, table: str, kept: DeltaTable) -> DeltaTable:
        kept.update_incremental()
        return self.keep(table, kept)

    def _commit(self, table: str, version: int) -> int | None:
        """Give when a version was committed, in ns; None where it is not there."""
        try:
            return (self.folder / table / "_delta_log" / f"{version:020}.json").stat().st_mtime_ns
        except OSError:
            return None
