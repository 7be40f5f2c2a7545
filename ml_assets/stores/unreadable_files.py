"""Files of tables that cannot be read: which table and drop they hold, and what to do.

DuckDB and Arrow often name neither: `don't know what type`, `Parquet magic bytes not found`. A session notes the files
that its relations read; where it ends with such an error, they are looked through for the one that is damaged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from ml_assets.stores.table_files import PARTITION, TableFiles, drop_of

_READ: ContextVar[list[TableFiles] | None] = ContextVar("files that the session reads", default=None)


class UnreadableFileError(ValueError):
    """A file of a table that cannot be read; what it says names the table, the drop, the file and what to do."""

    def __init__(self, file: str, why: str) -> None:
        path = Path(file)
        is_of_drop = path.parent.name.startswith(f"{PARTITION}=")
        table = path.parent.parent if is_of_drop else path.parent
        use_case = table.parent.name
        drop = drop_of(file) if is_of_drop else None
        again = f", or run the drop again: ml-assets batch {use_case} --from {drop} --to {drop}" if drop else ""
        super().__init__(
            f"table {use_case}.{table.name}{f', drop {drop}' if drop else ''}: {file} cannot be read: "
            f"{' '.join(why.split()).strip(' .:')}. Put it back from a backup (ml-assets restore){again}. `ml-assets "
            f"doctor {use_case}` looks for more"
        )


def note_files(table: TableFiles) -> None:
    """Note the files of a table that the session of now reads."""
    noted = _READ.get()
    if noted is not None:
        noted.append(table)


@contextmanager
def naming_unreadable_files() -> Iterator[None]:
    """Name the file, where what is read meanwhile fails because one is damaged; other errors stay as they are.

    Raises
    ------
    UnreadableFileError
        In place of the error of DuckDB or Arrow.
    """
    import duckdb

    noted: list[TableFiles] = []
    token = _READ.set(noted)
    try:
        yield
    except duckdb.Error as error:
        is_of_reader = type(error) is duckdb.Error  # what it raises on bytes that mean nothing, without a file
        # a file that is gone is one that a session which is shut in may not look for
        others = (duckdb.IOException, duckdb.InvalidInputException, duckdb.PermissionException)
        if is_of_reader or isinstance(error, others):
            _raise_named(noted, error, is_thorough=is_of_reader)
        raise
    finally:
        _READ.reset(token)


def why_unreadable(file: str, *, is_thorough: bool = False) -> str:
    """Say why a Parquet file cannot be read; empty where it can, by its footer or, if thorough, by all of its rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            for _ in opened.iter_batches() if is_thorough else ():
                pass
    except FileNotFoundError:
        return "it is gone"
    except (pa.ArrowException, OSError) as error:
        return str(error)
    return ""


def _raise_named(noted: Sequence[TableFiles], error: Exception, *, is_thorough: bool) -> None:
    files = list(dict.fromkeys(file for table in noted for file in table.files))
    named = [file for file in files if file in str(error)]
    for file in named or files:
        why = why_unreadable(file, is_thorough=is_thorough or bool(named))
        if why:
            raise UnreadableFileError(file, why) from None
