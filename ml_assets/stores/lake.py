"""The lake: one Delta table an asset, written a range of drops at a time, read through DuckDB."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_assets.spec.drop import DropKey
from ml_assets.stores.commit_record import CommitRecord, UndoneRunError, read_record, stamp_of, write_record
from ml_assets.stores.delta_log import (
    Forgotten,
    newest_version,
    read_forgotten,
    take_back,
    unneeded_log,
    write_forgotten,
)
from ml_assets.stores.kept_files import scan
from ml_assets.stores.open_tables import OpenTables
from ml_assets.stores.state_version import begin_lake
from ml_assets.stores.table_files import (
    PARTITION,
    TableFiles,
    drop_of,
    list_files,
    pyarrow_schema,
    refuse_other_types,
    sql_type,
)

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from deltalake import DeltaTable

_METADATA_KEY = "ml_assets"
_PROPERTIES = {
    "delta.enableExpiredLogCleanup": "false",  # else versions older than 30 days go, at every checkpoint
    "delta.checkpointInterval": "20",  # a table is opened from its checkpoint and each commit since: 1 ms a commit
    "delta.dataSkippingNumIndexedCols": "0",  # files are chosen by drop alone: no extremes of columns are kept
}


class MissingTableError(LookupError):
    """A table that no run has written yet."""


class Lake:
    """The tables of one use case, under `folder`.

    Every write is one atomic commit that keeps the versions before it, until `forget` removes the old ones. Files are
    never listed from the folder: a killed writer leaves some that no version knows.

    Between `begin` and `commit` a run writes, and sees what it has written. Everybody else reads the versions that the
    commit record names: see stores/commit_record.py. A write outside of these two is committed at once.

    Attributes
    ----------
    folder
        The folder of the tables.
    is_pinned
        Read what is committed now, for as long as this object lives, whatever is committed later.
    is_writing
        A run writes through this object.
    """

    def __init__(self, folder: Path, *, is_pinned: bool = False) -> None:
        self.folder = folder
        self.is_pinned = is_pinned
        self._opened_tables = OpenTables(folder)
        self._listed: dict[str, tuple[DeltaTable, TableFiles]] = {}
        self.is_writing = False
        self._record = read_record(folder)

    def begin(self, writer: str, resumes: str = "") -> str:
        """Begin a run, under the write lock: undo what another one left, unless `resumes` names it; give which it was.

        Raises
        ------
        UndoneRunError
            Where the run that is resumed was undone.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        record = self._committed_now() or CommitRecord(tables=self._newest_versions())
        if resumes and resumes in record.undone:
            raise UndoneRunError(
                f"run {resumes} did not end, and what it wrote was undone when another run began; allowed: to run its "
                "drops again as a whole"
            )
        is_resumed = bool(resumes) and resumes == record.writer
        undone = "" if is_resumed else record.writer
        if not is_resumed:
            take_back(self.folder, self._newest_versions(), record.tables)
            record = record.without_writer()
        self._put(record.of_writer(writer))
        self.is_writing = True
        return undone

    def commit(self) -> None:
        """End the run: from now on everybody sees what it wrote."""
        record = self._committed_now()
        if not self.is_writing or record is None:
            raise RuntimeError(f"{self.folder}: nothing was begun")
        self._put(record.committed(self._newest_versions()))
        self.is_writing = False

    def leave(self) -> None:
        """End the run without a commit: what it wrote is seen by none but a run that resumes it."""
        self.is_writing = False

    def unfinished_run(self) -> str:
        """Name the run that writes, or that ended without a commit; empty where there is none."""
        record = self._committed_now()
        return record.writer if record else ""

    def tables(self) -> list[str]:
        """Name the tables that exist."""
        record = None if self.is_writing else self._committed_now()
        return self._stored_tables() if record is None else sorted(record.tables)

    def has(self, table: str) -> bool:
        """Say whether `table` was ever written."""
        return self._opened(table) is not None

    def version(self, table: str) -> int | None:
        """Give the newest version of `table`; None when it was never written."""
        return self._open(table).version() if self.has(table) else None

    def versions(self, tables: Iterable[str]) -> dict[str, int | None]:
        """Give the newest version of each of `tables`."""
        return {table: self.version(table) for table in tables}

    def replace_drops(
        self, table: str, rows: pa.Table, drops: Sequence[DropKey], metadata: Mapping[str, Any] | None = None
    ) -> int:
        """Replace the partitions `drops` of `table` by `rows`, in one commit; other drops are untouched.

        A drop without rows becomes empty. Raises ValueError when a row belongs to another drop.
        """
        strays = set(rows[PARTITION].unique().to_pylist()) - set(drops)
        if strays:
            raise ValueError(f"{table}: rows of drops that are not written here: {sorted(map(str, strays))}")
        self._create(table, rows.schema, [PARTITION])
        refuse_other_types(f"{self.folder.name}.{table}", self.column_types(table), rows.schema)
        days = ", ".join(f"'{day}'" for day in sorted(drops))
        return self._write(table, rows, metadata, mode="overwrite", predicate=f"{PARTITION} IN ({days})")

    def replace(self, table: str, rows: pa.Table, metadata: Mapping[str, Any] | None = None) -> int:
        """Replace all of `table` by `rows`, as a new version."""
        return self._write(table, rows, metadata, mode="overwrite", schema_mode="overwrite")

    def append(self, table: str, rows: pa.Table, metadata: Mapping[str, Any] | None = None) -> int:
        """Add `rows` to `table`."""
        self._create(table, rows.schema, None)
        refuse_other_types(f"{self.folder.name}.{table}", self.column_types(table), rows.schema)
        return self._write(table, rows, metadata, mode="append")

    def rewrite(self, table: str, rows: pa.Table) -> int:
        """Replace all of a partitioned `table` by `rows`, whose columns or types are others, as a new version."""
        return self._write(table, rows, None, mode="overwrite", schema_mode="overwrite", partition_by=[PARTITION])

    def rename(self, table: str, name: str) -> None:
        """Give a table another name."""
        (self.folder / table).rename(self.folder / name)

    def has_properties(self, table: str) -> bool:
        """Say whether delta-rs is told to keep the versions of `table`."""
        return not _PROPERTIES.items() - self._open(table).metadata().configuration.items()

    def set_properties(self, table: str) -> None:
        """Tell delta-rs to keep the versions of `table`, as a new version."""
        self._open(table).alter.set_table_properties(_PROPERTIES)

    def column_types(self, table: str) -> dict[str, str]:
        """Give the SQL type of each column of `table`."""
        return {field.name: sql_type(field.type) for field in pyarrow_schema(self._open(table))}

    def files(self, table: str, version: int | None = None, drops: tuple[DropKey, DropKey] | None = None) -> TableFiles:
        """List the live files of `table`, of one version if named, of the drops from..to if given."""
        opened = self._open(table, version)
        listed = self._listed.get(table)
        if listed is None or listed[0] is not opened or listed[1].version != opened.version():
            listed = (opened, list_files(table, opened))
            self._listed[table] = listed
        return listed[1] if drops is None else listed[1].between(*drops)

    def relation(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: str,
        drops: tuple[DropKey, DropKey] | None = None,
        version: int | None = None,
    ) -> duckdb.DuckDBPyRelation:
        """Give the rows of `table` as a lazy relation.

        Raises
        ------
        MissingTableError
            When `table` was never written.
        """
        return scan(connection, self.files(table, version, drops))

    def metadata(self, table: str, version: int | None = None) -> dict[str, Any]:
        """Give what was recorded with a version of `table`, the newest if none is named."""
        newest = self._open(table).version()
        wanted = newest if version is None else version
        for commit in self._commits(table):
            if commit.get("version") == wanted:
                return json.loads(commit.get(_METADATA_KEY, "{}"))
        raise MissingTableError(f"{table} has no version {wanted}; allowed: 0 to {newest}")

    def history(self, table: str) -> list[dict[str, Any]]:
        """List what was recorded with each version of `table`, newest first, with its version."""
        commits = self._commits(table)
        return [{"version": commit["version"], **json.loads(commit.get(_METADATA_KEY, "{}"))} for commit in commits]

    def committed_at(self, table: str, version: int) -> int:
        """Give when a version of `table` was committed, in ms since 1970."""
        return self._committed(table)[version]

    def version_at(self, table: str, moment_ms: int) -> int | None:
        """Give the version that `table` had at a moment, in ms since 1970; None before it was there."""
        if not self.has(table):
            return None
        return max((version for version, at in self._committed(table).items() if at <= moment_ms), default=None)

    def kept_versions(self, table: str) -> set[int]:
        """Give the versions of `table` that can still be read: see `forget`."""
        return read_forgotten(self.folder / table).readable(self._committed(table)) if self.has(table) else set()

    def forget(
        self, table: str, before: datetime, now: datetime, *, keep: Collection[int] = (), is_dry_run: bool = False
    ) -> list[int]:
        """Remove what only versions superseded `before` a moment need, and what killed writers left; give the sizes.

        Versions before can be read no more, but those of `keep`: where some are named, the log stays. No commit is
        made, as Delta's own vacuum would: the newest version stays the one that was last written.
        """
        folder = self.folder / table
        if not is_dry_run:
            write_forgotten(folder, Forgotten(self.version_at(table, int(before.timestamp() * 1000)) or 0, tuple(keep)))
        hours = max(0, int((now - before).total_seconds() // 3600))
        files = self._open(table).vacuum(
            hours, dry_run=True, enforce_retention_duration=False, full=True, keep_versions=[*keep] or None
        )
        unneeded = [folder / file for file in files]
        if not keep:
            unneeded += unneeded_log(folder / "_delta_log", before)
        sizes = [path.stat().st_size for path in unneeded]
        for path in unneeded if not is_dry_run else ():
            path.unlink(missing_ok=True)
        return sizes

    def rewritten(self, table: str, since: Mapping[DropKey, int], until: int) -> set[DropKey]:
        """Name the drops whose files in version `until` are not those of the version that `since` gives for each.

        Every version of `since` is one that can be read: see `kept_versions`.
        """
        now, committed = self._files_by_drop(table, until), self._committed(table)
        written = self._written(table, until)
        # most were written before: opening each version to see is for the others
        later = {drop: v for drop, v in since.items() if written.get(drop, committed[until]) > committed[v]}
        before = {version: self._files_by_drop(table, version) for version in set(later.values())}
        return {drop for drop, version in later.items() if now.get(drop) != before[version].get(drop)}

    def rewritten_drops(self, table: str, since: int, last: DropKey) -> set[DropKey]:
        """Name the drops up to `last` whose files are not those of version `since`."""
        now, before = self._files_by_drop(table, None), self._files_by_drop(table, since)
        return {drop for drop in now.keys() | before.keys() if drop <= last and now.get(drop) != before.get(drop)}

    def _committed(self, table: str) -> dict[int, int]:
        return {commit["version"]: commit["timestamp"] for commit in self._commits(table)}

    def _commits(self, table: str) -> list[dict[str, Any]]:
        """List the commits up to the version that is read, newest first; delta-rs numbers them from the newest."""
        until, newest = self._open(table).version(), self._opened_tables.newest(table)
        return [] if newest is None else [each for each in newest.history() if each["version"] <= until]

    def _written(self, table: str, version: int) -> dict[DropKey, int]:
        """Give when the newest file of each drop was written, in ms since 1970."""
        import pyarrow as pa

        found: dict[DropKey, int] = {}
        files = pa.table(self._open(table, version).get_add_actions(flatten=True))
        for file, at in zip(*(files[name].to_pylist() for name in ("path", "modification_time")), strict=True):
            drop = drop_of(file)
            found[drop] = max(found.get(drop, at), at)
        return found

    def _files_by_drop(self, table: str, version: int | None) -> dict[DropKey, set[str]]:
        found: dict[DropKey, set[str]] = {}
        for file in self._open(table, version).file_uris():
            found.setdefault(drop_of(file), set()).add(file)
        return found

    def _open(self, table: str, version: int | None = None) -> DeltaTable:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        newest = self._opened(table)
        if newest is None:
            raise MissingTableError(f"{self.folder.name}.{table} is not there yet: no run has written it")
        if version is None or version == newest.version():
            return newest
        kept = read_forgotten(self.folder / table)
        if kept.readable([version]):
            with suppress(TableNotFoundError, DeltaError):
                return DeltaTable(str(self.folder / table), version=version)
        was = f"; those before {kept.first} are not kept: see `retention.versions`" if kept.first else ""
        raise MissingTableError(f"{table} has no version {version}; allowed: {kept.first} to {newest.version()}{was}")

    def _opened(self, table: str) -> DeltaTable | None:
        """Give the version of a table that is read here; None where there is none."""
        record = None if self.is_writing else self._committed_now()
        if record is None:
            return self._opened_tables.newest(table)
        version = record.tables.get(table)
        return None if version is None else self._opened_tables.at(table, version)

    def _stored_tables(self) -> list[str]:
        return sorted(path.parent.name for path in self.folder.glob("*/_delta_log"))

    def _newest_versions(self) -> dict[str, int]:
        """Give the newest version of each table, from the names in its log."""
        found = {table: newest_version(self.folder / table) for table in self._stored_tables()}
        return {table: version for table, version in found.items() if version is not None}

    def _committed_now(self) -> CommitRecord | None:
        """Give the commit record, read again where it was written since; None where no run has begun yet."""
        if not self.is_pinned and (self._record and self._record[0]) != stamp_of(self.folder):
            self._record = read_record(self.folder)
        return self._record and self._record[1]

    def _put(self, record: CommitRecord) -> None:
        write_record(self.folder, record)
        self._record = read_record(self.folder)

    def _create(self, table: str, schema: pa.Schema, partition_by: list[str] | None) -> None:
        if not self.has(table):
            from deltalake import write_deltalake

            begin_lake(self.folder)
            write_deltalake(
                str(self.folder / table), schema.empty_table(), partition_by=partition_by, configuration=_PROPERTIES
            )
            self._commit_at_once(table)

    def _write(self, table: str, rows: pa.Table, metadata: Mapping[str, Any] | None, **options: Any) -> int:
        from deltalake import CommitProperties, write_deltalake

        options.setdefault("schema_mode", "merge")
        text = json.dumps(dict(metadata or {}), sort_keys=True, default=str)
        target = self._opened_tables.newest(table)
        if target is None:
            begin_lake(self.folder)
        write_deltalake(
            str(self.folder / table) if target is None else target,
            rows,
            configuration=_PROPERTIES if target is None else None,
            commit_properties=CommitProperties(custom_metadata={_METADATA_KEY: text}),
            **options,
        )
        if target is not None:
            self._opened_tables.keep(table, target)  # the write has moved it on
        return self._commit_at_once(table)

    def _commit_at_once(self, table: str) -> int:
        """Give the version just written; outside of a run it is committed."""
        opened = self._opened_tables.newest(table)
        if opened is None:
            raise MissingTableError(f"{self.folder.name}.{table} is gone while it was written")
        record = self._committed_now()
        if not self.is_writing and record is not None:
            self._put(record.committed({**record.tables, table: opened.version()}))
        return opened.version()
