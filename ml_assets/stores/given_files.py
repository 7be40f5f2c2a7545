"""Files that somebody brings to begin a use case with: read once, profiled, and left as they are."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from ml_assets.ingestion.history import HistoryError
from ml_assets.ingestion.profiling import FileProfile, profile_rows
from ml_assets.ingestion.reading import read_landed
from ml_assets.spec.contract import Source
from ml_assets.spec.received import LandedFile
from ml_assets.stores.history import as_contract_csv

Row = dict[str, str]
_ANY_DAY = date(2000, 1, 1)


def profile_file(name: str, file: Path) -> tuple[FileProfile, list[Row]]:
    """Profile a CSV or Parquet file as source `name`; give its first rows beside, as text.

    Raises
    ------
    HistoryError
        If it is neither, cannot be read, or has no row.
    """
    import duckdb

    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        prepared = Path(folder) / "given.csv"
        names = as_contract_csv(connection, file, prepared)
        source = Source.model_validate(
            {"name": name, "key": names[:1], "columns": {column: {"type": "string"} for column in names}}
        )
        landed = LandedFile(_ANY_DAY, file.name, "", prepared.stat().st_size, prepared)
        _, (receipt,) = read_landed(connection, source, [landed])
        if receipt.refusal is not None or not receipt.rows:
            raise HistoryError(f"{file}: {receipt.refusal or 'has no row'}; allowed: a header and rows")
        texts = _text_columns(file, names) if file.suffix.lower() == ".parquet" else []
        profile = profile_rows(connection, name, texts)
        listed = ", ".join(f'"{column}"' for column in names)
        rows = connection.execute(
            f"SELECT {listed} FROM _landed_text WHERE _text IS NULL ORDER BY _line LIMIT 2"
        ).fetchall()
    return profile, [
        {column: value for column, value in zip(names, row, strict=True) if value not in (None, "")} for row in rows
    ]


def _text_columns(file: Path, names: list[str]) -> list[str]:
    import pyarrow.parquet as pq

    kinds = [str(field.type) for field in pq.read_schema(file)]
    return [name for name, kind in zip(names, kinds, strict=True) if kind in ("string", "large_string")]
