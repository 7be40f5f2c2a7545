"""Files that people and systems take away: written whole or not at all, and only where they may be."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.spec.deliveries import Delivery
from ml_assets.stores.landing import write_whole
from ml_assets.stores.paths import StatePaths

if TYPE_CHECKING:
    import pyarrow as pa


class DeliveryError(RuntimeError):
    """A file that cannot be delivered, with its path and why."""


def deliver(paths: StatePaths, use_case: str, delivery: Delivery, drop: date, rows: pa.Table) -> Path | None:
    """Write the rows of a drop as a file, and give its path; None where there is no row.

    A file whose rows no longer stand is taken back, and one that has the same content already is left alone: whoever
    watches the folder sees only what is new. Columns that say where a row came from (`_...`) are not delivered.

    Raises
    ------
    DeliveryError
        If the folder lies among the state that files must not touch, or cannot be written to.
    """
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
        If it leads, also by a link, out of the delivered files, or if an absolute one leads into other state.
    """
    own = paths.delivered / use_case
    folder = own / delivery.path  # an absolute path stands for itself
    resolved = folder.resolve()
    is_inside = resolved.is_relative_to(own.resolve())
    if not delivery.path.is_absolute() and not is_inside:
        raise DeliveryError(f"{folder} leads to {resolved}; allowed: folders below {own}, or an absolute path declared")
    if not is_inside and resolved.is_relative_to(paths.root.resolve()):
        raise DeliveryError(f"{folder} lies in the state of this machine; allowed: {own}, or a folder outside it")
    return folder


def _content(rows: pa.Table, delivery: Delivery) -> bytes:
    if delivery.format == "csv":
        return rows.to_pandas().to_csv(index=False, lineterminator="\n").encode()
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    return buffer.getvalue()
