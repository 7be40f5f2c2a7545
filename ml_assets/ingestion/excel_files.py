"""A sheet of an Excel file, as rows of texts."""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from ml_assets.ingestion.table_file import LINE, TableFile
from ml_assets.ingestion.unpacking import MEGABYTE, RefusedFileError, looks_like
from ml_assets.spec.file_format import FileFormat

# what the reader of Excel files raises of a damaged one
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError, IndexError, AttributeError, SyntaxError,
    OSError, NotImplementedError,
)  # fmt: skip
_SHOWN = 5


def read_sheet(content: bytes, declared: FileFormat) -> TableFile:
    """Read the rows of a sheet; one with a cell beyond the header is no row.

    Raises
    ------
    RefusedFileError
        If it is no Excel file, is cut, holds more than `max_expanded_mb`, or has several sheets and none is declared.
    """
    import pyarrow as pa

    with _opened(content, declared) as book:
        names = list(book.sheetnames)
        rows = _rows_of(book[_chosen(names, declared)])
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
    table = pa.Table.from_arrays([*columns, lines], [*titles, LINE])
    texts = [name for place, name in enumerate(titles) if all(isinstance(row[place], str | None) for _, row in sound)]
    return TableFile(titles, table, tuple(malformed), notes=tuple(notes), texts=tuple(texts))


def sheet_shapes(content: bytes, declared: FileFormat) -> dict[str, list[int]]:
    """Give, for each sheet, how many cells each of its rows takes up to its last value.

    Raises
    ------
    RefusedFileError
        As `read_sheet` does.
    """
    with _opened(content, declared) as book:
        return {name: [_width(row) for row in _rows_of(book[name])] for name in book.sheetnames}


def _width(row: Sequence[Any]) -> int:
    return max((place for place, cell in enumerate(row, start=1) if cell is not None), default=0)


@contextmanager
def _opened(content: bytes, declared: FileFormat) -> Iterator[Any]:
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
    try:
        yield book
    finally:
        book.close()


def _chosen(names: Sequence[str], declared: FileFormat) -> str:
    if declared.sheet and declared.sheet not in names:
        raise RefusedFileError(f"no_sheet:{declared.sheet}", f"sheets:{', '.join(names[:_SHOWN])}")
    if not declared.sheet and len(names) > 1:
        raise RefusedFileError("several_sheets", f"sheets:{', '.join(names[:_SHOWN])}")
    return declared.sheet or names[0]


def _rows_of(sheet: Any) -> list[tuple[Any, ...]]:
    try:
        sheet.reset_dimensions()  # what a file says of its own size may be wrong
        return [tuple(row) for row in sheet.iter_rows(values_only=True)]
    except _DAMAGED as error:
        raise RefusedFileError("xlsx_cut_or_damaged", " ".join(str(error).split())[:200]) from error


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
