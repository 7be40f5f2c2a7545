"""How the files of a source are written: format, dialect, encoding, compression, and by which names they land."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import Field

from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.names import did_you_mean
from ml_assets.spec.raw_yaml import names_in

Format = Literal["csv", "jsonl", "parquet", "xlsx"]
Compression = Literal["none", "gzip", "zstd"]
TAB = "tab"
NO_QUOTE = "none"
_SUFFIXES: dict[str, str] = {"none": "", "gzip": ".gz", "zstd": ".zst"}
_COMMON_ENCODINGS = ("utf-8", "utf-16", "cp1252", "latin-1", "iso8859-15", "cp1250", "cp1251", "shift_jis", "gb18030")
# which keys say something about which formats
_KEYS_OF: dict[str, tuple[str, ...]] = {
    "compression": ("csv", "jsonl"),
    "encoding": ("csv", "jsonl"),
    "separator": ("csv",),
    "quote": ("csv",),
    "decimal": ("csv", "jsonl", "xlsx"),
    "thousands": ("csv", "jsonl", "xlsx"),
    "title_lines": ("csv", "xlsx"),
    "footer": ("csv", "xlsx"),
    "sheet": ("xlsx",),
}


class FileFormat(Declared):
    """How the files of a source are written. Without it: `<source>.csv`, UTF-8, commas, a header in the first line.

    What is declared is asked of every file: one that is written otherwise is refused with what was found, and other
    sources go on.
    """

    format: Format = Field(
        default="csv",
        description="`csv`, `jsonl` (a JSON object a line), `parquet`, or `xlsx` (one sheet of an Excel file)",
    )
    names: tuple[str, ...] = Field(
        default=(),
        description="names of the files inside the folder of a drop, with `*` and `?`, also in a sub-folder: "
        "`eu/orders_*.csv`; all that match are files of the drop. By default `<source>.<format>`",
        examples=[["orders_*.csv"]],
    )
    compression: Compression = Field(
        default="none", description="`gzip` or `zstd` where each file is packed by itself; its name then ends so too"
    )
    max_expanded_mb: int = Field(
        default=2000, ge=1, description="a file that unpacks to more is refused: a small file can hold a huge one"
    )
    encoding: str = Field(
        default="utf-8", description="how text is stored, by Python's name of it", examples=["cp1252"]
    )
    separator: str = Field(default=",", description="one character between cells, or `tab`", examples=[";"])
    quote: str = Field(
        default='"', description="one character around cells that hold a separator or a line end, or `none`"
    )
    decimal: Literal[".", ","] = Field(default=".", description="the mark before the fraction of a number")
    thousands: Literal["", ",", ".", " ", "'"] = Field(
        default="", description="the mark between thousands; a space also stands for those that do not break a line"
    )
    title_lines: int = Field(
        default=0, ge=0, le=1000, description="lines before the header that are skipped, such as a title or `sep=;`"
    )
    footer: str = Field(
        default="",
        description="a regular expression: lines at the end of a file in which it is found are no rows; a file without "
        "one is noted in the ledger, since it may have been cut",
        examples=["^Total"],
    )
    sheet: str = Field(default="", description="the sheet of an Excel file; needed where it has several")

    @property
    def extension(self) -> str:
        """Give how the names of files end.

        >>> [FileFormat(**each).extension for each in ({}, {"compression": "gzip"}, {"format": "parquet"})]
        ['.csv', '.csv.gz', '.parquet']
        """
        return f".{self.format}{_SUFFIXES[self.compression]}"

    @property
    def is_default(self) -> bool:
        """Say whether files are UTF-8 CSV with commas and a header in line 1, by whatever name."""
        return self.model_copy(update={"names": (), "max_expanded_mb": 2000}) == FileFormat()

    @property
    def is_text(self) -> bool:
        """Say whether the lines of a file are its rows."""
        return self.format in ("csv", "jsonl")

    @property
    def separator_mark(self) -> str:
        """Give the character between cells."""
        return "\t" if self.separator == TAB else self.separator

    @property
    def quote_mark(self) -> str:
        """Give the character around cells; empty where there is none."""
        return "" if self.quote == NO_QUOTE else self.quote

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find marks that cannot be told apart, keys of another format, and names that lead elsewhere.

        >>> def found(**declared): return [message for _, message in FileFormat.faults(declared)]
        >>> found(separator=";", quote=";")
        ["found ';', the separator; allowed: another character, or none"]
        >>> found(format="parquet", separator=";")
        ['found with format parquet; allowed: with csv']
        """
        yield from _wrong_marks(declared)
        yield from _wrong_text(declared)
        kind = declared.get("format", "csv")
        for key, kinds in _KEYS_OF.items():
            is_said = key in declared and declared[key] != cls.model_fields[key].default
            if is_said and isinstance(kind, str) and kind not in kinds and kind in ("csv", *_FORMATS):
                yield (key,), f"found with format {kind}; allowed: with {', '.join(kinds)}"
        for place, name in names_in(declared.get("names")):
            if (message := _wrong_name(name)) is not None:
                yield ("names", place), message


_FORMATS = ("jsonl", "parquet", "xlsx")


def _wrong_marks(declared: Mapping[str, Any]) -> Iterator[Fault]:
    separator, quote = declared.get("separator", ","), declared.get("quote", '"')
    for key, value, word in (("separator", separator, TAB), ("quote", quote, NO_QUOTE)):
        is_mark = isinstance(value, str) and len(value) == 1 and not value.isalnum() and value not in "\r\n\0"
        if isinstance(value, str) and value != word and not is_mark:
            yield (key,), f"found {value!r}; allowed: one character that is no letter or digit, or {word}"
    if isinstance(quote, str) and quote == separator:
        yield ("quote",), f"found {quote!r}, the separator; allowed: another character, or {NO_QUOTE}"
    thousands = declared.get("thousands", "")
    if thousands and thousands == declared.get("decimal", "."):
        yield ("thousands",), f"found {thousands!r}, the mark before the fraction; allowed: another mark"


def _wrong_text(declared: Mapping[str, Any]) -> Iterator[Fault]:
    encoding, footer = declared.get("encoding"), declared.get("footer")
    if isinstance(encoding, str) and not is_text_encoding(encoding):
        near = did_you_mean(encoding.lower(), list(_COMMON_ENCODINGS))
        allowed = f"an encoding that Python knows, such as {', '.join(_COMMON_ENCODINGS[:5])}"
        yield ("encoding",), f"found {encoding!r}; allowed: {allowed}{near}"
    if isinstance(footer, str):
        try:
            re.compile(footer)
        except re.error as error:
            yield ("footer",), f"found {footer!r}, {error}; allowed: a regular expression, as in ^Total"


def is_text_encoding(name: str) -> bool:
    """Say whether Python decodes text by that name.

    >>> [is_text_encoding(name) for name in ("utf-8", "cp1252", "utf8x", "base64")]
    [True, True, False, False]
    """
    try:
        "a".encode(codecs.lookup(name).name)
    except (LookupError, ValueError, UnicodeError):
        return False
    return True


def _wrong_name(name: str) -> str | None:
    parts = PurePosixPath(name).parts
    is_below = parts and not name.startswith("/") and not name.endswith("/") and "\\" not in name
    is_odd = [part == ".." or part.startswith(".") or "**" in part or "[" in part for part in parts]
    is_plain = name.isprintable() and not any(is_odd)
    if is_below and is_plain:
        return None
    return (
        f"found {name!r}; allowed: a name inside the folder of a drop, such as orders_*.csv or eu/orders.csv, without "
        "**, [, .., \\ or parts that begin with a dot"
    )
