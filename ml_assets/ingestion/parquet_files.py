"""A Parquet file as rows of texts, by the types of its columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.ingestion.table_file import LINE, TableFile
from ml_assets.ingestion.unpacking import MEGABYTE, RefusedFileError, looks_like
from ml_assets.spec.file_format import FileFormat

if TYPE_CHECKING:
    import duckdb

_NESTED = ("STRUCT", "MAP", "UNION", "LIST", "ARRAY", "VARIANT")


def read_parquet(connection: duckdb.DuckDBPyConnection, path: Path, declared: FileFormat) -> TableFile:
    """Read the columns of a file that are neither nested nor bytes; name those that are.

    Raises
    ------
    RefusedFileError
        If it is no whole Parquet, or holds more than `max_expanded_mb`.
    """
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
        size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    except (pa.ArrowException, OSError) as error:
        with path.open("rb") as file:
            said = looks_like(file.read(8)) or " ".join(str(error).split())[:200]
        raise RefusedFileError("parquet_cut_or_damaged", said) from error
    if size > declared.max_expanded_mb * MEGABYTE:
        raise RefusedFileError("expands_beyond_bound", f"{size:,} bytes, more than {declared.max_expanded_mb:,} MB")
    try:
        relation = connection.read_parquet(str(path))
        nested = tuple(
            name
            for name, kind in zip(relation.columns, map(str, relation.types), strict=True)
            if kind.startswith(_NESTED) or kind.endswith("]") or kind == "BLOB"
        )
        cells = [
            f'{_parquet_text(name, str(kind))} AS "{name.replace(chr(34), chr(34) * 2)}"'
            for name, kind in zip(relation.columns, relation.types, strict=True)
            if name not in nested
        ]
        rows = relation.project(", ".join([*cells, f"row_number() OVER () AS {LINE}"])).to_arrow_table()
    except (duckdb.Error, pa.ArrowException) as error:
        raise RefusedFileError("parquet_cut_or_damaged", " ".join(str(error).split())[:200]) from error
    texts = tuple(
        name for name, kind in zip(relation.columns, map(str, relation.types), strict=True) if kind == "VARCHAR"
    )
    return TableFile(tuple(relation.columns), rows, nested=nested, texts=texts)


def _parquet_text(name: str, kind: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    if kind in ("FLOAT", "DOUBLE"):  # a float of 32 bits is the number that it is, and not the shortest that looks so
        return f"CASE WHEN NOT isnan({quoted}) THEN CAST(CAST({quoted} AS DOUBLE) AS VARCHAR) END"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime(timezone('UTC', {quoted}), '%Y-%m-%d %H:%M:%S.%f') || '+00'"
    return f"CAST({quoted} AS VARCHAR)"
