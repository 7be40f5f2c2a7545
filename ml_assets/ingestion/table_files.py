"""Files that are no CSV, as rows of texts: JSON lines, Parquet, and a sheet of an Excel file.

A value becomes the text from which its contract reads the same value again, so that one reader types all formats.
Nothing is cut: a fraction keeps its digits, an instant its offset, a missing value stays null.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_assets.ingestion.csv_records import LONGEST_RECORD, split_lines
from ml_assets.ingestion.file_text import read_file_text
from ml_assets.ingestion.headers import contract_names
from ml_assets.ingestion.unpacking import MEGABYTE, RefusedFileError, looks_like
from ml_assets.spec.file_format import FileFormat

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# what the reader of Excel files raises of a damaged one
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError, IndexError, AttributeError, SyntaxError,
    OSError, NotImplementedError,
)  # fmt: skip
_NESTED = ("STRUCT", "MAP", "UNION", "LIST", "ARRAY", "VARIANT")
_SHOWN = 5


@dataclass(frozen=True)
class TableFile:
    """The rows of a file.

    Attributes
    ----------
    columns
        The names as the file has them.
    rows
        A column a name, all texts or null, and `_line`: the line of a JSON file, the row of a sheet, the number of the
        row in Parquet, from 1.
    malformed
        Line and text of what is no row.
    nested
        Names whose values are lists or mappings, or bytes.
    notes
        What is odd about the file.
    """

    columns: tuple[str, ...]
    rows: pa.Table
    malformed: tuple[tuple[int, str], ...] = ()
    nested: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_table_file(
    connection: duckdb.DuckDBPyConnection, path: Path, declared: FileFormat, wanted: Sequence[str]
) -> TableFile:
    """Read the file at `path` by its declared format.

    Parameters
    ----------
    wanted
        The columns of the contract: of JSON lines, a nested value in one of these makes its line no row.

    Raises
    ------
    RefusedFileError
        If it is not of that format, is cut, unpacks to more than the bound, or has several sheets and none is declared.
    """
    readers: dict[str, Callable[[], TableFile]] = {
        "parquet": lambda: _read_parquet(connection, path, declared),
        "jsonl": lambda: _read_json_lines(path.read_bytes(), declared, wanted),
        "xlsx": lambda: _read_sheet(path.read_bytes(), declared),
    }
    return readers[declared.format]()


def _read_parquet(connection: duckdb.DuckDBPyConnection, path: Path, declared: FileFormat) -> TableFile:
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
        size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    except (pa.ArrowException, OSError) as error:
        with path.open("rb") as file:
            said = looks_like(file.read(8)) or " ".join(str(error).split())[:200]
        raise RefusedFileError("parquet_cut_or_damaged", said) from error
    if size > declared.max_expanded_mb * MEGABYTE:
        raise RefusedFileError("expands_beyond_bound", f"{size:,} bytes, more than {declared.max_expanded_mb:,} MB")
    try:
        relation = connection.read_parquet(str(path))
        nested = tuple(
            name
            for name, kind in zip(relation.columns, map(str, relation.types), strict=True)
            if kind.startswith(_NESTED) or kind.endswith("]") or kind == "BLOB"
        )
        cells = [
            f'{_parquet_text(name, str(kind))} AS "{name.replace(chr(34), chr(34) * 2)}"'
            for name, kind in zip(relation.columns, relation.types, strict=True)
            if name not in nested
        ]
        rows = relation.project(", ".join([*cells, "row_number() OVER () AS _line"])).to_arrow_table()
    except (duckdb.Error, pa.ArrowException) as error:
        raise RefusedFileError("parquet_cut_or_damaged", " ".join(str(error).split())[:200]) from error
    return TableFile(tuple(relation.columns), rows, nested=nested)


def _parquet_text(name: str, kind: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    if kind in ("FLOAT", "DOUBLE"):  # a float of 32 bits is the number that it is, and not the shortest that looks so
        return f"CASE WHEN NOT isnan({quoted}) THEN CAST(CAST({quoted} AS DOUBLE) AS VARCHAR) END"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime(timezone('UTC', {quoted}), '%Y-%m-%d %H:%M:%S.%f') || '+00'"
    return f"CAST({quoted} AS VARCHAR)"


class _NoRowError(ValueError):
    """A line that is JSON and no row."""


def _read_json_lines(content: bytes, declared: FileFormat, wanted: Sequence[str]) -> TableFile:
    import pyarrow as pa

    text = read_file_text(content, declared).text
    lines = split_lines(text) if text else []
    decoder = json.JSONDecoder(
        parse_int=str, parse_float=str, parse_constant=_refuse_constant, object_pairs_hook=_once_each
    )
    objects: list[tuple[int, dict[str, Any]]] = []
    malformed: list[tuple[int, str]] = []
    nested: dict[str, int] = {}
    names: dict[str, None] = {}
    known = set(wanted)
    for number, line in enumerate(lines, start=1):
        if not line or line.isspace():
            continue
        found = _object_of(decoder, line)
        deep = [] if found is None else [key for key, value in found.items() if isinstance(value, dict | list)]
        if found is None or any(key in known or contract_names([key])[0] in known for key in deep):
            malformed.append((number, line))
        else:
            names.update(dict.fromkeys(found))
            objects.append((number, found))
        for key in deep:
            nested[key] = nested.get(key, 0) + 1
    columns = {name: pa.array([_json_text(row.get(name)) for _, row in objects], pa.string()) for name in names}
    rows = pa.table({**columns, "_line": pa.array([number for number, _ in objects], pa.int64())})
    notes = [f"nested_value:{name} in {count} lines" for name, count in nested.items()]
    notes += ["no_row"] if not objects and not malformed else []
    return TableFile(tuple(names), rows, tuple(malformed), notes=tuple(notes))


def _object_of(decoder: json.JSONDecoder, line: str) -> dict[str, Any] | None:
    if len(line) > LONGEST_RECORD:
        return None
    try:
        found = decoder.decode(line)
        json.dumps(found, ensure_ascii=False).encode() if "\\ud" in line.lower() else None
    except (ValueError, RecursionError):  # half a pair of surrogates is no text
        return None
    return found if isinstance(found, dict) and "\\u0000" not in line else None


def _refuse_constant(name: str) -> Any:
    raise _NoRowError(name)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _NoRowError("a key twice")
    return found


def _json_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):  # of no column of the contract
        return json.dumps(value, ensure_ascii=False)
    return value


def _read_sheet(content: bytes, declared: FileFormat) -> TableFile:
    import pyarrow as pa

    names, rows = _sheet_rows(content, declared)
    rows = [(number, row) for number, row in enumerate(rows, start=1) if number > declared.title_lines]
    while rows and all(cell is None for cell in rows[-1][1]):
        rows.pop()
    notes: list[str] = []
    if declared.footer:
        kept = _without_footer([row for _, row in rows], re.compile(declared.footer))
        notes += ["footer_missing"] if kept == len(rows) else []
        rows = rows[:kept]
    if not rows:
        raise RefusedFileError("empty", f"sheets:{', '.join(names)}")
    header = [_cell_text(cell) or "" for cell in rows[0][1]]
    while header and not header[-1].strip():
        header.pop()
    width, body = len(header), [(number, row) for number, row in rows[1:] if any(cell is not None for cell in row)]
    malformed = [
        (number, ";".join(_cell_text(cell) or "" for cell in row))
        for number, row in body
        if any(cell is not None for cell in row[width:])
    ]
    wrong = {number for number, _ in malformed}
    sound = [(number, [*row[:width], *[None] * (width - len(row))]) for number, row in body if number not in wrong]
    columns = [pa.array([_cell_text(row[place]) for _, row in sound], pa.string()) for place in range(width)]
    lines = pa.array([number for number, _ in sound], pa.int64())
    titles = tuple(name.strip() for name in header)
    return TableFile(titles, pa.Table.from_arrays([*columns, lines], [*titles, "_line"]), tuple(malformed),
                     notes=tuple(notes))  # fmt: skip


def _sheet_rows(content: bytes, declared: FileFormat) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Give the names of all sheets, and the rows of the declared one."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            size = sum(part.file_size for part in packed.infolist())
        if size > declared.max_expanded_mb * MEGABYTE:
            raise RefusedFileError("expands_beyond_bound", f"{size:,} bytes, more than {declared.max_expanded_mb:,} MB")
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    except RefusedFileError:
        raise
    except (InvalidFileException, *_DAMAGED) as error:
        raise RefusedFileError("not_xlsx", looks_like(content) or " ".join(str(error).split())[:200]) from error
    names = list(book.sheetnames)
    if declared.sheet and declared.sheet not in names:
        raise RefusedFileError(f"no_sheet:{declared.sheet}", f"sheets:{', '.join(names[:_SHOWN])}")
    if not declared.sheet and len(names) > 1:
        raise RefusedFileError("several_sheets", f"sheets:{', '.join(names[:_SHOWN])}")
    sheet = book[declared.sheet or names[0]]
    sheet.reset_dimensions()  # what a file says of its own size may be wrong
    try:
        return names, [tuple(row) for row in sheet.iter_rows(values_only=True)]
    except _DAMAGED as error:
        raise RefusedFileError("xlsx_cut_or_damaged", " ".join(str(error).split())[:200]) from error
    finally:
        book.close()


def _without_footer(rows: Sequence[Iterable[Any]], wanted: re.Pattern[str]) -> int:
    """Count the rows before those at the end in which a pattern is found."""
    count = len(rows)
    for place in range(len(rows) - 1, -1, -1):
        texts = [text for cell in rows[place] if (text := _cell_text(cell)) is not None]
        if wanted.search(" ".join(texts)):
            count = place
        elif texts:
            break
    return count


def _cell_text(value: Any) -> str | None:
    """Write a cell of a sheet as text.

    >>> [_cell_text(each) for each in (5, 5.0, 0.1, True, datetime(2024, 1, 2, 3, 4), datetime(2024, 1, 2))]
    ['5', '5', '0.1', 'true', '2024-01-02 03:04:00', '2024-01-02']
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return (
            str(int(value))
            if value.is_integer() and abs(value) < 2**53
            else repr(value)
            if math.isfinite(value)
            else ""
        )
    if isinstance(value, datetime):  # a day without a time of day is stored as its midnight
        return value.isoformat(sep=" ").removesuffix(" 00:00:00")
    return value.isoformat() if isinstance(value, date) else str(value)
