"""How the cells of a file seem to be written: the marks of its numbers, the order of its dates, and counts since 1970.

In: the table `_landed_text` of one file. Out: `Marks`, each with its reason. What can be read in two ways is not
proposed: it is said, and a person decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ml_assets.ingestion.written_values import plain_text, typed_value
from ml_assets.spec.contract import POSSIBLE_YEARS, Column
from ml_assets.spec.file_format import FileFormat

if TYPE_CHECKING:
    import duckdb

_PAIRS: tuple[tuple[str, str], ...] = (
    (",", ""),
    (",", "."),
    (",", " "),
    (",", "'"),
    (".", ","),
    (".", " "),
    (".", "'"),
)
_NULLISH = "'', 'NA', 'N/A', 'n/a', 'NULL', 'null', 'None', 'none', 'nan', 'NaN', 'NAN', '-', '?', '#N/A', 'missing'"
_ANY_NUMBER = Column(type="float")
_DATE_LIKE = r"\d{1,2}[./-]\d{1,2}[./-]\d{4}.*"
_MOMENT_WORDS = (
    "at",
    "time",
    "ts",
    "timestamp",
    "epoch",
    "date",
    "created",
    "updated",
    "modified",
    "stamp",
    "on",
    "ms",
)
_COUNTS: tuple[tuple[Literal["s", "ms", "us"], int], ...] = (("s", 1), ("ms", 1_000), ("us", 1_000_000))
_FIRST, _LAST = 946_684_800, 4_102_444_800  # 2000 and 2100, in seconds since 1970


@dataclass(frozen=True)
class Marks:
    """What was found.

    Attributes
    ----------
    numbers
        `decimal` and `thousands`, where they are not those of plain CSV: value and reason.
    columns
        By name: keys of the column (`date_order`, `epoch`) and the reason.
    notes
        By name: what can be read in two ways.
    """

    numbers: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    columns: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict[str, tuple[dict[str, Any], str]])
    notes: dict[str, str] = field(default_factory=dict[str, str])


def find_marks(connection: duckdb.DuckDBPyConnection, names: Sequence[str], declared: FileFormat) -> Marks:
    """Look at every cell of `_landed_text`, and tell how they are written."""
    marks = Marks()
    if declared.format != "parquet":
        _find_numbers(connection, names, marks)
    _find_dates(connection, names, marks)
    for name in names:
        unit = _unit_since_epoch(connection, name)
        if unit is not None:
            marks.columns[name] = ({"epoch": unit}, f"whole numbers that are {_UNITS[unit]} since 1970 in 2000 to 2100")
    return marks


_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}


def write_plainly(connection: duckdb.DuckDBPyConnection, marks: Marks, declared: FileFormat) -> None:
    """Rewrite the cells of `_landed_text` as they would be without these marks; words for null stay."""
    names = [
        name for name in connection.table("_landed_text").columns if not name.startswith("_") and name != "batch_date"
    ]
    for name in names:
        keys, _ = marks.columns.get(name, ({}, ""))
        if keys:
            column = Column.model_validate({"type": "timestamp", **keys})
        elif marks.numbers and _reads_as(connection, name, declared):
            column = _ANY_NUMBER
        else:
            continue
        plain = plain_text(f'"{name}"', column, declared)
        connection.execute(f'UPDATE _landed_text SET "{name}" = coalesce({plain}, "{name}")')


def _values(name: str) -> str:
    """Give SQL of the cells of a column that say something."""
    return f"_text IS NULL AND trim(coalesce(\"{name}\", '')) NOT IN ({_NULLISH})"


def _reads_as(connection: duckdb.DuckDBPyConnection, name: str, declared: FileFormat) -> bool:
    plain = plain_text(f'"{name}"', _ANY_NUMBER, declared)
    values, read = connection.execute(
        f"SELECT count(*), count({typed_value(plain, _ANY_NUMBER)}) FROM _landed_text WHERE {_values(name)}"
    ).fetchall()[0]
    return values > 0 and values == read


def _find_numbers(connection: duckdb.DuckDBPyConnection, names: Sequence[str], marks: Marks) -> None:
    """Tell the marks of numbers by which most columns read as numbers that do not without, and none stops to."""
    plain = [name for name in names if _reads_as(connection, name, FileFormat())]
    pointed = [name for name in plain if _example(connection, name, r".*\d\.\d.*")]
    others = [name for name in names if name not in plain and _example(connection, name, r".*\d.*")]
    gains: dict[tuple[str, str], list[str]] = {}
    for decimal, thousands in _PAIRS:
        declared = FileFormat.model_validate({"decimal": decimal, "thousands": thousands})
        gained = [name for name in others if _reads_as(connection, name, declared)]
        if gained and all(_reads_as(connection, name, declared) for name in pointed):
            gains[decimal, thousands] = gained
    most = max(map(len, gains.values()), default=0)
    best = [pair for pair in gains if len(gains[pair]) == most]
    if not best:
        return
    if len({decimal for decimal, _ in best}) > 1:
        for name in gains[best[0]]:
            shown = _example(connection, name, r".*[,. ].*")
            marks.notes[name] = (
                f"{shown} can be read in two ways: declare file.decimal or file.thousands, or leave it text"
            )
        return
    decimal, thousands = best[0]
    column = gains[best[0]][0]
    if decimal != ".":
        shown = _example(connection, column, ".*,.*") or _example(connection, column, ".*")
        marks.numbers["decimal"] = (decimal, f"{', '.join(gains[best[0]][:3])} read as numbers with it, as {shown}")
    if thousands:
        shown = _example(connection, column, f".*\\d[{re.escape(thousands)}\u00a0\u202f]\\d.*")
        marks.numbers["thousands"] = (thousands, f"between thousands, as {shown}")


def _example(connection: duckdb.DuckDBPyConnection, name: str, pattern: str) -> str | None:
    rows = connection.execute(
        f'SELECT "{name}" FROM _landed_text WHERE {_values(name)} AND regexp_full_match("{name}", ?) '
        f'ORDER BY length("{name}") DESC, "{name}" LIMIT 1',
        [pattern],
    ).fetchall()
    return rows[0][0] if rows else None


def _find_dates(connection: duckdb.DuckDBPyConnection, names: Sequence[str], marks: Marks) -> None:
    """Tell the order of dates that are not written as 2024-12-31, also from another column of the file."""
    open_columns: list[str] = []
    for name in names:
        values, alike = connection.execute(
            f"SELECT count(*), count(*) FILTER (regexp_full_match(trim(\"{name}\"), '{_DATE_LIKE}')) FROM _landed_text "
            f"WHERE {_values(name)}"
        ).fetchall()[0]
        if not values or alike != values:
            continue
        orders = [order for order in ("day_first", "month_first") if _reads_in(connection, name, order)]
        if len(orders) == 1:
            shown = _example(connection, name, r"(1[3-9]|2\d|3[01])\D.*" if orders[0] == "day_first"
                             else r"\d{1,2}\D(1[3-9]|2\d|3[01])\D.*")  # fmt: skip
            marks.columns[name] = ({"date_order": orders[0]}, f"no other order reads {shown}")
        elif orders:
            open_columns.append(name)
    decided = {keys["date_order"] for keys, _ in marks.columns.values() if "date_order" in keys}
    for name in open_columns:
        shown = _example(connection, name, ".*")
        if len(decided) == 1:
            marks.columns[name] = ({"date_order": next(iter(decided))}, "as another column of the file")
        elif _example(connection, name, r"\d{1,2}\.\d{1,2}\..*"):
            marks.columns[name] = ({"date_order": "day_first"}, f"points between the parts, as {shown}, mean that")
        else:
            marks.notes[name] = f"{shown} may begin with the day or the month: declare date_order and a type of date"


def _reads_in(connection: duckdb.DuckDBPyConnection, name: str, order: str) -> bool:
    column = Column.model_validate({"type": "timestamp", "date_order": order, "years": POSSIBLE_YEARS})
    plain, read = plain_text(f'"{name}"', column, FileFormat()), typed_value("plain", column)
    return connection.execute(
        f"SELECT count(*) FILTER (({read}) IS NULL) = 0 FROM "
        f"(SELECT {plain} AS plain FROM _landed_text WHERE {_values(name)})"
    ).fetchall()[0][0]


def _unit_since_epoch(connection: duckdb.DuckDBPyConnection, name: str) -> Literal["s", "ms", "us"] | None:
    if not set(name.split("_")) & set(_MOMENT_WORDS):
        return None
    low, high, odd = connection.execute(
        f'SELECT min(TRY_CAST(trim("{name}") AS DOUBLE)), max(TRY_CAST(trim("{name}") AS DOUBLE)), '
        f"count(*) FILTER (NOT regexp_full_match(trim(\"{name}\"), '\\d{{9,17}}(\\.\\d{{1,9}})?')) "
        f"FROM _landed_text WHERE {_values(name)}"
    ).fetchall()[0]
    if odd or low is None:
        return None
    return next((unit for unit, per in _COUNTS if _FIRST * per <= low and high < _LAST * per), None)
