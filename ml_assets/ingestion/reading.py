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

from ml_assets.ingestion.csv_records import read_header, split_lines, split_records
from ml_assets.ingestion.landed_headers import LandedHeader, decode_landed, read_landed_header
from ml_assets.spec.contract import SQL_TYPES, Column, Source
from ml_assets.spec.drop import DropKey
from ml_assets.spec.received import LandedFile, Receipt

if TYPE_CHECKING:
    import duckdb

PROVENANCE = ("_file", "_sha256", "_line", "_is_late", "_text", "_unreadable", "_refused")
IN_ORDER = "_is_late DESC, _file, _line"  # of the rows of a drop: of two versions of a fact the later one counts
_SET_BACK_MIN = (60, 30, 120)  # by how much clocks are set back: nearly everywhere, on Lord Howe, at Troll
MOMENTS = ("date", "timestamp")
_FLOAT = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_FULL_YEAR = r"^-?\d{4,}\D"  # of fewer digits it could be any part of a date
_HAS_OFFSET = r"\d{2}:\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$"


def read_landed(
    connection: duckdb.DuckDBPyConnection, source: Source, files: Sequence[LandedFile]
) -> tuple[duckdb.DuckDBPyRelation, list[Receipt]]:
    """Read landed files by the contract of their source.

    Returns
    -------
    tuple of relation and list
        One row a landed line after the header: `batch_date`, the contract's columns by their types
        (null where the text is in the null set or cannot be read), and where the row came from:
        `_file`, `_sha256`, `_line` (the header is line 1), `_is_late` (not from the drop's own file),
        `_text` (the raw line, where it does not split into columns), `_unreadable` (`column=text`, a
        list), `_refused` (why the whole file was refused). And one receipt a file.
    """
    _create_text_table(connection, source)
    receipts: list[Receipt] = []
    groups: dict[tuple[str, ...], list[tuple[LandedFile, LandedHeader]]] = defaultdict(list)
    for file in files:
        header = read_landed_header(file, source)
        said = (header.refusal, header.warning, file.is_late, file.modified_ns)
        receipts.append(Receipt(file.drop, file.name, file.sha256, file.size_bytes, 0, *said))
        if header.refusal is None:
            groups[header.columns].append((file, header))
        elif file.refusal is None:
            _insert_raw_lines(connection, file, header)
    for columns, members in groups.items():
        _read_group(connection, source, columns, members)
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


def _create_text_table(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    columns = ", ".join(f'"{name}" VARCHAR' for name in source.columns)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _landed_text (batch_date DATE, {columns}, _file VARCHAR, _sha256 VARCHAR, "
        "_line BIGINT, _is_late BOOLEAN, _text VARCHAR, _refused VARCHAR)"
    )


def _read_group(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    columns: tuple[str, ...],
    files: list[tuple[LandedFile, LandedHeader]],
) -> None:
    """Read files of one header in one pass; those in which a line is not a row go record by record."""
    counts = _scan_regular(connection, source, columns, [file for file, header in files if header.is_regular])
    names = ", ".join(f'"{name}"' for name in source.columns)
    whole = []
    for file, header in files:
        # a blank line or a line end inside a quoted cell would shift the line numbers after it
        if header.is_regular and counts.get(file.copy.name, 0) == header.lines_after:
            whole.append(file)
        else:
            _insert_records(connection, source, columns, file)
    if whole:
        places = ", ".join(["(?::DATE, ?, ?, ?, ?::BOOLEAN)"] * len(whole))
        values = [v for file in whole for v in (file.drop, file.copy.name, file.name, file.sha256, file.is_late)]
        connection.execute(
            f"INSERT INTO _landed_text BY NAME SELECT place.batch_date, {names}, place._file, place._sha256, "
            "row._line, place._is_late, NULL AS _text, NULL AS _refused FROM (SELECT *, rowid - min(rowid) OVER "
            f"(PARTITION BY _copy) + 2 AS _line FROM _scanned) AS row JOIN (VALUES {places}) "
            "AS place (batch_date, _copy, _file, _sha256, _is_late) USING (_copy)",
            values,
        )


def _scan_regular(
    connection: duckdb.DuckDBPyConnection, source: Source, columns: tuple[str, ...], files: Sequence[LandedFile]
) -> dict[str, int]:
    """Read regular files in bulk into `_scanned`; give the rows of each file all of whose lines split into columns.

    Files that the engine cannot read at all are not among them: one of them must not cost another its drop.
    """
    import duckdb

    if not files:
        return {}
    landed = ", ".join(
        f"\"{name if name in source.columns else f'_extra_{position}'}\" := 'VARCHAR'"
        for position, name in enumerate(columns)
    )
    names = ", ".join(f'"{name}"' for name in source.columns)
    try:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE _scanned AS SELECT {names}, parse_filename(_path) AS _copy FROM read_csv(?, "
            f"columns = struct_pack({landed}), auto_detect = false, header = true, delim = ',', quote = '\"', "
            "escape = '\"', filename = '_path', store_rejects = true, rejects_table = '_reject_lines', "
            "rejects_scan = '_reject_scans')",
            [sorted({str(file.copy) for file in files})],
        )
        rejected = connection.execute(
            "SELECT DISTINCT parse_filename(s.file_path) FROM _reject_lines AS l "
            "JOIN _reject_scans AS s USING (scan_id, file_id)"
        ).fetchall()
    except duckdb.Error:  # every line is read all the same, record by record
        return {}
    finally:
        connection.execute("DROP TABLE IF EXISTS _reject_lines; DROP TABLE IF EXISTS _reject_scans")
    counts = dict(connection.execute("SELECT _copy, count(*) FROM _scanned GROUP BY _copy").fetchall())
    empty = {file.copy.name: 0 for file in files}
    return {name: rows for name, rows in (empty | counts).items() if (name,) not in rejected}


def _insert_records(
    connection: duckdb.DuckDBPyConnection, source: Source, columns: tuple[str, ...], file: LandedFile
) -> None:
    text = decode_landed(file.copy.read_bytes())
    header, header_lines = read_header(text)
    rows = []
    for record in split_records(text, len(columns), first_line=header_lines + 1):
        cells = record.cells
        if cells is not None and tuple(cell.strip() for cell in cells) == header:
            cells = None  # the header once more: two files were joined
        by_name = {} if cells is None else dict(zip(columns, cells, strict=True))
        values = [by_name.get(name) for name in source.columns]
        raw = record.text if cells is None else None
        rows.append([file.drop, *values, file.name, file.sha256, record.line, file.is_late, raw, None])
    _insert_rows(connection, rows)


def _insert_raw_lines(connection: duckdb.DuckDBPyConnection, file: LandedFile, header: LandedHeader) -> None:
    lines = split_lines(file.copy.read_bytes().decode("utf-8-sig", errors="replace"))
    width = len(connection.table("_landed_text").columns)
    rows = [
        [file.drop, *[None] * (width - 7), file.name, file.sha256, number, file.is_late, line, header.refusal]
        for number, line in enumerate(lines[header.first_row - 1 :], start=header.first_row)
        if line
    ]
    _insert_rows(connection, rows)


def _insert_rows(connection: duckdb.DuckDBPyConnection, rows: list[list[object]]) -> None:
    import pyarrow as pa

    if not rows:
        return
    types = {"batch_date": pa.date32(), "_line": pa.int64(), "_is_late": pa.bool_()}
    names = connection.table("_landed_text").columns
    columns = zip(names, zip(*rows, strict=True), strict=True)
    table = pa.table({name: pa.array(values, types.get(name, pa.string())) for name, values in columns})
    connection.register("_records", table)  # row by row it would take two milliseconds each
    connection.execute("INSERT INTO _landed_text SELECT * FROM _records")
    connection.unregister("_records")


def _typed_rows(source: Source) -> str:
    """Give the query that types `_landed_text`: null set, then value, then fault, each said once.

    Said one inside the other, the SQL of fifteen columns is 53 kB long, and to plan it takes as long as to run it.
    """
    texts, values, typed, faults = [], [], [], []
    for place, (name, column) in enumerate(source.columns.items()):
        words = (*source.null_values, *column.null_values)
        nulls = ", ".join("'" + value.replace("'", "''") + "'" for value in words)
        text = f"coalesce(\"{name}\", '')"
        text = f"CASE WHEN _text IS NULL AND {text} NOT IN ({nulls}) THEN {text} END" if nulls else text
        texts.append(f"{text} AS _text_{place}")
        values.append(f"{typed_value(f'_text_{place}', column)} AS _value_{place}")
        typed.append(f'_value_{place} AS "{name}"')
        is_fault = f"_text_{place} IS NOT NULL AND _value_{place} IS NULL"
        faults.append(f"CASE WHEN {is_fault} THEN '{name}=' || _text_{place} END")
    carried = "batch_date, _file, _sha256, _line, _is_late, _text, _refused"
    found = f"list_filter([{', '.join(faults)}], lambda fault: fault IS NOT NULL)"
    return (
        f"SELECT batch_date, {', '.join(typed)}, _file, _sha256, _line, _is_late, _text, "
        "CASE WHEN len(_faults) > 0 THEN _faults END AS _unreadable, _refused "
        f"FROM (SELECT *, {found} AS _faults FROM (SELECT *, {', '.join(values)} "
        f"FROM (SELECT {carried}, {', '.join(texts)} FROM _landed_text)))"
    )


def typed_value(text: str, column: Column) -> str:
    """Give SQL that reads `text`, SQL of a text, as the type of `column`; null where it does not read as that.

    A moment outside the plausible years of the column does not.
    """
    value = _any_value(text, column)
    if column.type not in MOMENTS:
        return value
    first, last = column.plausible_years
    kind, zone = ("DATE", "") if column.type == "date" else ("TIMESTAMPTZ", " 00:00:00+00")
    return (
        f"CASE WHEN ({value}) >= {kind} '{first}-01-01{zone}' AND ({value}) < {kind} '{last + 1}-01-01{zone}' "
        f"THEN {value} END"
    )


def is_implausible_moment(text: str, column: Column) -> str:
    """Give SQL that says whether `text`, SQL of a text, is a moment outside the plausible years of `column`."""
    if column.type not in MOMENTS:
        return "false"
    return f"(({_any_value(text, column)}) IS NOT NULL AND ({typed_value(text, column)}) IS NULL)"


def _local_moment(local: str, column: Column) -> str:
    """Give SQL for the moment of `local`, a local time of a column's zone. DuckDB takes the later one of two."""
    latest = f"timezone('{column.zone}', {local})"
    if column.zone == "UTC" or column.ambiguous == "latest":
        return latest
    earlier = [f"{latest} - INTERVAL {minutes} MINUTE" for minutes in _SET_BACK_MIN]
    cases = " ".join(f"WHEN timezone('{column.zone}', {each}) = {local} THEN {each}" for each in earlier)
    return f"CASE {cases} ELSE {latest} END"


def _any_value(text: str, column: Column) -> str:
    if column.type == "string":
        return f"({text})"
    if column.type == "integer":  # a cast would round 12.7 to 13, and pass over the _ in 1_000
        return (
            f"CASE WHEN regexp_full_match(trim({text}), '[+-]?\\d+(\\.0+)?') "
            f"THEN TRY_CAST(split_part(trim({text}), '.', 1) AS BIGINT) END"
        )
    if column.type == "float":  # a sum never holds an infinity or a NaN
        number = f"CASE WHEN regexp_full_match(trim({text}), '{_FLOAT}') THEN TRY_CAST({text} AS DOUBLE) END"
        return f"CASE WHEN isfinite({number}) THEN {number} END"
    if column.type == "timestamp":  # a cast would pass over a zone that is named, and take infinity or the year 24
        return (
            f"CASE WHEN NOT regexp_matches(trim({text}), '{_FULL_YEAR}') THEN NULL "
            f"WHEN regexp_matches(trim({text}), '{_HAS_OFFSET}') THEN TRY_CAST({text} AS TIMESTAMPTZ) "
            f"WHEN regexp_full_match(trim({text}), '[-0-9T:. ]+') "
            f"THEN {_local_moment(f'TRY_CAST({text} AS TIMESTAMP)', column)} END"
        )
    if column.type == "date":  # a cast would cut off a time of day
        return f"CASE WHEN regexp_full_match(trim({text}), '-?\\d{{4,}}-\\d+-\\d+') THEN TRY_CAST({text} AS DATE) END"
    return f"TRY_CAST({text} AS {SQL_TYPES[column.type]})"
