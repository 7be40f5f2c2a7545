"""Landed files to the table `_landed_text`: every cell as text, with the file and the line it came from.

Each file ends there, also one that is refused: its lines are kept beside the reason. `reading.py` types the cells.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ml_assets.ingestion.csv_records import PLAIN, Dialect, read_header, split_lines, split_records
from ml_assets.ingestion.file_text import decode_anyhow, dialect_of, read_file_text
from ml_assets.ingestion.landed_headers import (
    LandedHeader,
    decode_landed,
    read_landed_header,
    refuse_columns,
    show_header,
    spell_as_contract,
    warn_of_columns,
)
from ml_assets.ingestion.table_file import LINE, TableFile
from ml_assets.ingestion.table_files import read_table_file
from ml_assets.ingestion.unpacking import RefusedFileError
from ml_assets.spec.contract import Source
from ml_assets.spec.drop import key_type
from ml_assets.spec.received import LandedFile, Receipt
from ml_assets.spec.tables.table import KEY_TYPE

if TYPE_CHECKING:
    import duckdb


OTHER_PART = "file_refused:another_part_is_refused"


@dataclass(frozen=True)
class _ReadText:
    """A CSV file as UTF-8 from its header on: in `file.copy`, `above` lines before it are left out."""

    file: LandedFile
    header: LandedHeader
    dialect: Dialect = PLAIN
    above: int = 0


def fill_landed_text(
    connection: duckdb.DuckDBPyConnection, source: Source, files: Sequence[LandedFile], type_of_keys: str = KEY_TYPE
) -> list[Receipt]:
    """Make table `_landed_text` of landed files; give a receipt each, without its number of rows.

    `type_of_keys` is that of `batch_date` where no file says it.
    """
    _create_text_table(connection, source, key_type(files[0].drop) if files else type_of_keys)
    receipts: list[Receipt] = []
    groups: dict[tuple[tuple[str, ...], Dialect, int], list[_ReadText]] = defaultdict(list)
    with ExitStack() as stack:
        working = None if source.file.is_default else Path(stack.enter_context(TemporaryDirectory()))
        for file in files:
            if working is None or file.is_rewritten or file.refusal is not None:
                read = _ReadText(file, read_landed_header(file, source))
            elif source.file.format == "csv":
                read = _read_dialect(source, file, working)
            else:
                receipts.append(_read_table(connection, source, file))
                continue
            header = read.header
            receipts.append(_receipt(file, header.refusal, header.warning))
            if header.refusal is None:
                groups[header.columns, read.dialect, read.above].append(read)
            elif file.refusal is None:
                _insert_raw_lines(connection, read)
        for members in groups.values():
            _read_group(connection, source, members)
    return _refuse_other_parts(connection, receipts) if source.file.names else receipts


def _refuse_other_parts(connection: duckdb.DuckDBPyConnection, receipts: Sequence[Receipt]) -> list[Receipt]:
    """Refuse all own files of a drop of which one is refused: half of a delivery is not taken for the whole."""
    broken = {receipt.drop for receipt in receipts if receipt.refusal is not None and not receipt.is_late}
    connection.execute(
        f"UPDATE _landed_text SET _refused = '{OTHER_PART}' WHERE _refused IS NULL AND NOT _is_late "
        "AND list_contains(?, batch_date)",
        [sorted(broken)],
    )
    return [
        replace(receipt, refusal=OTHER_PART)
        if receipt.drop in broken and receipt.refusal is None and not receipt.is_late
        else receipt
        for receipt in receipts
    ]


def _receipt(file: LandedFile, refusal: str | None, warning: str | None) -> Receipt:
    return Receipt(
        file.drop, file.name, file.sha256, file.size_bytes, 0, refusal, warning, file.is_late, file.modified_ns
    )


def _read_dialect(source: Source, file: LandedFile, working: Path) -> _ReadText:
    """Read a file that is written by a declared dialect, and lay its text from the header on into `working`."""
    content, dialect = file.copy.read_bytes(), dialect_of(source.file)
    copy = working / f"{file.sha256 or 'given'}.csv"
    try:
        found = read_file_text(content, source.file)
    except RefusedFileError as error:
        copy.write_text(decode_anyhow(content, source.file), encoding="utf-8", newline="")
        header = LandedHeader((), error.reason, error.found, first_row=1)
        return _ReadText(replace(file, copy=copy), header, dialect)
    copy.write_text(found.text, encoding="utf-8", newline="")
    read = replace(file, copy=copy)
    header = read_landed_header(read, source, dialect)
    if found.notes and header.refusal is None:
        header = replace(header, warning="; ".join([*([header.warning] if header.warning else []), *found.notes]))
    return _ReadText(read, header, dialect, found.title_lines)


def _read_table(connection: duckdb.DuckDBPyConnection, source: Source, file: LandedFile) -> Receipt:
    """Read a file that is no CSV into `_landed_text`."""
    try:
        found = read_table_file(connection, file.copy, source.file, list(source.columns))
    except RefusedFileError as error:
        return _receipt(file, error.reason, error.found)
    columns = spell_as_contract(found.columns, source)
    nested = [name for name, given in zip(columns, found.columns, strict=True) if given in found.nested]
    refusal = _refuse_table(source, found, columns, nested)
    if refusal is not None:
        _insert_refused_table(connection, file, found, refusal)
        return _receipt(file, refusal, show_header(found.columns) if found.columns else None)
    absent = [name for name in source.columns if name not in columns]
    notes = [*warn_of_columns(found.columns, columns, source), *found.notes]
    notes += [f"absent_column:{','.join(absent)}"] if absent and found.rows.num_rows else []
    _insert_table(connection, source, file, found, columns)
    return _receipt(file, None, "; ".join(notes) or None)


def _refuse_table(source: Source, found: TableFile, columns: Sequence[str], nested: Sequence[str]) -> str | None:
    """Say why a file is refused. JSON lines leave out what is null, so only what every row needs has to be there."""
    wanted = [name for name in nested if name in source.columns]
    if wanted and source.file.format != "jsonl":  # there it costs its line alone
        return f"file_refused:nested_column:{','.join(wanted)}"
    if source.file.format != "jsonl":
        return refuse_columns(columns, source)
    if not found.rows.num_rows:
        return None
    missing = [name for name in source.columns if name not in columns and source.is_required(name)]
    return f"file_refused:missing_column:{','.join(missing)}" if missing else None


def _insert_table(
    connection: duckdb.DuckDBPyConnection, source: Source, file: LandedFile, found: TableFile, columns: Sequence[str]
) -> None:
    given = {name: place for place, name in enumerate(columns)}
    names = [name for name in source.columns if name in given]
    cells = ", ".join(f'"{found.columns[given[name]].replace(chr(34), chr(34) * 2)}" AS "{name}"' for name in names)
    connection.register("_table", found.rows)
    connection.execute(
        f"INSERT INTO _landed_text BY NAME SELECT ?::{key_type(file.drop)} AS batch_date, "
        f"{cells + ', ' if cells else ''}? AS _file, ? AS _sha256, {LINE} AS _line, ?::BOOLEAN AS _is_late FROM _table",
        [file.drop, file.name, file.sha256, file.is_late],
    )
    connection.unregister("_table")
    n_columns = len(connection.table("_landed_text").columns)
    _insert_rows(connection, [_raw_row(n_columns, file, line, text, None) for line, text in found.malformed])


def _insert_refused_table(
    connection: duckdb.DuckDBPyConnection, file: LandedFile, found: TableFile, refusal: str
) -> None:
    """Keep the rows of a refused file, each as a JSON object of its texts."""
    connection.register("_table", found.rows)
    connection.execute(
        f"INSERT INTO _landed_text BY NAME SELECT ?::{key_type(file.drop)} AS batch_date, ? AS _file, ? AS _sha256, "
        f"{LINE} AS _line, ?::BOOLEAN AS _is_late, CAST(to_json(_table) AS VARCHAR) AS _text, ? AS _refused "
        "FROM _table",
        [file.drop, file.name, file.sha256, file.is_late, refusal],
    )
    connection.unregister("_table")
    n_columns = len(connection.table("_landed_text").columns)
    _insert_rows(connection, [_raw_row(n_columns, file, line, text, refusal) for line, text in found.malformed])


def _create_text_table(connection: duckdb.DuckDBPyConnection, source: Source, kind: str) -> None:
    columns = ", ".join(f'"{name}" VARCHAR' for name in source.columns)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _landed_text (batch_date {kind}, {columns}, _file VARCHAR, _sha256 VARCHAR, "
        "_line BIGINT, _is_late BOOLEAN, _text VARCHAR, _refused VARCHAR)"
    )


def _read_group(connection: duckdb.DuckDBPyConnection, source: Source, members: Sequence[_ReadText]) -> None:
    """Read files of one header and dialect in one pass; those in which a line is not a row go record by record."""
    counts = _scan_regular(connection, source, [read for read in members if read.header.is_regular])
    names = ", ".join(f'"{name}"' for name in source.columns)
    whole, above = [], members[0].above
    for read in members:
        # a blank line or a line end inside a quoted cell would shift the line numbers after it
        if read.header.is_regular and counts.get(read.file.copy.name, 0) == read.header.lines_after:
            whole.append(read.file)
        else:
            _insert_records(connection, source, read)
    if whole:
        places = ", ".join([f"(?::{key_type(whole[0].drop)}, ?, ?, ?, ?::BOOLEAN)"] * len(whole))
        values = [v for file in whole for v in (file.drop, file.copy.name, file.name, file.sha256, file.is_late)]
        connection.execute(
            f"INSERT INTO _landed_text BY NAME SELECT place.batch_date, {names}, place._file, place._sha256, "
            "row._line, place._is_late, NULL AS _text, NULL AS _refused FROM (SELECT *, rowid - min(rowid) OVER "
            f"(PARTITION BY _copy) + {2 + above} AS _line FROM _scanned) AS row JOIN (VALUES {places}) "
            "AS place (batch_date, _copy, _file, _sha256, _is_late) USING (_copy)",
            values,
        )


def _scan_regular(
    connection: duckdb.DuckDBPyConnection, source: Source, members: Sequence[_ReadText]
) -> dict[str, int]:
    """Read regular files in bulk into `_scanned`; give the rows of each file all of whose lines split into columns.

    Files that the engine cannot read at all are not among them: one of them must not cost another its drop.
    """
    import duckdb

    if not members:
        return {}
    columns, dialect, files = members[0].header.columns, members[0].dialect, [read.file for read in members]
    landed = ", ".join(
        f"\"{name if name in source.columns else f'_extra_{position}'}\" := 'VARCHAR'"
        for position, name in enumerate(columns)
    )
    names = ", ".join(f'"{name}"' for name in source.columns)
    try:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE _scanned AS SELECT {names}, parse_filename(_path) AS _copy FROM read_csv(?, "
            f"columns = struct_pack({landed}), auto_detect = false, header = true, delim = ?, quote = ?, escape = ?, "
            "filename = '_path', store_rejects = true, rejects_table = '_reject_lines', "
            "rejects_scan = '_reject_scans')",
            [sorted({str(file.copy) for file in files}), dialect.separator, dialect.quote, dialect.quote],
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


def _insert_records(connection: duckdb.DuckDBPyConnection, source: Source, read: _ReadText) -> None:
    file, columns, dialect = read.file, read.header.columns, read.dialect
    text = decode_landed(file.copy.read_bytes())
    header, header_lines = read_header(text, dialect)
    rows = []
    for record in split_records(text, len(columns), header_lines + 1, dialect):
        cells = record.cells
        if cells is not None and tuple(cell.strip() for cell in cells) == header:
            cells = None  # the header once more: two files were joined
        by_name = {} if cells is None else dict(zip(columns, cells, strict=True))
        values = [by_name.get(name) for name in source.columns]
        raw = record.text if cells is None else None
        rows.append([file.drop, *values, file.name, file.sha256, record.line + read.above, file.is_late, raw, None])
    _insert_rows(connection, rows)


def _insert_raw_lines(connection: duckdb.DuckDBPyConnection, read: _ReadText) -> None:
    file, header = read.file, read.header
    n_columns = len(connection.table("_landed_text").columns)
    lines = split_lines(file.copy.read_bytes().decode("utf-8-sig", errors="replace"))
    rows = [
        _raw_row(n_columns, file, number + read.above, line, header.refusal)
        for number, line in enumerate(lines[header.first_row - 1 :], start=header.first_row)
        if line
    ]
    _insert_rows(connection, rows)


def _raw_row(n_columns: int, file: LandedFile, line: int, text: str, refusal: str | None) -> list[object]:
    return [file.drop, *[None] * (n_columns - 7), file.name, file.sha256, line, file.is_late, text, refusal]


def _insert_rows(connection: duckdb.DuckDBPyConnection, rows: list[list[object]]) -> None:
    import pyarrow as pa

    if not rows:
        return
    types = {
        "batch_date": pa.date32() if isinstance(rows[0][0], date) else pa.string(),
        "_line": pa.int64(),
        "_is_late": pa.bool_(),
    }
    names = connection.table("_landed_text").columns
    columns = zip(names, zip(*rows, strict=True), strict=True)
    table = pa.table({name: pa.array(values, types.get(name, pa.string())) for name, values in columns})
    connection.register("_records", table)  # row by row it would take two milliseconds each
    connection.execute("INSERT INTO _landed_text SELECT * FROM _records")
    connection.unregister("_records")
