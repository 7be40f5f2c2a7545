"""The rows of a file that is no CSV, as texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

LINE = "_ml_assets_line"  # a column that no file has


@dataclass(frozen=True)
class TableFile:
    """The rows of a file.

    Attributes
    ----------
    columns
        The names as the file has them.
    rows
        A column a name, all texts or null, and LINE: the line of a JSON file, the row of a sheet, the number of the
        row in Parquet, from 1.
    malformed
        Line and text of what is no row.
    nested
        Names whose values are lists or mappings, or bytes; of JSON lines, those with one such value.
    notes
        What is odd about the file.
    texts
        Names whose values are texts in the file, also where they look like numbers.
    """

    columns: tuple[str, ...]
    rows: pa.Table
    malformed: tuple[tuple[int, str], ...] = ()
    nested: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
