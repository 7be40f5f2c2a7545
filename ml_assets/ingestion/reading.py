"""From landed files to typed rows, by contract; every line is kept, also one that cannot be read."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ml_assets.ingestion.csv_records import count_lines, read_header, split_lines, split_records
from ml_assets.spec.contract import SQL_TYPES, Column, Source
from ml_assets.spec.drops import LandedFile, Receipt

if TYPE_CHECKING:
    import duckdb

PROVENANCE = ("_file", "_sha256", "_line", "_is_late", "_text", "_unreadable", "_refused")
IN_ORDER = "_is_late DESC, _file, _line"  # of the rows of a drop: of two versions of a fact the later one counts
_HAS_OFFSET = r"\d{2}:\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$"


@dataclass(frozen=True)
class _Header:
    columns: tuple[str, ...]
    refusal: str | None
    warning: str | None
    lines_after: int = 0


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
    groups: dict[tuple[str, ...], list[tuple[LandedFile, int]]] = defaultdict(list)
    for file in files:
        header = _read_header(file, source) if file.refusal is None else _Header((), file.refusal, None)
        said = (header.refusal, header.warning, file.is_late, file.modified_ns)
        receipts.append(Receipt(file.drop, file.name, file.sha256, file.size_bytes, 0, *said))
        if header.refusal is None:
            groups[header.columns].append((file, header.lines_after))
        elif file.refusal is None:
            _insert_raw_lines(connection, file, header.refusal)
    for columns, members in groups.items():
        _read_group(connection, source, columns, members)
    counted = connection.execute("SELECT batch_date, _file, count(*) FROM _landed_text GROUP BY ALL").fetchall()
    counts = {(drop, name): number for drop, name, number in counted}
    typed = connection.sql(f"SELECT {_typed_columns(source)} FROM _landed_text ORDER BY batch_date, {IN_ORDER}")
    return typed, [replace(receipt, rows=counts.get((receipt.drop, receipt.name), 0)) for receipt in receipts]


def _read_header(file: LandedFile, source: Source) -> _Header:
    content = file.copy.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _Header((), "file_refused:not_utf8", f"byte_{error.start}")
    if not text or text.isspace():
        return _Header((), "file_refused:empty", None)
    try:
        columns, header_lines = read_header(text)
    except csv.Error:
        return _Header((), "file_refused:header_unreadable", None)
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        return _Header(columns, f"file_refused:column_twice:{','.join(twice)}", None)
    missing = [name for name in source.columns if name not in columns]
    if missing:
        return _Header(columns, f"file_refused:missing_column:{','.join(missing)}", None)
    extra = [name for name in columns if name not in source.columns]
    warning = f"extra_column:{','.join(extra)}" if extra else None
    return _Header(columns, None, warning, count_lines(text) - header_lines)


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
    files: list[tuple[LandedFile, int]],
) -> None:
    """Read files of one header in one pass; those in which a line is not a row go record by record."""
    paths = sorted({str(file.copy) for file, _ in files})
    landed = ", ".join(
        f"\"{name if name in source.columns else f'_extra_{position}'}\" := 'VARCHAR'"
        for position, name in enumerate(columns)
    )
    names = ", ".join(f'"{name}"' for name in source.columns)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _scanned AS SELECT {names}, parse_filename(_path) AS _copy FROM read_csv(?, "
        f"columns = struct_pack({landed}), auto_detect = false, header = true, delim = ',', quote = '\"', "
        "escape = '\"', filename = '_path', store_rejects = true, rejects_table = '_reject_lines', "
        "rejects_scan = '_reject_scans')",
        [paths],
    )
    rejected = connection.execute(
        "SELECT DISTINCT parse_filename(s.file_path) FROM _reject_lines AS l "
        "JOIN _reject_scans AS s USING (scan_id, file_id)"
    ).fetchall()
    connection.execute("DROP TABLE _reject_lines; DROP TABLE _reject_scans")
    ragged = {row[0] for row in rejected}
    rows = dict(connection.execute("SELECT _copy, count(*) FROM _scanned GROUP BY _copy").fetchall())
    whole = []
    for file, lines in files:
        # a blank line or a line end inside a quoted cell would shift the line numbers after it
        if file.copy.name in ragged or rows.get(file.copy.name, 0) != lines:
            _insert_records(connection, source, columns, file)
        else:
            whole.append(file)
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


def _insert_records(
    connection: duckdb.DuckDBPyConnection, source: Source, columns: tuple[str, ...], file: LandedFile
) -> None:
    text = file.copy.read_bytes().decode("utf-8-sig")
    rows = []
    for record in split_records(text, len(columns), first_line=read_header(text)[1] + 1):
        by_name = {} if record.cells is None else dict(zip(columns, record.cells, strict=True))
        values = [by_name.get(name) for name in source.columns]
        raw = record.text if record.cells is None else None
        rows.append([file.drop, *values, file.name, file.sha256, record.line, file.is_late, raw, None])
    _insert_rows(connection, rows)


def _insert_raw_lines(connection: duckdb.DuckDBPyConnection, file: LandedFile, refusal: str) -> None:
    lines = split_lines(file.copy.read_bytes().decode("utf-8-sig", errors="replace"))
    width = len(connection.table("_landed_text").columns)
    rows = [
        [file.drop, *[None] * (width - 7), file.name, file.sha256, number, file.is_late, line, refusal]
        for number, line in enumerate(lines[1:], start=2)
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


def _typed_columns(source: Source) -> str:
    nulls = ", ".join("'" + value.replace("'", "''") + "'" for value in source.null_values)
    typed, unreadable = [], []
    for name, column in source.columns.items():
        text = f"coalesce(\"{name}\", '')"
        text = f"CASE WHEN _text IS NULL AND {text} NOT IN ({nulls}) THEN {text} END" if nulls else text
        value = typed_value(text, column)
        typed.append(f'{value} AS "{name}"')
        unreadable.append(f"CASE WHEN ({text}) IS NOT NULL AND ({value}) IS NULL THEN '{name}=' || ({text}) END")
    faults = f"list_filter([{', '.join(unreadable)}], lambda fault: fault IS NOT NULL)"
    return (
        f"batch_date, {', '.join(typed)}, _file, _sha256, _line, _is_late, _text, "
        f"CASE WHEN len({faults}) > 0 THEN {faults} END AS _unreadable, _refused"
    )


def typed_value(text: str, column: Column) -> str:
    """Give SQL that reads `text`, SQL of a text, as the type of `column`; null where it does not read as that."""
    if column.type == "string":
        return f"({text})"
    if column.type == "integer":  # a cast would round 12.7 to 13
        return (
            f"CASE WHEN regexp_full_match(trim({text}), '[+-]?\\d+(\\.0+)?') "
            f"THEN TRY_CAST(split_part(trim({text}), '.', 1) AS BIGINT) END"
        )
    if column.type == "float":  # a sum never holds an infinity or a NaN
        return f"CASE WHEN isfinite(TRY_CAST({text} AS DOUBLE)) THEN TRY_CAST({text} AS DOUBLE) END"
    if column.type == "timestamp":  # a cast would pass over a zone that is named, and take infinity
        return (
            f"CASE WHEN regexp_matches(trim({text}), '{_HAS_OFFSET}') THEN TRY_CAST({text} AS TIMESTAMPTZ) "
            f"WHEN regexp_full_match(trim({text}), '[-0-9T:. ]+') "
            f"THEN timezone('{column.zone}', TRY_CAST({text} AS TIMESTAMP)) END"
        )
    if column.type == "date":  # a cast would cut off a time of day
        return f"CASE WHEN regexp_full_match(trim({text}), '\\d+-\\d+-\\d+') THEN TRY_CAST({text} AS DATE) END"
    return f"TRY_CAST({text} AS {SQL_TYPES[column.type]})"
