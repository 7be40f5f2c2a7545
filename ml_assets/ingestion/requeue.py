"""Lines of a received file written again as a file of their own, to be judged once more."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection

from ml_assets.ingestion.csv_records import read_header, split_records


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
