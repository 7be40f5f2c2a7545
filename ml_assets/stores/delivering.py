"""Files that people and systems take away: written whole or not at all, and only where they may be."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.spec.deliveries import Delivery
from ml_assets.spec.drop import DropKey
from ml_assets.stores.handing_over import DeliveryError, hand_over
from ml_assets.stores.landing import write_whole
from ml_assets.stores.paths import StatePaths, delivery_roots

if TYPE_CHECKING:
    import pyarrow as pa


# what begins a formula, also in the wide forms of these characters
_FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20].", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def deliver(paths: StatePaths, use_case: str, delivery: Delivery, drop: DropKey, rows: pa.Table) -> Path | str | None:
    """Hand over the rows of a drop, and say where they are: the path of a file; None where there is no row.

    A file whose rows no longer stand is taken back, and one that has the same content already is left alone: whoever
    watches the folder sees only what is new. Columns that say where a row came from (`_...`) are not delivered.

    Raises
    ------
    DeliveryError
        If the folder lies among the state that files must not touch, or cannot be written to, or if a database or
        webhook does not take the rows.
    """
    if not delivery.is_file:
        shown = rows.select([name for name in rows.column_names if not name.startswith("_")])
        return hand_over(paths.delivered / use_case, use_case, delivery, drop, shown)
    path = folder_of(paths, use_case, delivery) / f"{drop}.{delivery.format}"
    try:
        if rows.num_rows == 0:
            path.unlink(missing_ok=True)
            return None
        content = _content(rows.select([name for name in rows.column_names if not name.startswith("_")]), delivery)
        if not path.is_file() or path.read_bytes() != content:
            write_whole(path, content)
    except OSError as error:
        raise DeliveryError(f"{delivery.table} of {drop} cannot be delivered to {path}: {error.strerror}") from error
    return path


def folder_of(paths: StatePaths, use_case: str, delivery: Delivery) -> Path:
    """Give the folder of a delivery.

    Raises
    ------
    DeliveryError
        If it leads, also by a link, out of the delivered files, or if an absolute one leads where this machine allows
        none.
    """
    own = paths.delivered / use_case
    folder = own / delivery.path  # an absolute path stands for itself
    resolved = folder.resolve()
    if not delivery.path.is_absolute() and not resolved.is_relative_to(own.resolve()):
        raise DeliveryError(f"{folder} leads to {resolved}; allowed: folders below {own}, or an absolute path declared")
    refusal = delivery_roots(paths).refusal(use_case, folder)
    if refusal is not None:
        raise DeliveryError(f"{folder} {refusal}")
    return folder


def _content(rows: pa.Table, delivery: Delivery) -> bytes:
    if delivery.format == "csv":
        frame = rows.to_pandas()
        if delivery.escape_formulas:
            for name in frame.columns:
                if frame[name].dtype.kind == "O":
                    frame[name] = frame[name].map(escape_formula)
        rows_written = _UnixRows()
        frame.to_csv(rows_written, index=False, lineterminator="\r\n")
        return rows_written.getvalue().encode()
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    return buffer.getvalue()


class _UnixRows(io.StringIO):
    """Takes rows that end in CR LF, one a call, as the csv module writes them, and ends them in LF.

    With a line end of LF alone the csv module leaves a CR in a cell unquoted, and what follows it begins a row.
    """

    def __init__(self) -> None:
        super().__init__(newline="")

    def write(self, row: str, /) -> int:
        return super().write(row.removesuffix("\r\n") + "\n")


def escape_formula(value: object) -> object:
    r"""Write a text that a spreadsheet would take for a formula with a quote before it; numbers and others stay.

    >>> [escape_formula(each) for each in ("=1+1", "-1.5", "+2e3", "-", "@SUM(A1)", "\t=1", "a=b", 7, None)]
    ["'=1+1", '-1.5', '+2e3', '-', "'@SUM(A1)", "'\t=1", 'a=b', 7, None]
    """
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value
