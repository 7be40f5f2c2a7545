"""Lines of a received file written again as a file of their own, to be judged once more."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from datetime import date
from pathlib import Path

from ml_assets.ingestion.csv_records import read_header, split_records
from ml_assets.ingestion.landed_text import fill_landed_text
from ml_assets.spec.contract import Source
from ml_assets.spec.received import LandedFile


def write_again(text: str, lines: Collection[int]) -> str:
    r"""Give a CSV with the header of `text` and its records that begin on `lines`, in their order.

    A record that does not split into the columns of the header is written as it stands.

    Raises
    ------
    LookupError
        If no record begins on one of the lines.

    >>> write_again('id,name\n1,a\n2,"b,c"\n3,d\n', {3, 4})
    'id,name\n2,"b,c"\n3,d\n'
    """
    columns, header_lines = read_header(text)
    wanted = set(lines)
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(columns)
    for record in split_records(text, len(columns), first_line=header_lines + 1):
        if record.line not in wanted:
            continue
        wanted.discard(record.line)
        if record.cells is None:
            written.write(record.text + "\n")
        else:
            writer.writerow(record.cells)
    if wanted:
        raise LookupError(f"no record begins on lines {', '.join(map(str, sorted(wanted)[:5]))}")
    return written.getvalue()


def write_declared_again(source: Source, copy: Path, lines: Collection[int]) -> str:
    """Give a CSV of the rows that begin on `lines` of a received file of a declared format, cells as they were written.

    What is no row is written as one cell, which is no row either.

    Raises
    ------
    LookupError
        If there is nothing on one of the lines.
    """
    import duckdb

    names = list(source.columns)
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        file = LandedFile(date(2000, 1, 1), copy.name, "", copy.stat().st_size, copy)
        fill_landed_text(connection, source, [file])
        listed = ", ".join(f'"{name}"' for name in names)
        found = connection.execute(
            f"SELECT _line, _text, {listed} FROM _landed_text WHERE list_contains(?, _line) ORDER BY _line",
            [sorted(lines)],
        ).fetchall()
    absent = set(lines) - {row[0] for row in found}
    if absent:
        raise LookupError(f"no row begins on lines {', '.join(map(str, sorted(absent)[:5]))}")
    null = source.null_values[0] if source.null_values else ""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(names)
    for _, text, *cells in found:
        writer.writerow([text, *[""] * len(names)] if text is not None else [null if c is None else c for c in cells])
    return written.getvalue()
