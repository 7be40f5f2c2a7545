"""The rows of tables: small files are kept in memory once they are read, since a file of a table is never changed.

Most tables have a file of a few rows a drop, and a run reads them many times. To read 150 such files takes DuckDB 0.1
to 0.3 s each time, and their rows in memory 0.02. A process that reads a table for the first time finds most of its
files in one, see `packed_rows`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from ml_assets.spec.key_arrays import key_arrow_type
from ml_assets.stores.packed_rows import LARGEST_FILE, PackedRows, pack, read_packed
from ml_assets.stores.table_files import PARTITION, TableFiles, drop_of, scan_sql
from ml_assets.stores.unreadable_files import UnreadableFileError, note_files

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MOST_OF_A_READ = 16_000_000  # bytes of files that are read together; DuckDB reads more than that from disk, lazily
MOST_KEPT = 256_000_000  # bytes of rows in memory, of all tables
MOST_SIZES = 100_000  # files whose size is known
_UNPACKED, _UNPACKED_SHARE = 10, 8  # so many files of a read that lie alone, or an eighth of those packed, are packed


class _Kept:
    """Files and packed rows by path, the longest unread first: what is over the limit goes in that order."""

    def __init__(self, most: int) -> None:
        self.most, self.n_bytes = most, 0
        self._files: OrderedDict[str, pa.Table] = OrderedDict()
        self._packed: OrderedDict[str, PackedRows | None] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._lock = Lock()

    def size(self, path: str) -> int:
        """Give the size of a file in bytes; raises FileNotFoundError where it is not there."""
        if path not in self._sizes:
            if len(self._sizes) > MOST_SIZES:
                self._sizes.clear()
            self._sizes[path] = Path(path).stat().st_size
        return self._sizes[path]

    def read(self, path: str, *, is_partitioned: bool) -> pa.Table:
        """Give the rows of a file, with the drop that its folder says."""
        with self._lock:
            if path in self._files:
                self._files.move_to_end(path)
                return self._files[path]
        rows = _read(path, is_partitioned=is_partitioned)
        with self._lock:
            if path not in self._files:
                self._files[path] = rows
                self.n_bytes += rows.nbytes
            self._shrink()
        return rows

    def packed(self, folder: str) -> PackedRows | None:
        """Give the packed rows of the table in `folder`, as they were when this process first asked."""
        with self._lock:
            if folder in self._packed:
                self._packed.move_to_end(folder)
                return self._packed[folder]
        found = read_packed(Path(folder))
        self.put_packed(folder, found)
        return found

    def put_packed(self, folder: str, packed: PackedRows | None) -> None:
        """Keep packed rows of the table in `folder` instead of those before."""
        with self._lock:
            before = self._packed.pop(folder, None)
            self.n_bytes -= 0 if before is None else before.rows.nbytes
            self._packed[folder] = packed
            self.n_bytes += 0 if packed is None else packed.rows.nbytes
            for path in packed.places if packed is not None else ():
                gone = self._files.pop(f"{folder}/{path}", None)
                self.n_bytes -= 0 if gone is None else gone.nbytes
            self._shrink()

    def _shrink(self) -> None:
        while self.n_bytes > self.most and self._files:
            self.n_bytes -= self._files.popitem(last=False)[1].nbytes
        while self.n_bytes > self.most and self._packed:
            _, packed = self._packed.popitem(last=False)
            self.n_bytes -= 0 if packed is None else packed.rows.nbytes


_KEPT = _Kept(MOST_KEPT)


def rows_of(table: TableFiles) -> pa.Table | None:
    """Give the rows of a table, file after file, in the columns of its schema.

    None where its files are too large, or one is not there: that is for DuckDB to read, or to tell. A column that came
    later is null in the files before it, also where only those are read.
    """
    try:
        n_bytes = sum(map(_KEPT.size, table.files))
        if n_bytes > MOST_OF_A_READ:
            return None
        if table.is_partitioned and len(table.files) > 1 and n_bytes < LARGEST_FILE * len(table.files):
            return _stacked(_small_files(table), table.schema)
        parts = [_KEPT.read(file, is_partitioned=table.is_partitioned) for file in table.files]
    except FileNotFoundError:
        return None
    return _stacked(parts, table.schema)


def _small_files(table: TableFiles) -> list[pa.Table]:
    """Give the rows of files: those that are packed together as one, the others alone. Many of those are packed too."""
    folder = table.files[0].rpartition(f"/{PARTITION}=")[0]
    names = [file[len(folder) + 1 :] for file in table.files]
    packed = _KEPT.packed(folder)
    alone = [name for name in names if packed is None or name not in packed.places]
    if packed is not None and packed.is_full:
        alone = [name for name in alone if name > min(packed.places)]
    if len(alone) >= max(_UNPACKED, 0 if packed is None else len(packed.places) // _UNPACKED_SHARE):
        packed = _pack(folder, alone, packed, table.schema) or packed
    return [
        packed.take(run) if packed is not None and run[0] in packed.places
        else _KEPT.read(f"{folder}/{run[0]}", is_partitioned=True)
        for run in _side_by_side(names, packed)
    ]  # fmt: skip


def _side_by_side(names: Sequence[str], packed: PackedRows | None) -> list[list[str]]:
    """Cut names into runs whose packed rows lie one after the other; what is not packed is a run of its own."""
    runs: list[list[str]] = []
    end = -1
    for name in names:
        start, n = (-1, 0) if packed is None or name not in packed.places else packed.places[name]
        if start >= 0 and start == end:
            runs[-1].append(name)
        else:
            runs.append([name])
        end = start + n if start >= 0 else -1
    return runs


def _pack(folder: str, alone: Sequence[str], before: PackedRows | None, schema: pa.Schema) -> PackedRows | None:
    """Pack files together with those that were packed before and are still there."""
    parts = {name: _KEPT.read(f"{folder}/{name}", is_partitioned=True) for name in alone}
    alike = {name: rows for name, part in parts.items() if (rows := _stacked([part], schema)).schema.equals(schema)}
    is_later = before is not None and before.rows.schema.equals(schema) and min(alone) > max(before.places)
    if before is not None and not (is_later and all(Path(folder, name).exists() for name in before.places)):
        for name in before.places:
            if Path(folder, name).exists() and (rows := _stacked([before.take([name])], schema)).schema.equals(schema):
                alike[name] = rows
        before = None
    packed = pack(Path(folder), alike, before)
    if packed is not None:
        _KEPT.put_packed(folder, packed)
    return packed


def scan(connection: duckdb.DuckDBPyConnection, table: TableFiles) -> duckdb.DuckDBPyRelation:
    """Read the files of a table lazily, or what is kept of them; an empty table still has its columns."""
    rows = rows_of(table)
    if rows is not None:
        return connection.from_arrow(rows)
    note_files(table)
    return connection.sql(scan_sql(table))


def _read(path: str, *, is_partitioned: bool) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.ParquetFile(path, pre_buffer=False).read(use_threads=False)  # half the time where rows are few
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the machine's fault, such as a file that this user may not read
        raise UnreadableFileError(path, str(error)) from None
    if not is_partitioned:
        return rows
    drop = drop_of(path)
    kind = key_arrow_type(drop)
    return rows.append_column(pa.field(PARTITION, kind), pa.repeat(pa.scalar(drop, kind), rows.num_rows))


def _stacked(parts: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    if not parts:
        return schema.empty_table()
    is_one = all(part.schema.equals(parts[0].schema) for part in parts)
    rows = pa.concat_tables(parts, promote_options="none" if is_one else "permissive")
    for field in schema:
        if field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows.select(schema.names)
