"""The rows of a table's small files in one file beside them: reading one file costs what reading two small ones does.

A table has a file a drop, so that a table of a year is 365 files of a few rows. A file of a table is never changed and
its name is never used again, so rows that were read from it once can be kept in another form: here as one Arrow file,
`_rows.arrow`, in the folder of the table. It is no state: it may be removed at any time, Delta does not know it, and
what it lacks is read from the files themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.stores.arrow_files import read_arrow, write_arrow

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "_rows.arrow"
LARGEST_FILE = 400_000  # bytes of a file on average, above which reading it alone costs little beside its rows
_MOST_ROWS = 64_000_000  # bytes in memory of a file of packed rows
_PLACES, _FULL = b"places", b"full"


@dataclass(frozen=True)
class PackedRows:
    """The rows of several files of a table, one after the other.

    Attributes
    ----------
    places
        First row and number of rows of each file, by its path below the folder of the table, in their order.
    is_full
        Whether files of older drops were left out, since they do not fit.
    """

    rows: pa.Table
    places: Mapping[str, tuple[int, int]]
    is_full: bool = False

    def take(self, files: Sequence[str]) -> pa.Table:
        """Give the rows of files that lie side by side in `places`."""
        first = self.places[files[0]][0]
        start, n = self.places[files[-1]]
        return self.rows.slice(first, start + n - first)


def read_packed(folder: Path) -> PackedRows | None:
    """Read the packed rows of the table in `folder`; None where there are none, or they cannot be read."""
    rows = read_arrow(folder / NAME)
    described = {} if rows is None else rows.schema.metadata or {}
    if rows is None or _PLACES not in described:
        return None
    places, is_full = json.loads(described[_PLACES]), _FULL in described
    return PackedRows(rows.replace_schema_metadata(None), {name: (start, n) for name, start, n in places}, is_full)


def pack(folder: Path, parts: Mapping[str, pa.Table], after: PackedRows | None = None) -> PackedRows | None:
    """Write the rows of files, by their paths below the folder of a table, in the order of these paths.

    All have the same columns. `after` are rows that were packed before and come first. Of more than fit, those of the
    oldest drops are left out. None where no two fit, or the folder cannot be written.
    """
    import pyarrow as pa

    ordered = sorted(parts)
    tables = [parts[name] for name in ordered]
    lengths = [(name, parts[name].num_rows) for name in ordered]
    if after is not None:
        tables.insert(0, after.rows)
        lengths = [*((name, n) for name, (_, n) in after.places.items()), *lengths]
    rows = pa.concat_tables(tables)
    left_out = 0
    while lengths and rows.slice(left_out).nbytes > _MOST_ROWS:
        left_out += lengths.pop(0)[1]
    if len(lengths) < 2:
        return None
    places: list[tuple[str, int, int]] = []
    start = 0
    for name, n in lengths:
        places.append((name, start, n))
        start += n
    rows = rows.slice(left_out).combine_chunks()
    is_full = left_out > 0 or (after is not None and after.is_full)
    noted = {_PLACES: json.dumps(places).encode(), **({_FULL: b"yes"} if is_full else {})}
    if not write_arrow(folder / NAME, rows.replace_schema_metadata(noted)):
        return None
    return PackedRows(rows, {name: (first, n) for name, first, n in places}, is_full)
