"""From landed files to typed rows, by contract; every line is kept, also one that cannot be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ml_assets.ingestion.landed_text import fill_landed_text
from ml_assets.ingestion.written_values import has_plain_text, plain_text, typed_value
from ml_assets.spec.contract import Source
from ml_assets.spec.drop import DropKey
from ml_assets.spec.received import LandedFile, Receipt
from ml_assets.spec.tables.table import KEY_TYPE

if TYPE_CHECKING:
    import duckdb

PROVENANCE = ("_file", "_sha256", "_line", "_is_late", "_text", "_unreadable", "_refused")
IN_ORDER = "_is_late DESC, _file, _line"  # of the rows of a drop: of two versions of a fact the later one counts


def read_landed(
    connection: duckdb.DuckDBPyConnection, source: Source, files: Sequence[LandedFile], type_of_keys: str = KEY_TYPE
) -> tuple[duckdb.DuckDBPyRelation, list[Receipt]]:
    """Read landed files by the contract of their source.

    Parameters
    ----------
    type_of_keys
        SQL type of `batch_date` where there is no file: of a calendar with several drops a day, text.

    Returns
    -------
    tuple of relation and list
        One row a landed line after the header: `batch_date`, the contract's columns by their types
        (null where the text is in the null set or cannot be read), and where the row came from:
        `_file`, `_sha256`, `_line` (the header is line 1), `_is_late` (not from the drop's own file),
        `_text` (the raw line, where it does not split into columns), `_unreadable` (`column=text`, a
        list), `_refused` (why the whole file was refused). And one receipt a file.
    """
    receipts = fill_landed_text(connection, source, files, type_of_keys)
    counted = connection.execute("SELECT batch_date, _file, count(*) FROM _landed_text GROUP BY ALL").fetchall()
    counts = {(drop, name): number for drop, name, number in counted}
    typed = connection.sql(f"{_typed_rows(source)} ORDER BY batch_date, {IN_ORDER}")
    skipped = _skipped_times(connection, source, [file.drop for file in files])
    found: list[Receipt] = []
    for receipt in receipts:
        place = (receipt.drop, receipt.name)
        warnings = [*([receipt.warning] if receipt.warning else []), *skipped.get(place, [])]
        found.append(replace(receipt, rows=counts.get(place, 0), warning="; ".join(warnings) or None))
    return typed, found


def _skipped_times(
    connection: duckdb.DuckDBPyConnection, source: Source, drops: Sequence[DropKey]
) -> dict[tuple[DropKey, str], list[str]]:
    """Count, for each file, the local times that do not exist because clocks were set forward past them.

    Such a time is read as later by the size of the change. Years looked at: those of the drops, one before, one after.
    """
    found: dict[tuple[DropKey, str], list[str]] = defaultdict(list)
    for name, column in source.columns.items():
        if column.type != "timestamp" or column.zone == "UTC" or not drops:
            continue
        days = days_set_forward(column.zone, min(drops).year - 1, max(drops).year + 1)
        if not days:
            continue
        local = f'TRY_CAST("{name}" AS TIMESTAMP)'
        rows = connection.execute(
            f'SELECT batch_date, _file, count(*), min(trim("{name}")) FROM _landed_text WHERE _text IS NULL AND '
            f"regexp_full_match(trim(\"{name}\"), '[-0-9T:. ]+') AND list_contains(?, CAST({local} AS DATE)) AND "
            f"timezone('{column.zone}', timezone('{column.zone}', {local})) <> {local} GROUP BY ALL",
            [days],
        ).fetchall()
        for drop, file, count, first in rows:
            found[drop, file].append(
                f"{count} times of {name} that {column.zone} never had, as {first}, are read as after its clocks were "
                "set forward"
            )
    return found


@cache
def days_set_forward(zone: str, first: int, last: int) -> list[date]:
    """Name the days of some years on which the clocks of a zone are set forward.

    Examples
    --------
    >>> days_set_forward("Europe/Berlin", 2024, 2025)
    [datetime.date(2024, 3, 31), datetime.date(2025, 3, 30)]
    """
    clock, day = ZoneInfo(zone), timedelta(days=1)
    offsets = [
        (at.date(), at.astimezone(clock).utcoffset() or timedelta(0))
        for at in (datetime(first, 1, 1, tzinfo=UTC) + number * day for number in range(366 * (last - first + 1) + 1))
    ]
    changed = [(before, after) for (before, was), (after, now) in pairwise(offsets) if now > was]
    return sorted({each for pair in changed for each in pair if _is_set_forward(clock, each)})


def _is_set_forward(clock: ZoneInfo, day: date) -> bool:
    """Say whether a day has fewer hours than others on a clock."""
    begins = datetime(day.year, day.month, day.day, tzinfo=clock)
    ends = datetime.combine(day + timedelta(days=1), datetime.min.time(), clock)
    return ends.astimezone(UTC) - begins.astimezone(UTC) < timedelta(days=1)


def _typed_rows(source: Source) -> str:
    """Give the query that types `_landed_text`: null set, then the plain text, value and fault, each said once.

    Said one inside the other, the SQL of fifteen columns is 53 kB long, and to plan it takes as long as to run it.
    Where a format tells a missing value from an empty text, the former is null whatever the null set says.
    """
    texts, plains, values, typed, faults = [], [], [], [], []
    for place, (name, column) in enumerate(source.columns.items()):
        words = (*source.null_values, *column.null_values)
        nulls = ", ".join("'" + value.replace("'", "''") + "'" for value in words)
        text = f"coalesce(\"{name}\", '')" if source.file.format == "csv" else f'"{name}"'
        text = f"CASE WHEN _text IS NULL AND {text} NOT IN ({nulls}) THEN {text} END" if nulls else text
        texts.append(f"{text} AS _text_{place}")
        plain = f"_text_{place}"
        if not has_plain_text(column, source.file):
            plains.append(f"{plain_text(plain, column, source.file)} AS _plain_{place}")
            plain = f"_plain_{place}"
        values.append(f"{typed_value(plain, column)} AS _value_{place}")
        typed.append(f'_value_{place} AS "{name}"')
        is_fault = f"_text_{place} IS NOT NULL AND _value_{place} IS NULL"
        faults.append(f"CASE WHEN {is_fault} THEN '{name}=' || _text_{place} END")
    carried = "batch_date, _file, _sha256, _line, _is_late, _text, _refused"
    found = f"list_filter([{', '.join(faults)}], lambda fault: fault IS NOT NULL)"
    rows = f"SELECT {carried}, {', '.join(texts)} FROM _landed_text"
    if plains:
        rows = f"SELECT *, {', '.join(plains)} FROM ({rows})"
    return (
        f"SELECT batch_date, {', '.join(typed)}, _file, _sha256, _line, _is_late, _text, "
        "CASE WHEN len(_faults) > 0 THEN _faults END AS _unreadable, _refused "
        f"FROM (SELECT *, {found} AS _faults FROM (SELECT *, {', '.join(values)} FROM ({rows})))"
    )
