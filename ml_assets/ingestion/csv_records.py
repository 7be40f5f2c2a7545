"""Which lines of a file are one record, and what its cells are, also where the file is broken."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass


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


def read_header(text: str) -> tuple[tuple[str, ...], int]:
    """Give the cells of the first record, and how many lines it takes.

    Raises
    ------
    csv.Error
        If it cannot be read at all.
    """
    reader = csv.reader(_lines(text))
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


def split_records(text: str, width: int, first_line: int = 1) -> Iterator[Record]:
    r"""Split a file into records of `width` cells, from line `first_line` on.

    A quoted cell can hold line ends. A quote that never closes, or closes only where that makes no
    record of `width` cells, spoils its own line alone. Blank lines are no records, unless `width` is 1.

    Examples
    --------
    >>> [record.cells for record in split_records('"a\nx",1\nb\n"c,3\nd,4\n', 2)]
    [('a\nx', '1'), None, None, ('d', '4')]
    """
    lines = split_lines(text)
    at = first_line - 1
    while at < len(lines):
        if not lines[at] and width > 1:
            at += 1
            continue
        end = _closing_line(lines, at)
        cells = _cells("\n".join(lines[at:end]), width)
        if cells is None:
            end = at + 1
        yield Record(at + 1, "\n".join(lines[at:end]), cells)
        at = end


def _closing_line(lines: list[str], at: int) -> int:
    """Find the line on which every quote that opened on line `at` is closed; the line itself if none."""
    quotes = 0
    for end in range(at, len(lines)):
        quotes += lines[end].count('"')
        if quotes % 2 == 0:
            return end + 1
    return at + 1


def _cells(text: str, width: int) -> tuple[str, ...] | None:
    try:
        cells = next(csv.reader([text], strict=True)) or [""]
    except csv.Error:
        return None
    if len(cells) == width + 1 and not cells[-1]:  # a comma at the end of a line says nothing
        cells = cells[:-1]
    return tuple(cells) if len(cells) == width else None
