"""How a file seems to be written: its format, compression, encoding, separator, titles and footer, each with a reason.

In: the bytes of one file that somebody gives. Out: a `ProposedFormat`, which a person reads before anything rests on
it. How the cells of its columns are written is found in `written_marks.py`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_assets.ingestion.csv_records import Dialect, split_lines, split_records
from ml_assets.ingestion.unpacking import RefusedFileError, looks_like, unpack
from ml_assets.spec.file_format import TAB, Compression, FileFormat

_MARKS = (",", ";", "\t", "|")
_NAMED = {"\t": TAB}
_LOOKED_AT = 2000  # lines from which the separator is told
_MOST_TITLES = 100
_MOST_FOOTERS = 5
_ENOUGH = 0.5  # of the lines have to split alike: of fewer nothing can be told


class NoFormatError(ValueError):
    """A file of which nothing can be made, with what was found and what is allowed."""


@dataclass(frozen=True)
class ProposedFormat:
    """A format, and why each key of it is proposed."""

    declared: FileFormat
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])

    def with_key(self, key: str, value: Any, reason: str) -> ProposedFormat:
        """Add one key and its reason."""
        declared = FileFormat.model_validate({**self.declared.model_dump(exclude_defaults=True), key: value})
        return ProposedFormat(declared, {**self.reasons, key: reason})


def propose_format(content: bytes) -> ProposedFormat:
    r"""Tell the format of a file from its bytes.

    Raises
    ------
    NoFormatError
        If it is empty, packed in another way, or if its lines do not split alike by any separator.

    Examples
    --------
    >>> found = propose_format("Report\nid;kg\na;1,5\nb;2,5\n".encode())
    >>> found.declared.separator, found.declared.title_lines
    (';', 1)
    >>> found.reasons["separator"]
    '3 of 3 lines split into 2 columns by it'
    """
    found, content = _unpacked(content)
    if not content or content.isspace():
        raise NoFormatError("is empty; allowed: a header and rows")
    kind = looks_like(content)
    if kind == "looks_like:parquet":
        return _only_alone(found, "parquet", "it begins and ends as Parquet does")
    if kind == "looks_like:zip_or_xlsx":
        return _propose_sheet(_only_alone(found, "xlsx", "it is an Excel file"), content)
    if kind == "looks_like:xls":
        raise NoFormatError("found an Excel file of before 2007; allowed: .xlsx, as Excel saves it now")
    found, text = _decoded(found, content)
    lines = split_lines(text)
    if _are_objects(lines):
        return found.with_key("format", "jsonl", "each of the first lines is a JSON object")
    return _propose_csv(found, lines)


def _only_alone(found: ProposedFormat, kind: str, reason: str) -> ProposedFormat:
    if found.reasons:
        raise NoFormatError(f"found {kind} packed once more; allowed: the {kind} file itself, which is packed already")
    return found.with_key("format", kind, reason)


def _unpacked(content: bytes) -> tuple[ProposedFormat, bytes]:
    found = ProposedFormat(FileFormat())
    kinds: tuple[Compression, ...] = ("gzip", "zstd")
    for kind in kinds:
        if looks_like(content) == f"looks_like:{kind}":
            found = found.with_key("compression", kind, f"it begins as {kind} files do")
            try:
                unpacked = unpack(content, found.declared)
            except RefusedFileError as error:
                raise NoFormatError(f"{error} ({error.found}); allowed: a whole file, of at most "
                                    f"{found.declared.max_expanded_mb:,} MB unpacked") from error  # fmt: skip
            reason = f"it begins as {kind} files do; {len(content):,} bytes hold {len(unpacked):,}"
            return found.with_key("compression", kind, reason), unpacked
    return found, content


def _decoded(found: ProposedFormat, content: bytes) -> tuple[ProposedFormat, str]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _decoded_as(found, content, "utf-16", "it begins with the mark of UTF-16")
    try:
        return found, content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start
    if content[:200].count(b"\0") > 20:
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
        return _decoded_as(found, content, encoding, "every second byte of its beginning is zero")
    for encoding in ("cp1252", "latin-1"):
        try:
            shown = _word_around(content, at, encoding)
            return _decoded_as(found, content, encoding, f"it is no UTF-8; by this a word of it is {shown!r}: if that "
                               "is wrong, look for the right one, as cp1250, cp1251 or shift_jis")  # fmt: skip
        except UnicodeDecodeError:
            continue
    raise NoFormatError("is no text; allowed: CSV, JSON lines, Parquet, .xlsx")


def _decoded_as(found: ProposedFormat, content: bytes, encoding: str, reason: str) -> tuple[ProposedFormat, str]:
    return found.with_key("encoding", encoding, reason), content.decode(encoding).lstrip("\ufeff")


def _word_around(content: bytes, at: int, encoding: str) -> str:
    start = max(content.rfind(mark, 0, at) for mark in (b",", b";", b"\n", b"\t", b"|", b'"')) + 1
    ends = [end for mark in (b",", b";", b"\n", b"\t", b"|", b'"') if (end := content.find(mark, at)) >= 0]
    return content[max(start, at - 30) : min([*ends, at + 30])].decode(encoding).strip()


def _are_objects(lines: Sequence[str]) -> bool:
    shown = [line for line in lines[:20] if line.strip()]
    if not shown or not all(line.lstrip().startswith("{") for line in shown):
        return False
    try:
        return isinstance(json.loads(shown[0]), dict)
    except ValueError:
        return False


@dataclass(frozen=True)
class _Split:
    """How the lines of a file split by one dialect: `width` cells most often, first so on line `first`, from 0.

    `records` are the lines between what may be titles and what may be footers.
    """

    dialect: Dialect
    width: int
    alike: int
    records: int
    first: int

    @property
    def share(self) -> float:
        return self.alike / self.records


def _propose_csv(found: ProposedFormat, lines: Sequence[str]) -> ProposedFormat:
    directive = re.fullmatch(r"sep=(.)", lines[0].strip()) or re.fullmatch(r"sep=(\t)", lines[0])
    marks = (directive.group(1),) if directive else _MARKS
    splits = [
        split for mark in marks for quote in _quotes(lines, mark) if (split := _split(lines, Dialect(mark, quote)))
    ]
    wide = [split for split in splits if split.width > 1]
    best = max(wide, key=lambda split: (split.alike, split.width), default=None)
    if best is None:
        return found  # one column
    if best.share < _ENOUGH:
        raise NoFormatError(
            f"{best.alike:,} of {best.records:,} lines split into {best.width} columns by {best.dialect.separator!r}, "
            f"and no separator does better; line 1 is {lines[0][:60]!r}; allowed: a header and rows of as many cells"
        )
    mark, quote = best.dialect.separator, best.dialect.quote
    by = f"{best.alike:,} of {best.records:,} lines split into {best.width} columns by it"
    if mark != ",":
        found = found.with_key("separator", _NAMED.get(mark, mark), f"line 1 says so: {lines[0]}" if directive else by)
    if quote != '"':
        found = found.with_key("quote", quote, "cells begin and end with it")
    if best.first:
        shown = next((line for line in lines[: best.first] if line.strip()), "")
        reason = f"lines before the header, such as {shown[:60]!r}"
        found = found.with_key("title_lines", best.first, reason)
    return _with_footer(found, lines, best)


def _quotes(lines: Sequence[str], mark: str) -> Sequence[str]:
    """Give what may stand around cells: an apostrophe only where cells both begin and end with it."""
    around = re.compile(rf"(?:^|{re.escape(mark)})'[^']*'(?={re.escape(mark)}|$)")
    looked = lines[:_LOOKED_AT]
    return ("'",) if sum(bool(around.search(line)) for line in looked) > len(looked) / 2 else ('"',)


def _split(lines: Sequence[str], dialect: Dialect) -> _Split | None:
    looked = "\n".join(lines[:_LOOKED_AT])
    widths: list[tuple[int, int]] = []  # line from 0, cells: a cell alone is asked for, so that no record is refused
    for number, line in enumerate(split_lines(looked)):
        if not line.strip():
            continue
        record = next(iter(split_records(line, _count(line, dialect), dialect=dialect)))
        widths.append((number, 0 if record.cells is None else len(record.cells)))
    counts = Counter(width for _, width in widths if width)
    if not counts:
        return None
    width, alike = max(counts.items(), key=lambda item: (item[1], item[0]))
    alike_lines = [number for number, each in widths if each == width]
    first = next((number for number in alike_lines if number <= _MOST_TITLES), 0)
    last = alike_lines[-1] if len(lines) - alike_lines[-1] <= _MOST_FOOTERS + 1 else len(lines)
    records = sum(first <= number <= last for number, _ in widths)
    return _Split(dialect, width, alike, records or 1, first)


def _count(line: str, dialect: Dialect) -> int:
    """Count the cells of a line, separators inside of quotes left out."""
    bare = re.sub(rf"{re.escape(dialect.quote)}[^{re.escape(dialect.quote)}]*{re.escape(dialect.quote)}", "", line)
    return bare.count(dialect.separator) + 1


def _with_footer(found: ProposedFormat, lines: Sequence[str], split: _Split) -> ProposedFormat:
    """Propose a footer where the last lines do not split as the others do, or begin with a word for a sum."""
    ending: list[str] = []
    for line in reversed(lines[max(split.first + 2, len(lines) - _MOST_FOOTERS - 1) :]):
        is_odd = line.strip() and _count(line, split.dialect) != split.width
        is_sum = re.match(r"(?i)\W*(grand )?(total|sum|summe|totaal|totale|suma|somme|итого)\b", line)
        if line.strip() and not is_odd and not is_sum:
            break
        ending.append(line)
    words = [line.strip() for line in ending if line.strip()]
    if not words or len(words) > _MOST_FOOTERS:
        return found
    starts = sorted({re.escape((re.match(r"\W*\w+|\W+", word) or re.match(r".", word) or [word])[0]) for word in words})
    pattern = f"^({'|'.join(starts)})" if len(starts) > 1 else f"^{starts[0]}"
    reason = f"the last lines are no rows: {words[-1][:60]!r}"
    return found.with_key("footer", pattern, reason)


def _propose_sheet(found: ProposedFormat, content: bytes) -> ProposedFormat:
    from ml_assets.ingestion.excel_files import sheet_shapes

    try:
        shapes = sheet_shapes(content, found.declared)
    except RefusedFileError as error:
        raise NoFormatError(f"{error} ({error.found}); allowed: an Excel file, .xlsx") from error
    name, widths = max(shapes.items(), key=lambda item: sum(width > 0 for width in item[1]))
    if len(shapes) > 1:
        others = ", ".join(other for other in shapes if other != name)
        found = found.with_key("sheet", name, f"it has the most rows; others are {others}")
    counts = Counter(width for width in widths if width)
    if not counts:
        raise NoFormatError("found no row in any sheet; allowed: a header and rows")
    width = max(counts, key=lambda each: (counts[each], each))
    first = next(place for place, each in enumerate(widths) if each >= width)
    if first:
        found = found.with_key("title_lines", first, f"rows before the first of {width} cells")
    return found
