"""Rows of a database as immutable files of drops: each row once, whatever breaks meanwhile.

An extraction is one file `<drop>.parquet` and, written last, `<drop>.json`, which says how far it went. Until that is
there nothing happened: the next try reads the same rows again. What is there is never read again; it is copied into the
landing folder, and again where that copy is missing. Everything behind reads the landed files, and never the database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ml_assets.spec.calendar import Calendar
from ml_assets.spec.contract import Source
from ml_assets.spec.databases import Extract
from ml_assets.spec.drop import DropKey, read_key
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.database_texts import as_stored, as_text, read_moment
from ml_assets.stores.databases import DatabaseError, fetch_one, fetch_parts, opened, quoted
from ml_assets.stores.landing import write_whole
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.write_lock import write_lock

if TYPE_CHECKING:
    from sqlalchemy import Connection

Key = tuple[str | None, ...]


@dataclass(frozen=True)
class Extraction:
    """What one extraction took.

    Attributes
    ----------
    high
        How far it went: a moment in UTC, or a number. The next one begins above it.
    sha256
        Of the file.
    rows, deleted, unmarked
        Rows in the file, those of them that say that a row is gone, and rows of the database without a watermark, which
        are never taken.
    seen
        Hashes of the rows that the next one, looking back by `overlap`, would find again.
    """

    source: str
    drop: str
    high: str
    sha256: str
    rows: int
    deleted: int
    unmarked: int
    extracted_at: str
    seen: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class _Files:
    """Where the extractions of a source are."""

    folder: Path

    def newest(self) -> Extraction | None:
        """Give the last extraction that was finished."""
        names = sorted(path.name for path in self.folder.glob("*.json")) if self.folder.is_dir() else []
        return Extraction(**json.loads((self.folder / names[-1]).read_bytes())) if names else None

    def rows(self, drop: str) -> Path:
        return self.folder / f"{drop}.parquet"

    def finished(self) -> list[Path]:
        """List the files of finished extractions, the newest first."""
        return [self.rows(path.stem) for path in sorted(self.folder.glob("*.json"), reverse=True)]

    def keys(self, drop: str) -> Path:
        return self.folder / f"{drop}.keys.parquet"


def extract_source(
    spec: UseCaseSpec, paths: StatePaths, source: Source, now: datetime, last: DropKey | None = None
) -> list[Extraction]:
    """Extract what is new in a source, drop by drop, and land it; give what was taken, nothing where nothing was due.

    Parameters
    ----------
    now
        The wall's moment: no drop whose batch is still to come is taken by a watermark of time.
    last
        The last drop to extract; by default the newest whose batch is past, or, where the clock is the data's, the
        one that holds the newest row.

    Raises
    ------
    DatabaseError
        If the database cannot be reached or read. What was taken before stays; the drop that was under way is taken
        whole by the next call.
    """
    extract = cast("Extract", source.extract)
    files = _Files(paths.extracted / spec.name / source.name)
    with write_lock(paths.locks, lock_name(spec, source)):
        before = files.newest()
        if before is not None:
            _land(spec, paths, source, files, before)
        with opened(extract.url, is_read_only=True) as connection:
            drops = list(_drops_due(spec.calendar, _Reading(connection, source), before, (now, last), spec.clock))
        found: list[Extraction] = []
        for drop in drops:
            with opened(extract.url, is_read_only=True) as connection:
                before = _take(_Reading(connection, source), files, spec.calendar, drop, before, now)
            _land(spec, paths, source, files, before)
            found.append(before)
    return found


def _drops_due(
    calendar: Calendar, reading: _Reading, before: Extraction | None, until: tuple[datetime, DropKey | None], clock: str
) -> Iterator[DropKey]:
    """Give the drops to extract: by time each since the last one; by number the one that receives now."""
    now, last = until
    if last is None:
        newest = reading.newest() if clock == "data" and reading.is_by_time else now
        last = calendar.drop_receiving(newest or now)
        if clock == "wall" and reading.is_by_time and calendar.batch_at(last) > now:
            last = calendar.previous_drop(last)
    if calendar.last_drop is not None:
        last = min(last, calendar.last_drop)
    first = calendar.first_drop if before is None else calendar.next_drop(read_key(before.drop))
    if first is None or last < first:
        return
    if reading.is_by_time:
        yield from calendar.drops_between(first, last)
    else:
        yield last


class _Reading:
    """The rows of a source in an open database, all from one snapshot."""

    def __init__(self, connection: Connection, source: Source) -> None:
        extract = cast("Extract", source.extract)
        self.connection, self.source, self.extract = connection, source, extract
        self.names = [name for name in source.columns if name != extract.deleted]
        self.is_by_time = source.columns[extract.watermark].type == "timestamp"
        table = quoted(connection, extract.table) if extract.table else f"({extract.query.rstrip().rstrip(';')}) AS q"
        self._from, self._mark = f" FROM {table}", quoted(connection, extract.watermark)
        self.sample = fetch_one(connection, f"SELECT max({self._mark}){self._from}")

    def newest(self) -> datetime | None:
        """Give the newest watermark, in UTC; None of a table without rows."""
        return None if self.sample is None else read_moment(self.sample, self.source.columns[self.extract.watermark])

    def unmarked(self) -> int:
        """Count the rows without a watermark."""
        return fetch_one(self.connection, f"SELECT count(*){self._from} WHERE {self._mark} IS NULL")

    def rows(self, low: object, high: object) -> Iterator[list[str | None]]:
        """Give the rows above `low` up to `high` in the order of their watermark; no bound where one is None."""
        bounds = {name: value for name, value in (("low", low), ("high", high)) if value is not None}
        signs = {"low": ">", "high": "<="}
        where = " AND ".join([f"{self._mark} IS NOT NULL", *(f"{self._mark} {signs[n]} :{n}" for n in bounds)])
        listed = ", ".join(quoted(self.connection, name) for name in self.names)
        keys = ", ".join(quoted(self.connection, name) for name in self.source.key)
        sql = f"SELECT {listed}{self._from} WHERE {where} ORDER BY {self._mark}, {keys}"
        for part in fetch_parts(self.connection, sql, bounds):
            for row in part:
                yield [as_text(value) for value in row]

    def keys(self) -> set[Key]:
        """Give the keys of all rows."""
        listed = ", ".join(quoted(self.connection, name) for name in self.source.key)
        parts = fetch_parts(self.connection, f"SELECT {listed}{self._from}", {})
        return {tuple(as_text(value) for value in row) for part in parts for row in part}

    def key_of(self, row: Sequence[str | None]) -> Key:
        return tuple(row[self.names.index(name)] for name in self.source.key)


def _take(
    reading: _Reading, files: _Files, calendar: Calendar, drop: DropKey, before: Extraction | None, now: datetime
) -> Extraction:
    """Extract one drop, and finish it by its .json; nothing counts that ends before that."""
    import pyarrow as pa

    extract, column = reading.extract, reading.source.columns[reading.extract.watermark]
    low, high = _bounds(reading, calendar, drop, before)
    look_from = low - extract.overlap if isinstance(low, datetime) and extract.overlap else low
    stored = [None if each is None else as_stored(each, reading.sample, column) for each in (look_from, high)]
    seen, again = set(before.seen if before else ()), list[str]()
    keep_from = high - extract.overlap if isinstance(high, datetime) and extract.overlap else None
    rows: list[list[str | None]] = []
    for row in reading.rows(*stored):
        mark = hashlib.sha256("\x1f".join("\x00" if cell is None else cell for cell in row).encode()).hexdigest()[:20]
        if keep_from is not None:
            at = read_moment(cast("str", row[reading.names.index(extract.watermark)]), column)
            again += [mark] if at is not None and at > keep_from else []
        if mark not in seen:
            rows.append(row)
    gone, known = ([], None) if extract.deleted is None else _compare_keys(reading, files, before, rows, stored[1])
    names = [*reading.names, *([extract.deleted] if extract.deleted else [])]
    told = [*([*row, "false"] if extract.deleted else row for row in rows), *_tombstones(reading, files, gone, high)]
    table = pa.table({name: pa.array([row[place] for row in told], pa.string()) for place, name in enumerate(names)})
    content = _parquet(table)
    done = Extraction(
        reading.source.name, str(drop), _as_mark(high), hashlib.sha256(content).hexdigest(), len(told),
        len(gone), reading.unmarked(), now.astimezone(UTC).isoformat(), again,
    )  # fmt: skip
    write_whole(files.rows(done.drop), content)
    if known is not None:
        listed = {name: pa.array([key[n] for key in known], pa.string()) for n, name in enumerate(reading.source.key)}
        write_whole(files.keys(done.drop), _parquet(pa.table(listed)))
    write_whole(files.folder / f"{done.drop}.json", json.dumps(asdict(done)).encode())
    return done


def _bounds(
    reading: _Reading, calendar: Calendar, drop: DropKey, before: Extraction | None
) -> tuple[datetime | int | None, datetime | int]:
    """Give the watermarks between which rows are taken: up to the batch, or up to the largest number."""
    if reading.is_by_time:
        return (datetime.fromisoformat(before.high) if before else None), calendar.batch_at(drop)
    low = int(before.high) if before else None
    return low, max(int(reading.sample), low or 0) if reading.sample is not None else low or 0


def _as_mark(high: datetime | int) -> str:
    return high.isoformat() if isinstance(high, datetime) else str(high)


def _compare_keys(
    reading: _Reading, files: _Files, before: Extraction | None, rows: list[list[str | None]], high: Any
) -> tuple[list[Key], list[Key]]:
    """Find keys that are gone, and add rows of keys that came below the watermark; give the former, and all known."""
    import pyarrow.parquet as pq

    known: set[Key] = set()
    if before is not None and files.keys(before.drop).is_file():
        table = pq.read_table(files.keys(before.drop))
        known = (
            set(zip(*(table[name].to_pylist() for name in reading.source.key), strict=True))
            if table.num_rows
            else known
        )
    present = reading.keys()
    taken = {reading.key_of(row) for row in rows}
    gone = sorted(known - present, key=str)
    if present - known - taken:  # new to us, though older than the watermark: committed late, or come back
        unknown = present - known - taken
        rows += [row for row in reading.rows(None, high) if reading.key_of(row) in unknown]
        taken = {reading.key_of(row) for row in rows}
    return gone, sorted((known | taken) - set(gone), key=str)


def _tombstones(reading: _Reading, files: _Files, gone: Sequence[Key], high: datetime | int) -> list[list[str | None]]:
    """Give, for each key that is gone, its last row with the mark of now, and true in the column for it."""
    import pyarrow.parquet as pq

    open_keys, found = set(gone), list[list[str | None]]()
    for path in files.finished():
        if not open_keys:
            break
        table = pq.read_table(path)
        columns = [table[name].to_pylist() for name in reading.names]
        for row in reversed(list(zip(*columns, strict=True))):
            key = reading.key_of(row)
            if key in open_keys:
                open_keys.discard(key)
                last = list(row)
                if isinstance(high, datetime):
                    last[reading.names.index(reading.extract.watermark)] = as_text(high.astimezone(UTC))
                found.append([*last, "true"])
    return sorted(found, key=str)


def _parquet(table: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def _land(spec: UseCaseSpec, paths: StatePaths, source: Source, files: _Files, done: Extraction) -> None:
    """Copy a finished extraction into the landing folder, where it is not yet; what is there is never changed."""
    target = paths.landing / spec.name / done.drop / source.file_name
    content = files.rows(done.drop).read_bytes()
    if hashlib.sha256(content).hexdigest() != done.sha256:
        found = f"{files.rows(done.drop)} was changed since it was extracted"
        raise DatabaseError(f"{found}; put back the file with sha256 {done.sha256}")
    if target.exists():
        if hashlib.sha256(target.read_bytes()).hexdigest() != done.sha256:
            raise DatabaseError(
                f"{target} is there with other content, and landed files are never changed; move it away"
            )
    else:
        write_whole(target, content)
    if source.upload.marker:
        target.with_name(source.expected_file.marker_of(target.name)).touch()


def lock_name(spec: UseCaseSpec, source: Source) -> str:
    """Name the lock of whoever extracts a source."""
    return f"{spec.name}_extract_{source.name}"


def last_extractions(spec: UseCaseSpec, paths: StatePaths) -> dict[str, Extraction | None]:
    """Give how far each source that is extracted has come."""
    sources = [source for source in spec.sources if source.extract is not None]
    return {source.name: _Files(paths.extracted / spec.name / source.name).newest() for source in sources}


def without_hashes(done: Extraction) -> dict[str, Any]:
    """Give an extraction for people and scripts."""
    row = asdict(replace(done, seen=[]))
    row.pop("seen")
    return row
