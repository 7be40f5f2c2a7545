from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import ml_assets
from ml_assets.demo.flights import land_flights
from ml_assets.features.examples import validate_examples
from ml_assets.ingestion.acceptance import accept_rows
from ml_assets.ingestion.reading import read_landed
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.drop import DropKey
from ml_assets.spec.drop_rules import DROP_RULES
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.binary import BINARY
from ml_assets.stores.lake import Lake
from ml_assets.stores.landing import take_file
from ml_assets.stores.sandbox import restrict_to_tables, select_by_drop
from ml_assets.training.labels import validate_labels

FIRST, LAST = date(2013, 1, 1), date(2013, 2, 14)


@dataclass(frozen=True)
class RealSlice:
    """The first 45 drops of 2013, ingested: all but the features."""

    spec: UseCaseSpec
    lake: Lake
    drops: Sequence[DropKey]

    def open(self, tables: Sequence[str], drops: tuple[DropKey, DropKey] = (FIRST, LAST)) -> duckdb.DuckDBPyConnection:
        """Give a shut-in connection that sees `tables`."""
        connection = duckdb.connect()
        restrict_to_tables(connection, {table: self.lake.files(table, drops=drops) for table in tables}, threads=1)
        return connection


@pytest.fixture(scope="session")
def flagship() -> UseCaseSpec:
    """Give flight_delays without expectations: they cost 6 s to import, and are tested by themselves."""
    spec = load_use_case(Path(ml_assets.__file__).parent / "defs" / "flight_delays")
    bare: dict[str, object] = dict.fromkeys(("expectations", "rules", *DROP_RULES), ())
    sources = tuple(source.model_copy(update=bare) for source in spec.sources)
    return spec.model_copy(update={"sources": sources})


@pytest.fixture(scope="session")
def real_slice(flagship: UseCaseSpec, tmp_path_factory: pytest.TempPathFactory) -> RealSlice:
    """Land and ingest 45 drops of flights, put together as the assets do it."""
    root = tmp_path_factory.mktemp("real_slice")
    drops = flagship.calendar.drops_between(FIRST, LAST)
    land_flights(root / "landing", flagship.calendar, FIRST, LAST)
    found = RealSlice(flagship, Lake(root / "lake"), drops)
    for source in flagship.sources:
        files = [take_file(root / "landing", root / "received", drop, source.file_name) for drop in drops]
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
            relation, receipts = read_landed(connection, source, [file for file in files if file is not None])
            found.lake.replace_drops(f"raw_{source.name}", relation.to_arrow_table(), drops)
        with duckdb.connect() as connection:
            restrict_to_tables(connection, {"raw": found.lake.files(f"raw_{source.name}")}, threads=1)
            landed = [receipt.drop for receipt in receipts]
            rows = accept_rows(connection, source, flagship.calendar, landed).validated.to_arrow_table()
        found.lake.replace_drops(f"validated_{source.name}", rows, drops)
    with found.open(["validated_flight_outcomes"]) as connection:
        select_by_drop(connection, flagship.labels.sql, flagship.labels.sources, drops, flagship.calendar)
        found.lake.replace_drops("labels", validate_labels(connection, BINARY.labels).to_arrow_table(), drops)
    tables = {"validated_schedule": found.lake.files("validated_schedule"), "_labels": found.lake.files("labels")}
    with duckdb.connect() as connection:
        restrict_to_tables(connection, tables, threads=1)
        connection.execute("CREATE TEMP TABLE _earlier (example_id VARCHAR, batch_date DATE)")
        select_by_drop(connection, flagship.examples.sql, flagship.examples.sources, drops, flagship.calendar)
        examples = validate_examples(connection, flagship.calendar, drops).accepted.to_arrow_table()
    found.lake.replace_drops("examples", examples, drops)
    return found


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give one in-memory connection a module: made-up tables are replaced in it."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        yield connection


def put(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Make `rows` the content of `table`."""
    connection.register("_put", rows)
    connection.execute(f'CREATE OR REPLACE TEMP TABLE "{table}" AS SELECT * FROM _put')
    connection.unregister("_put")
