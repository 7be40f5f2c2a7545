"""Which lines of a file are one record, and what its cells are, also where the file is broken."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

BYTE_ORDER_MARK = "\ufeff"
NUL = "\x00"
LONGEST_RECORD = 2_000_000  # characters; a longer one is a quote that never closed, or no table


@dataclass(frozen=True)
class Dialect:
    """Which character stands between cells, and which around cells that hold one; none where `quote` is empty."""

    separator: str = ","
    quote: str = '"'


PLAIN = Dialect()


@cache
def _stray_quote(dialect: Dialect) -> re.Pattern[str]:
    mark, quote = re.escape(dialect.separator), re.escape(dialect.quote)
    return re.compile(rf"[^{mark}\n{quote}]{quote}+[^{mark}\n\r{quote}]")


@dataclass(frozen=True)
class Record:
    """One record: the line it begins on (from 1), its text, its cells; None where it does not split into `width`."""

    line: int
    text: str
    cells: tuple[str, ...] | None


def split_lines(text: str) -> list[str]:
    r"""Split at line ends and nowhere else; `str.splitlines` also splits at characters that a name may hold.

    Examples
    --------
    >>> split_lines("a\r\nb\u2028c\n")
    ['a', 'b\u2028c']
    """
    lines = text.replace("\r\n", "\n")
    lines = lines if "\n" in lines else lines.replace("\r", "\n")
    return lines.removesuffix("\n").split("\n")


def count_lines(text: str) -> int:
    r"""Count the lines that `split_lines` gives, without making them.

    >>> [count_lines(text) for text in ("a", "a\n", "a\r\nb", "a\rb\r", "a\n\n")]
    [1, 1, 2, 2, 2]
    """
    end = _line_end(text)
    return text.count(end) + (not text.endswith(end))


def read_header(text: str, dialect: Dialect = PLAIN) -> tuple[tuple[str, ...], int]:
    """Give the cells of the first record, and how many lines it takes.

    Raises
    ------
    csv.Error
        If it cannot be read at all.
    """
    quoting = csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE
    reader = csv.reader(_lines(text), delimiter=dialect.separator, quotechar=dialect.quote or None, quoting=quoting)
    cells = next(reader, [])
    return tuple(cell.strip() for cell in cells), reader.line_num


def _line_end(text: str) -> str:
    return "\n" if "\n" in text else "\r"


def _lines(text: str) -> Iterator[str]:
    """Give line after line, each with one end: a header is read without splitting all that follows it."""
    end, at = _line_end(text), 0
    while at < len(text):
        until = text.find(end, at)
        line = text[at:] if until < 0 else text[at:until].removesuffix("\r")
        yield f"{line}\n"
        at = len(text) if until < 0 else until + 1


def split_records(text: str, width: int, first_line: int = 1, dialect: Dialect = PLAIN) -> Iterator[Record]:
    r"""Split a file into records of `width` cells, from line `first_line` on.

    A quote opens a quoted cell only where the cell begins with it; elsewhere it is text (`5" disk`). A quoted cell can
    hold line ends. A quote that never closes, or closes only where that makes no record of `width` cells, spoils its
    own line alone: the fate of a line never depends on a line that is another record. A byte-order mark that begins a
    line is no text, and a line with a NUL, as a crashed writer leaves, is no record. Blank lines are no
    records, unless `width` is 1.

    Examples
    --------
    >>> [record.cells for record in split_records('"a\nx",1\nb\n"c,3\nd,4\n5" disk,2\n', 2)]
    [('a\nx', '1'), None, None, ('d', '4'), ('5" disk', '2')]
    >>> [record.cells for record in split_records("a;'b;c'\n", 2, dialect=Dialect(";", "'"))]
    [('a', 'b;c')]
    """
    lines = split_lines(text)
    if BYTE_ORDER_MARK in text:
        lines = [line.lstrip(BYTE_ORDER_MARK) for line in lines]
    at = first_line - 1
    while at < len(lines):
        if not lines[at] and width > 1:
            at += 1
            continue
        cells, end = _read_cells(lines, at, dialect)
        if cells is not None and len(cells) == width + 1 and not cells[-1]:
            cells = cells[:-1]  # a separator at the end of a line says nothing
        if cells is None or len(cells) != width:
            cells, end = None, at + 1
        raw = "\n".join(lines[at:end])
        if len(raw) > LONGEST_RECORD or NUL in raw:
            cells, end, raw = None, at + 1, lines[at]
        yield Record(at + 1, raw, None if cells is None else tuple(cells))
        at = end


def _read_cells(lines: list[str], at: int, dialect: Dialect) -> tuple[list[str] | None, int]:
    """Read the record that begins on line `at`: its cells, None where its quotes do not close, and the line after."""
    line, mark, quote = lines[at], dialect.separator, dialect.quote
    if not quote or quote not in line:
        return line.split(mark), at + 1
    cells: list[str] = []
    position, end = 0, at + 1
    while True:
        if line.startswith(quote, position):
            quoted = _read_quoted(lines, end - 1, position + 1, quote)
            if quoted is None:
                return None, at + 1
            cell, last, position = quoted
            line, end = lines[last], last + 1
            if position < len(line) and line[position] != mark:
                return None, at + 1  # text after a closing quote
        else:
            stop = line.find(mark, position)
            cell, position = (line[position:], len(line)) if stop < 0 else (line[position:stop], stop)
        cells.append(cell)
        if position >= len(line):
            return cells, end
        position += 1


def _read_quoted(lines: list[str], at: int, position: int, quote: str) -> tuple[str, int, int] | None:
    """Read a quoted cell from after its opening quote: its text, the line it closes on, and the position after."""
    parts: list[str] = []
    length = 0
    while True:
        line = lines[at]
        close = line.find(quote, position)
        if close < 0:
            length += len(line) - position
            if at + 1 == len(lines) or length > LONGEST_RECORD:
                return None
            parts += [line[position:], "\n"]
            at, position = at + 1, 0
        elif line.startswith(quote, close + 1):
            parts.append(line[position : close + 1])
            position = close + 2
        else:
            parts.append(line[position:close])
            return "".join(parts), at, close + 1


def is_regular(text: str, dialect: Dialect = PLAIN) -> bool:
    r"""Say whether each line of a file after its header is one record, whoever splits it.

    Line ends are all of one kind, no quote is inside a cell that does not begin with one, no byte-order mark or NUL
    is inside, and the header does not come again. Only such a file may be split by a reader in bulk; every other one
    is split record by record.

    >>> [is_regular(text) for text in ("a,b\n1,2\n", 'a,b\n5" disk,2\n', "a,b\r\n1,2\n", "a,b\n1,2\na,b\n")]
    [True, False, False, False]
    """
    returns, ends = text.count("\r"), text.count("\n")
    is_one_kind = ends > 0 and (returns == 0 or returns == ends == text.count("\r\n"))
    header = text.partition("\n")[0]
    return (
        is_one_kind
        and BYTE_ORDER_MARK not in text
        and NUL not in text
        and f"\n{header}" not in text
        and (not dialect.quote or dialect.quote not in text or _stray_quote(dialect).search(text) is None)
    )
