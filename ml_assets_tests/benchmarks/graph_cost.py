"""What the graph itself costs: a range of drops through `features`, beside the same work as plain function calls.

    python -m ml_assets_tests.benchmarks.graph_cost [--drops 90]

Both sides land nothing and start from the same landed files, each in a folder of its own. The plain
side calls what the assets call, in their order, without Dagster; its tables are the same to the hash.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import duckdb

from ml_assets.demo.flights import land_flights
from ml_assets.features.examples import settle_examples
from ml_assets.features.feature_table import compute_features
from ml_assets.graph.runs.launch import run_batch
from ml_assets.ingestion.acceptance import accept_rows
from ml_assets.ingestion.ledger import settle_ledger
from ml_assets.ingestion.reading import read_landed
from ml_assets.pipeline.ingestion.raw import receipt_rows
from ml_assets.pipeline.ingestion.validated import result_rows
from ml_assets.spec.contract import Source
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.landing import take_file
from ml_assets.stores.paths import StatePaths, project_root
from ml_assets.stores.sandbox import restrict_to_tables, select_by_drop
from ml_assets.stores.table_files import content_hash
from ml_assets.stores.telemetry import switch_off_telemetry
from ml_assets.training.labels import settle_labels

TABLES = ("drops", "labels", "examples", "features")


def run_plainly(spec: UseCaseSpec, paths: StatePaths, drops: Sequence[date]) -> None:
    """Do what the assets up to `features` do, without a graph."""
    lake, bounds = Lake(paths.lake / spec.name), (drops[0], drops[-1])
    for source in spec.sources:
        _ingest(spec, source, paths, lake, drops)
    kinds = ("received", "raw", "validated", "quarantine", "contract")
    with duckdb.connect() as connection:
        tables = [f"{kind}_{source.name}" for source in spec.sources for kind in kinds]
        restrict_to_tables(connection, {table: lake.files(table, drops=bounds) for table in tables})
        lake.replace_drops("drops", settle_ledger(connection, spec, drops).to_arrow_table(), drops)
    with duckdb.connect() as connection:
        names = [f"validated_{source}" for source in spec.labels.sources]
        restrict_to_tables(connection, {name: lake.files(name, drops=bounds) for name in names})
        select_by_drop(connection, spec.labels.sql, spec.labels.sources, drops, spec.calendar)
        lake.replace_drops("labels", settle_labels(connection).to_arrow_table(), drops)
    with duckdb.connect() as connection:
        names = [f"validated_{source}" for source in spec.examples.sources]
        files = {name: lake.files(name, drops=bounds) for name in names}
        restrict_to_tables(connection, files | {"_labels": lake.files("labels", drops=bounds)})
        connection.execute("CREATE TEMP TABLE _earlier (example_id VARCHAR, batch_date DATE)")
        select_by_drop(connection, spec.examples.sql, spec.examples.sources, drops, spec.calendar)
        lake.replace_drops(
            "examples", settle_examples(connection, spec.calendar, drops).accepted.to_arrow_table(), drops
        )
    with duckdb.connect() as connection:
        names = sorted({f"validated_{view.source}" for view in spec.features.views})
        files = {name: lake.files(name, drops=bounds) for name in names}
        restrict_to_tables(connection, files | {"examples": lake.files("examples", drops=bounds)})
        connection.execute("CREATE TEMP TABLE _examples AS SELECT * FROM examples ORDER BY batch_date, example_id")
        lake.replace_drops("features", compute_features(connection, spec, drops), drops)


def _ingest(spec: UseCaseSpec, source: Source, paths: StatePaths, lake: Lake, drops: Sequence[date]) -> None:
    found = (take_file(paths.landing / spec.name, paths.received, drop, source.file_name) for drop in drops)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        relation, receipts = read_landed(connection, source, [file for file in found if file is not None])
        rows = relation.to_arrow_table()
    lake.replace_drops(f"received_{source.name}", receipt_rows(source, receipts), drops)
    lake.replace_drops(f"raw_{source.name}", rows, drops)
    with duckdb.connect() as connection:
        restrict_to_tables(connection, {"raw": lake.files(f"raw_{source.name}", drops=(drops[0], drops[-1]))})
        landed = sorted(receipt.drop for receipt in receipts if receipt.refusal is None)
        accepted = accept_rows(connection, source, spec.calendar, landed)
        validated, quarantined = accepted.validated.to_arrow_table(), accepted.quarantine.to_arrow_table()
    lake.replace_drops(f"validated_{source.name}", validated, drops)
    lake.replace_drops(f"quarantine_{source.name}", quarantined, drops)
    lake.replace_drops(f"contract_{source.name}", result_rows(source, accepted.results), drops)


def hashes(lake: Lake) -> dict[str, str]:
    """Give the content hash of each table both sides write."""
    found = {}
    for table in TABLES:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            found[table] = content_hash(lake.relation(connection, table))
    return found


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Run both sides, warm, in turn, and print seconds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drops", type=int, default=90)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    switch_off_telemetry()
    spec = load_use_case(project_root() / "ml_assets" / "defs" / "flight_delays")
    drops = spec.calendar.drops_between(spec.calendar.start, spec.calendar.end or spec.calendar.start)[
        : arguments.drops
    ]
    with tempfile.TemporaryDirectory() as folder:
        landing = Path(folder) / "landing"
        land_flights(landing / spec.name, spec.calendar, drops[0], drops[-1])
        steps: dict[str, float] = {}
        for repeat in range(arguments.repeats + 1):
            sides: dict[str, tuple[float, float]] = {}
            seen = {}
            for side in ("graph", "plain"):
                paths = StatePaths(Path(folder) / f"{side}{repeat}")
                paths.root.mkdir()
                paths.landing.symlink_to(landing)
                if side == "graph":
                    steps.clear()
                    sides[side] = _timed(lambda p=paths: run_batch(spec, p, drops[0], drops[-1], _clock(steps)))
                else:
                    sides[side] = _timed(lambda p=paths: run_plainly(spec, p, drops))
                seen[side] = hashes(Lake(paths.lake / spec.name))
            word = "warm-up" if repeat == 0 else f"run {repeat}  "
            ratio = sides["graph"][0] / sides["plain"][0]
            took = "  ".join(f"{side} {wall:6.1f} s ({cpu:.1f} CPU)" for side, (wall, cpu) in sides.items())
            sys.stdout.write(f"{word} {took}  ratio {ratio:.2f}  same tables: {seen['graph'] == seen['plain']}\n")
        sys.stdout.write("last graph run, seconds a step:\n")
        for step, seconds in sorted(steps.items(), key=lambda item: -item[1]):
            sys.stdout.write(f"  {seconds:6.2f}  {step.removeprefix(spec.name + '__')}\n")


def _clock(steps: dict[str, float]) -> Callable[[str, str], None]:
    began = time.perf_counter()
    running: dict[str, float] = {}

    def on_event(step: str, what: str) -> None:
        if what == "STEP_START":
            if not running:
                steps["before the first step"] = time.perf_counter() - began
            running[step] = time.perf_counter()
        elif what == "STEP_SUCCESS":
            steps[step] = time.perf_counter() - running[step]

    return on_event


if __name__ == "__main__":
    main()
