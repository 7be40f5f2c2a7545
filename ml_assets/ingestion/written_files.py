"""Rows of texts as a file of the format that a source declares: what a past is split into, and rows that come again.

What is written here reads as the rows it was made of, and the same rows give the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Sequence
from datetime import datetime

from ml_assets.ingestion.file_text import FileText
from ml_assets.ingestion.unpacking import pack
from ml_assets.spec.file_format import FileFormat

_NEVER = datetime(1980, 1, 1)  # noqa: DTZ001 - a zip file knows no zones, and no earlier time


def write_texts(
    names: Sequence[str], rows: Sequence[Sequence[str | None]], declared: FileFormat, around: FileText | None = None
) -> bytes:
    """Write rows of texts by a declared format.

    Parameters
    ----------
    around
        A file of the same format, whose titles and footer are taken over.

    Raises
    ------
    ValueError
        If the format has no way to write a text: a character that the encoding has not, a separator without quotes; or
        of Parquet, whose columns have types.
    """
    if declared.format == "csv":
        return pack(_csv(names, rows, declared, around).encode(declared.encoding), declared.compression)
    if declared.format == "jsonl":
        lines = [json.dumps(_present(names, row), ensure_ascii=False) + "\n" for row in rows]
        return pack("".join(lines).encode(declared.encoding), declared.compression)
    if declared.format == "xlsx":
        return _sheet(names, rows, declared)
    raise ValueError("Parquet has typed columns: write a table of the file it came from")


def _csv(
    names: Sequence[str], rows: Sequence[Sequence[str | None]], declared: FileFormat, around: FileText | None
) -> str:
    target = io.StringIO(newline="")
    target.write(around.titles if around else "\n" * declared.title_lines)
    quote = declared.quote_mark
    writer = csv.writer(
        target, delimiter=declared.separator_mark, quotechar=quote or None, lineterminator="\n",
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
    )  # fmt: skip
    try:
        writer.writerow(names)
        writer.writerows(rows)
    except csv.Error as error:
        raise ValueError(f"a text holds what separates cells, and quote: none is declared: {error}") from error
    target.write(around.footer if around else "")
    return target.getvalue()


def _present(names: Sequence[str], row: Sequence[str | None]) -> dict[str, str]:
    return {name: cell for name, cell in zip(names, row, strict=True) if cell is not None}


def _sheet(names: Sequence[str], rows: Sequence[Sequence[str | None]], declared: FileFormat) -> bytes:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(declared.sheet or "Sheet")
    for row in (*[[""]] * declared.title_lines, names, *rows):
        sheet.append(list(row))
    book.properties.created = book.properties.modified = _NEVER
    written, settled = io.BytesIO(), io.BytesIO()
    book.save(written)
    with zipfile.ZipFile(written) as packed, zipfile.ZipFile(settled, "w", zipfile.ZIP_DEFLATED) as target:
        for part in packed.infolist():
            content = packed.read(part)
            if part.filename == "docProps/core.xml":  # the moment of saving is written whatever the properties say
                content = _without_moment(content)
            target.writestr(zipfile.ZipInfo(part.filename), content, zipfile.ZIP_DEFLATED)
    return settled.getvalue()


def _without_moment(core: bytes) -> bytes:
    return re.sub(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*", rb"\g<1>1980-01-01T00:00:00Z", core)
