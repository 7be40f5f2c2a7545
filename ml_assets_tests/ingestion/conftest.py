from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ml_assets.ingestion.acceptance import Acceptance, accept_rows
from ml_assets.ingestion.reading import read_landed
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.contract import Column, Source
from ml_assets.spec.received import LandedFile, Receipt

DROPS = [date(2013, 1, day) for day in (2, 3, 4)]
CALENDAR = Calendar(start=date(2013, 1, 1), at=time(4), timezone="America/New_York")


def declare(columns: dict[str, str] | None = None, **more: Any) -> Source:
    """Declare a source `stops` with key `id`, whose columns are given as name and type."""
    types = columns or {"id": "string", "n": "integer", "seen_at": "timestamp"}
    declared = {name: Column.model_validate({"type": kind}) for name, kind in types.items()}
    return Source.model_validate({"name": "stops", "key": ["id"], "columns": declared, **more})


@dataclass(frozen=True)
class Ingest:
    """Reads and judges made-up files, the first of them landed in the first drop, and so on."""

    folder: Path
    connection: duckdb.DuckDBPyConnection

    def read(self, source: Source, *contents: bytes | str) -> tuple[list[dict[str, Any]], list[Receipt]]:
        """Read files, and keep their rows as view `raw`."""
        files = [self._land(drop, content) for drop, content in zip(DROPS, contents, strict=False)]
        relation, receipts = read_landed(self.connection, source, files)
        self.connection.register("_read", relation.to_arrow_table())
        self.connection.execute("CREATE OR REPLACE TEMP TABLE raw AS SELECT * FROM _read")
        self.connection.unregister("_read")
        return self.connection.table("raw").to_arrow_table().to_pylist(), receipts

    def accept(self, source: Source, *contents: bytes | str) -> Acceptance:
        """Read files and judge their rows."""
        _, receipts = self.read(source, *contents)
        return accept_rows(self.connection, source, CALENDAR, [r.drop for r in receipts if r.refusal is None])

    def _land(self, drop: date, content: bytes | str) -> LandedFile:
        landed = content.encode() if isinstance(content, str) else content
        sha256 = hashlib.sha256(landed).hexdigest()
        copy = self.folder / f"{sha256}.csv"
        copy.write_bytes(landed)
        return LandedFile(drop, "stops.csv", sha256, len(landed), copy)


@pytest.fixture(scope="session")
def ingest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        yield Ingest(tmp_path_factory.mktemp("received"), connection)


def reasons_by_id(acceptance: Acceptance) -> dict[Any, list[str]]:
    """Give the reasons of each quarantined row by its id."""
    return dict(acceptance.quarantine.project("id, reasons").fetchall())


def ids(rows: Sequence[dict[str, Any]]) -> list[Any]:
    return [row["id"] for row in rows]
