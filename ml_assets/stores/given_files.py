"""Files that somebody brings to begin a use case with: read once, profiled, and left as they are."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ml_assets.ingestion.csv_records import read_header
from ml_assets.ingestion.dialects import NoFormatError, ProposedFormat, propose_format
from ml_assets.ingestion.file_text import dialect_of, read_file_text
from ml_assets.ingestion.headers import contract_names
from ml_assets.ingestion.history import HistoryError
from ml_assets.ingestion.profiling import FileProfile, profile_rows
from ml_assets.ingestion.reading import read_landed
from ml_assets.ingestion.table_files import read_table_file
from ml_assets.ingestion.unpacking import RefusedFileError
from ml_assets.ingestion.written_marks import Marks, find_marks, write_plainly
from ml_assets.spec.contract import Source
from ml_assets.spec.file_format import FileFormat
from ml_assets.spec.received import LandedFile
from ml_assets.stores.history import as_contract_csv

if TYPE_CHECKING:
    import duckdb

Row = dict[str, str]
_ANY_DAY = date(2000, 1, 1)


def profile_file(name: str, file: Path) -> tuple[FileProfile, list[Row]]:
    """Profile a file as source `name`, by the format that it seems to have; give its first rows beside, as text.

    The texts are as a contract without marks reads them: 1.5, 2024-12-31.

    Raises
    ------
    HistoryError
        If no format fits it, it cannot be read, or has no row.
    """
    import duckdb

    if not file.is_file():
        raise HistoryError(f"{file}: is not there, or is not a file")
    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        prepared = Path(folder) / "given.csv"
        found, names, texts = _prepare(connection, file, prepared)
        source = Source.model_validate(
            {"name": name, "key": names[:1], "columns": {column: {"type": "string"} for column in names},
             "file": found.declared.model_dump()}
        )  # fmt: skip
        landed = LandedFile(_ANY_DAY, file.name, "", prepared.stat().st_size, prepared)
        _, (receipt,) = read_landed(connection, source, [landed])
        if receipt.refusal is not None or not receipt.rows:
            said = f"{receipt.refusal} ({receipt.warning})" if receipt.refusal else "has no row"
            raise HistoryError(f"{file}: {said}; allowed: a header and rows")
        marks = find_marks(connection, names, found.declared)
        for key, (value, reason) in marks.numbers.items():
            found = found.with_key(key, value, reason)
        write_plainly(connection, marks, found.declared)
        profile = _with_marks(profile_rows(connection, name, texts), found, marks)
        if profile.rows < profile.malformed:
            found_rows = f"{profile.malformed:,} of {receipt.rows:,} lines are no rows of {len(names)} columns"
            raise HistoryError(f"{file}: {found_rows}; allowed: a header, and rows of as many cells")
        listed = ", ".join(f'"{column}"' for column in names)
        rows = connection.execute(
            f"SELECT {listed} FROM _landed_text WHERE _text IS NULL ORDER BY _line LIMIT 2"
        ).fetchall()
    return profile, [
        {column: value for column, value in zip(names, row, strict=True) if value not in (None, "")} for row in rows
    ]


def _prepare(
    connection: duckdb.DuckDBPyConnection, file: Path, prepared: Path
) -> tuple[ProposedFormat, list[str], tuple[str, ...]]:
    """Lay a file where it can be read; give its format, its columns, and those that hold texts."""
    try:
        found = propose_format(file.read_bytes())
        if found.declared.is_default:
            return found, as_contract_csv(connection, file, prepared), ()
        shutil.copyfile(file, prepared)
        return found, *_names(connection, prepared, found.declared)
    except (NoFormatError, RefusedFileError) as error:
        said = getattr(error, "found", None)
        raise HistoryError(f"{file}: {error}{f' ({said})' if said else ''}") from error


def _names(
    connection: duckdb.DuckDBPyConnection, file: Path, declared: FileFormat
) -> tuple[list[str], tuple[str, ...]]:
    """Give the columns a contract can have, as it spells them, and those that hold texts whatever they look like."""
    if declared.format == "csv":
        text = read_file_text(file.read_bytes(), declared).text
        return contract_names(read_header(text, dialect_of(declared))[0]), ()
    table = read_table_file(connection, file, declared, ())
    spelled = dict(zip(table.columns, contract_names(table.columns), strict=True))
    flat = [each for each in table.columns if each not in table.nested and each.strip()]
    return [spelled[each] for each in flat], tuple(spelled[each] for each in table.texts if each in flat)


def _with_marks(profile: FileProfile, found: ProposedFormat, marks: Marks) -> FileProfile:
    """Say of a file and its columns how they are written."""
    columns = [
        replace(
            column,
            written=tuple(marks.columns.get(column.name, ({}, ""))[0].items()) if column.is_moment else (),
            written_reason=marks.columns.get(column.name, ({}, ""))[1] if column.is_moment else "",
            note=marks.notes.get(column.name, column.note),
        )
        for column in profile.columns
    ]
    written = [(key, getattr(found.declared, key), why) for key, why in found.reasons.items()]
    shown = [(key, json.dumps(value, ensure_ascii=False), why) for key, value, why in written]
    return replace(
        profile, columns=tuple(columns), written=tuple(shown), file_name=f"{profile.name}{found.declared.extension}"
    )
