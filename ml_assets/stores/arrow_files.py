"""Arrow tables as files that may be lost: what cannot be read or written is worked out again by whoever asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.stores.landing import write_whole

if TYPE_CHECKING:
    import pyarrow as pa


def read_arrow(file: Path) -> pa.Table | None:
    """Read a table; None where the file is not there, or is damaged."""
    import pyarrow as pa

    try:
        with pa.OSFile(str(file)) as opened:
            return pa.ipc.open_file(opened).read_all()
    except (OSError, pa.ArrowException):
        return None


def write_arrow(file: Path, rows: pa.Table) -> bool:
    """Write a table, whole or not at all; say whether the disk took it."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(rows.combine_chunks())
    try:
        write_whole(file, sink.getvalue().to_pybytes())
    except OSError:  # full, or only read
        return False
    return True
