"""The bytes of a text file to its text from the header on: unpacked, decoded, without titles and footers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ml_assets.ingestion.csv_records import BYTE_ORDER_MARK, Dialect
from ml_assets.ingestion.unpacking import RefusedFileError, looks_like, unpack
from ml_assets.spec.file_format import FileFormat

_LONGEST_FOOTER = 50  # lines


@dataclass(frozen=True)
class FileText:
    """The text of a file.

    Attributes
    ----------
    text
        From the header on, without the lines of the footer; of a file without a header from its first line on.
    titles, footer
        What stood before and after.
    notes
        What is odd about the file, for its receipt.
    """

    text: str
    titles: str = ""
    footer: str = ""
    notes: tuple[str, ...] = ()

    @property
    def title_lines(self) -> int:
        """Count the lines before the header."""
        return self.titles.count("\n") or self.titles.count("\r")


def dialect_of(declared: FileFormat) -> Dialect:
    """Give the characters between and around cells."""
    return Dialect(declared.separator_mark, declared.quote_mark)


def read_file_text(content: bytes, declared: FileFormat) -> FileText:
    r"""Read the text of a file by its declared format.

    Raises
    ------
    RefusedFileError
        If it does not unpack, is not of the encoding (`not_<encoding>`), or has nothing behind its titles (`empty`).

    Examples
    --------
    >>> found = read_file_text(b"Report\nid;n\na;1\nTotal;1\n", FileFormat(title_lines=1, footer="^Total"))
    >>> found.text, found.title_lines, found.footer
    ('id;n\na;1\n', 1, 'Total;1\n')
    """
    text = decode(unpack(content, declared), declared)
    start = _end_of_line(text, declared.title_lines)
    titles, rest = text[:start], text[start:]
    if declared.format == "csv" and (not rest or rest.isspace()):
        raise RefusedFileError("empty")
    if not declared.footer:
        return FileText(rest, titles)
    end = _start_of_footer(rest, declared.footer)
    notes = () if end < len(rest) else ("footer_missing",)
    return FileText(rest[:end], titles, rest[end:], notes)


def decode(content: bytes, declared: FileFormat) -> str:
    """Decode bytes by the declared encoding; byte-order marks before the first character are no text.

    Raises
    ------
    RefusedFileError
        If a byte is none of the encoding.
    """
    try:
        return content.decode(declared.encoding).lstrip(BYTE_ORDER_MARK)
    except UnicodeError as error:
        name = re.sub(r"[^a-z0-9]", "", declared.encoding.lower())
        at = f"byte_{error.start}" if isinstance(error, UnicodeDecodeError) else str(error)
        raise RefusedFileError(f"not_{name}", looks_like(content) or at) from error


def decode_anyhow(content: bytes, declared: FileFormat) -> str:
    """Decode what can be, to keep the lines of a refused file for people; empty where it does not even unpack."""
    try:
        return unpack(content, declared).decode(declared.encoding, errors="replace").lstrip(BYTE_ORDER_MARK)
    except (RefusedFileError, UnicodeError):
        return ""


def _end_of_line(text: str, number: int) -> int:
    """Give where line `number` ends, counted from 1."""
    end, at = "\n" if "\n" in text else "\r", 0
    for _ in range(number):
        found = text.find(end, at)
        if found < 0:
            return len(text)
        at = found + 1
    return at


def _start_of_footer(text: str, pattern: str) -> int:
    """Give where the lines at the end of a text begin that match, blank lines among them; its length where none do."""
    wanted, start = re.compile(pattern), len(text)
    for at, line in _lines_from_end(text):
        if wanted.search(line):
            start = at
        elif line.strip():
            break
    return start


def _lines_from_end(text: str) -> Iterator[tuple[int, str]]:
    end, until = "\n" if "\n" in text else "\r", len(text)
    for _ in range(_LONGEST_FOOTER):
        if until <= 0:
            return
        at = text.rfind(end, 0, max(0, until - 1)) + 1
        yield at, text[at:until].rstrip("\r\n")
        until = at
