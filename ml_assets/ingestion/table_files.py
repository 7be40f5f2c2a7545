"""Files that are no CSV, as rows of texts: JSON lines, Parquet, and a sheet of an Excel file.

A value becomes the text from which its contract reads the same value again, so that one reader types all formats.
Nothing is cut: a fraction keeps its digits, an instant its offset, a missing value stays null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.ingestion.excel_files import read_sheet
from ml_assets.ingestion.json_lines import read_json_lines
from ml_assets.ingestion.parquet_files import read_parquet
from ml_assets.ingestion.table_file import TableFile
from ml_assets.spec.file_format import FileFormat

if TYPE_CHECKING:
    import duckdb


def read_table_file(
    connection: duckdb.DuckDBPyConnection, path: Path, declared: FileFormat, wanted: Sequence[str]
) -> TableFile:
    """Read the file at `path` by its declared format.

    Parameters
    ----------
    wanted
        The columns of the contract: of JSON lines, a nested value in one of these makes its line no row.

    Raises
    ------
    RefusedFileError
        If it is not of that format, is cut, unpacks to more than the bound, or has several sheets and none is declared.
    """
    readers: dict[str, Callable[[], TableFile]] = {
        "parquet": lambda: read_parquet(connection, path, declared),
        "jsonl": lambda: read_json_lines(path.read_bytes(), declared, wanted),
        "xlsx": lambda: read_sheet(path.read_bytes(), declared),
    }
    return readers[declared.format]()
