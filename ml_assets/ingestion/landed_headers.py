"""The header of a landed file: which columns it has, why the whole file is refused, and what is odd about it.

In: a landed file and the contract of its source. Out: a `LandedHeader`. Rows are read in `reading.py`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ml_assets.ingestion.csv_records import BYTE_ORDER_MARK, count_lines, is_regular, read_header
from ml_assets.ingestion.headers import contract_names
from ml_assets.spec.contract import Source
from ml_assets.spec.received import LandedFile

_SEPARATORS = {";": "semicolon", "\t": "tab", "|": "pipe"}
_SHOWN = 200  # characters of a header shown in a warning


@dataclass(frozen=True)
class LandedHeader:
    """The header of one landed file.

    Attributes
    ----------
    columns
        The columns of the file in order, spelled as the contract spells them.
    refusal
        Why the whole file is refused; None where it is not.
    warning
        What is odd about the file, parts separated by `; `; None where nothing is.
    lines_after
        Lines after the header.
    is_regular
        Whether each line after the header is one record (see `csv_records.is_regular`).
    first_row
        The line that may hold the first row: 1 where the first line shares no name with the contract, because the
        file may have no header; else 2.
    """

    columns: tuple[str, ...]
    refusal: str | None
    warning: str | None = None
    lines_after: int = 0
    is_regular: bool = False
    first_row: int = 2


def decode_landed(content: bytes) -> str:
    """Decode the bytes of a landed file; byte-order marks before the first character are no text.

    Raises
    ------
    UnicodeDecodeError
        If the bytes are not UTF-8.
    """
    return content.decode("utf-8").lstrip(BYTE_ORDER_MARK)


def read_landed_header(file: LandedFile, source: Source) -> LandedHeader:
    """Read the header of a landed file and compare it with the contract of its source."""
    if file.refusal is not None:
        return LandedHeader((), file.refusal, file.found)
    content = file.copy.read_bytes()
    try:
        text = decode_landed(content)
    except UnicodeDecodeError as error:
        return LandedHeader((), "file_refused:not_utf8", _name_encoding(content) or f"byte_{error.start}")
    if not text or text.isspace():
        return LandedHeader((), "file_refused:empty")
    try:
        found, header_lines = read_header(text)
    except csv.Error:
        return LandedHeader((), "file_refused:header_unreadable", _show_header([text.partition("\n")[0]]))
    columns = _spell_as_contract(found, source)
    refusal = _refuse_columns(columns, source)
    if refusal is not None:
        has_header = any(name in source.columns for name in _split_otherwise(columns))
        return LandedHeader(columns, refusal, _show_header(found), first_row=2 if has_header else 1)
    warnings = [*_warn_of_columns(found, columns, source), *_warn_of_lines(text)]
    lines_after = count_lines(text) - header_lines
    return LandedHeader(columns, None, "; ".join(warnings) or None, lines_after, header_lines == 1 and is_regular(text))


def _spell_as_contract(found: tuple[str, ...], source: Source) -> tuple[str, ...]:
    """Give the header as it is where it has all columns, else each name as a contract would spell it."""
    if all(name in found for name in source.columns):
        return found
    spelled = contract_names(found)
    return tuple(
        other if name not in source.columns and other in source.columns and other not in found else name
        for name, other in zip(found, spelled, strict=True)
    )


def _refuse_columns(columns: Sequence[str], source: Source) -> str | None:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        return f"file_refused:column_twice:{','.join(twice)}"
    missing = [name for name in source.columns if name not in columns]
    return f"file_refused:missing_column:{','.join(missing)}" if missing else None


def _split_otherwise(columns: Sequence[str]) -> Sequence[str]:
    """Give the names of a header that is separated by another mark; it is one column by the rule of CSV."""
    mark = next((mark for mark in _SEPARATORS if mark in columns[0]), None) if len(columns) == 1 else None
    return columns if mark is None else [name.strip() for name in columns[0].split(mark)]


def _show_header(found: Sequence[str]) -> str:
    """Say which header was found, and by what it is separated where that is no comma."""
    shown = "".join(mark if mark.isprintable() or mark == "\t" else "?" for mark in ",".join(found))
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    said = f"header_found:{shown}"
    separators = [name for mark, name in _SEPARATORS.items() if mark in found[0]] if len(found) == 1 else []
    return f"{said}; separated_by:{separators[0]}" if separators else said


def _warn_of_columns(found: Sequence[str], columns: Sequence[str], source: Source) -> Iterator[str]:
    extra = [name for name in columns if name not in source.columns]
    if extra:
        yield f"extra_column:{','.join(extra)}"
    spelled = [f"{name} as {other}" for name, other in zip(found, columns, strict=True) if name != other]
    if spelled:
        yield f"header_spelled:{','.join(spelled)}"


def _warn_of_lines(text: str) -> Iterator[str]:
    """Say what is odd about the lines of a file: cut at its end, ends of several kinds, marks or headers inside."""
    if not text.endswith(("\n", "\r")):
        yield f"last_line_unended:line_{count_lines(text)}"
    returns, pairs, ends = text.count("\r"), text.count("\r\n"), text.count("\n")
    if ends and returns and not returns == pairs == ends:
        yield "mixed_line_ends"
    mark = text.find(BYTE_ORDER_MARK)
    if mark >= 0:
        yield f"byte_order_mark_inside:line_{text.count(chr(10), 0, mark) + 1}"


def _name_encoding(content: bytes) -> str | None:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "looks_like:utf16"
    if content.startswith(b"\x1f\x8b"):
        return "looks_like:gzip"
    return "looks_like:zip_or_xlsx" if content.startswith(b"PK\x03\x04") else None
