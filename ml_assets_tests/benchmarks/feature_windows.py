"""The windows of the features, side by side: this engine, Polars, DuckDB's ASOF, pandas, and Feast.

    make bench
    .venv/bin/python -m ml_assets_tests.benchmarks.feature_windows [--times 10] [--grow time|density] [--rounds 5]

Four entities (carrier, origin, dest, route) by three windows (1, 7 and 28 days) by two aggregates (rows, sum of the
arrival delay): 24 columns an example, from Parquet to Parquet, each example at a moment of its own two hours before its
departure. `--times 10` is ten times the flights of 2013: ten years of them, or ten times as many a day. Engines run in
turns, each time in a process of its own; the figures are medians, without starting Python and importing, and the
greatest memory a process held. What each gives for 500 examples is compared with a join of all facts with all of them.

Feast has no windows of its own: it looks up the newest fact of a carrier for 20,000 examples, and this engine does the
same beside it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from ml_assets_tests.benchmarks import window_rivals
from ml_assets_tests.benchmarks.window_rivals import ENTITIES, THREADS, WINDOWS

FEAST_EXAMPLES = 20_000
JUDGED = 500
WINDOW_VIEWS: list[dict[str, Any]] = [
    {"name": name, "from": "facts", "entity": entity, "windows": [f"{days}d" for days in WINDOWS],
     "aggregates": {"rows": "count(*)", "delay": "sum(arrival_delay_min)"}}
    for name, entity in ENTITIES.items()
]  # fmt: skip
LATEST_VIEWS: list[dict[str, Any]] = [
    {"name": "news", "from": "facts", "entity": ["carrier"], "latest": ["arrival_delay_min"], "max_age": "28d"}
]


def make_data(folder: Path, times: int, grow: str) -> int:
    """Write facts and examples of the flights of 2013, `times` over; give the number of examples."""
    from ml_assets.demo.flight_tables import flight_table, outcome_table, read_timed_flights, schedule_table

    flights = flight_table(read_timed_flights())
    schedule, outcomes = schedule_table(flights), outcome_table(flights)  # noqa: F841 - DuckDB reads them by name
    shift = "to_days(CAST(365 * copy AS INTEGER))" if grow == "time" else "to_seconds(37.0 * copy)"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET memory_limit = '8GB'")
        copies = f"CROSS JOIN (SELECT unnest(range({times})) AS copy)"
        connection.execute(
            f"COPY (SELECT flight_id || '-' || copy AS flight_id, carrier, origin, dest, arrival_delay_min, "
            f"CAST(reported_at AS TIMESTAMPTZ) + {shift} AS known_at, CAST(reported_at AS TIMESTAMPTZ) + {shift} AS "
            f"event_at, NULL::TIMESTAMPTZ AS _first_known_at, NULL::DATE AS batch_date FROM outcomes {copies} "
            f"WHERE reported_at IS NOT NULL ORDER BY known_at) TO '{folder}/facts.parquet'"
        )
        connection.execute(
            f"COPY (SELECT CAST(prediction_at AT TIME ZONE 'UTC' AS DATE) + 1 AS batch_date, * FROM (SELECT flight_id "
            f"|| '-' || copy AS example_id, CAST(scheduled_departure_at AS TIMESTAMPTZ) + {shift} - INTERVAL "
            f"2 HOUR AS prediction_at, carrier, origin, dest FROM schedule {copies}) ORDER BY batch_date, 3) TO "
            f"'{folder}/examples.parquet'"
        )
        connection.execute(
            f"COPY (SELECT known_at, carrier, CAST(arrival_delay_min AS DOUBLE) AS arrival_delay_min FROM "
            f"'{folder}/facts.parquet') TO '{folder}/feast_facts.parquet'"
        )
        connection.execute(
            f"COPY (SELECT * FROM '{folder}/examples.parquet' USING SAMPLE {FEAST_EXAMPLES} ROWS (reservoir, 7)) "
            f"TO '{folder}/feast_examples.parquet'"
        )
        return connection.sql(f"SELECT count(*) FROM '{folder}/examples.parquet'").fetchall()[0][0]


def compute_with_ml_assets(folder: Path, task: str) -> None:
    """Do what the asset `features` does, from Parquet to Parquet, and print what it took."""
    import pyarrow.parquet as pq

    from ml_assets.features.feature_table import iterate_features
    from ml_assets.spec.calendar import Calendar
    from ml_assets.spec.contract import Column, Source
    from ml_assets.spec.declaration import load_use_case
    from ml_assets.spec.features import FeatureSpec, FeatureView
    from ml_assets_tests.rehearsal import DEFS_FOLDER

    views = WINDOW_VIEWS if task == "windows" else LATEST_VIEWS
    examples = "examples" if task == "windows" else "feast_examples"
    columns = {name: Column(type="string") for name in ("flight_id", "carrier", "origin", "dest")}
    source = Source(name="facts", key=("flight_id",), columns=columns | {"arrival_delay_min": Column(type="integer")})
    spec = load_use_case(DEFS_FOLDER / "flight_delays").model_copy(
        update={
            "sources": (source,),
            "features": FeatureSpec(views=tuple(FeatureView.model_validate(view) for view in views)),
            "calendar": Calendar.model_validate({"start": date(2012, 12, 1), "at": "00:00", "timezone": "UTC"}),
        }
    )
    _load_libraries()
    began, cpu = time.perf_counter(), time.process_time()
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = 'UTC'; SET threads = {THREADS}; SET memory_limit = '1GB'")
        connection.execute(f"CREATE VIEW validated_facts AS SELECT * FROM '{folder}/facts.parquet'")
        connection.execute(f"CREATE VIEW _examples AS SELECT * FROM '{folder}/{examples}.parquet' "
                           + ("ORDER BY batch_date" if task == "latest" else ""))  # fmt: skip
        first, last = connection.sql("SELECT min(batch_date), max(batch_date) FROM _examples").fetchall()[0]
        drops = [first + timedelta(days=day) for day in range((last - first).days + 1)]
        writer = None
        for _, part in iterate_features(connection, spec, drops):
            rows = part.drop_columns(["batch_date", "prediction_at"])
            writer = writer or pq.ParquetWriter(folder / f"ml_assets_{task}.parquet", rows.schema, use_dictionary=False)
            writer.write_table(rows)
        if writer is not None:
            writer.close()
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu_s": used, "peak_mb": peak_mb}) + "\n")


def _load_libraries() -> None:
    """Load what Arrow would load on first use: loading is not what is measured, of no engine."""
    import pandas as pd  # noqa: F401
    import pyarrow.compute  # noqa: F401


def count_wrong(folder: Path, result: str) -> tuple[int, int]:
    """Compare the stored result of an engine, for some examples, with a join of all facts; give wrong cells and all."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET memory_limit = '8GB'")
        connection.execute(
            f"CREATE TABLE judged AS SELECT * FROM '{folder}/examples.parquet' "
            f"USING SAMPLE {JUDGED} ROWS (reservoir, 1)"
        )
        connection.execute(f"CREATE TABLE found AS SELECT f.* FROM '{folder}/{result}.parquet' AS f SEMI JOIN judged "
                           "USING (example_id)")  # fmt: skip
        wrong = cells = 0
        for name, entity in ENTITIES.items():
            same = " AND ".join(f"f.{column} = e.{column}" for column in entity)
            for days in WINDOWS:
                rows = connection.execute(
                    f"SELECT count(*) FILTER (abs(coalesce(g.{name}_rows_{days}d, 0) - e.n) + "
                    f"abs(coalesce(g.{name}_delay_{days}d, 0) - e.delay) > 1e-6) FROM found AS g JOIN (SELECT "
                    "e.example_id, count(f.known_at) AS n, coalesce(sum(f.arrival_delay_min), 0) AS delay FROM judged "
                    f"AS e LEFT JOIN '{folder}/facts.parquet' AS f ON {same} AND f.known_at <= e.prediction_at AND "
                    f"f.known_at > e.prediction_at - INTERVAL {days} DAY GROUP BY ALL) AS e USING (example_id)"
                ).fetchall()
                wrong += rows[0][0]
                cells += JUDGED
        return wrong, cells


def run_once(python: Path, engine: str, folder: Path) -> dict[str, float]:
    """Run one engine in a process of its own."""
    if engine.startswith("ml_assets"):
        asked = ["-m", "ml_assets_tests.benchmarks.feature_windows", "--worker", engine.removeprefix("ml_assets_")]
    else:
        asked = [window_rivals.__file__, engine]
    ran = subprocess.run([str(python), *asked, str(folder)], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{engine} ended with {ran.returncode}: {ran.stderr[-2000:]}")
    return json.loads(ran.stdout.strip().splitlines()[-1])


def compare(console: Console, args: argparse.Namespace) -> None:
    """Run all engines in turns and print the table."""
    rivals = args.rivals.absolute()  # resolved, it would be the Python beneath the environment
    others = [name for name in args.engines.split(",") if name]
    pythons = {"ml_assets_windows": Path(sys.executable), **dict.fromkeys(others, rivals)}
    if "feast" in others:
        pythons["ml_assets_latest"] = Path(sys.executable)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        examples = make_data(folder, args.times, args.grow)
        found: dict[str, list[dict[str, float]]] = {engine: [] for engine in pythons}
        for round_ in range(args.rounds):
            for engine, python in pythons.items():
                found[engine].append(run_once(python, engine, folder))
                console.print(f"round {round_ + 1}, {engine}: {found[engine][-1]['seconds']:.2f} s")
        wrong = {e: count_wrong(folder, e) for e in pythons if e not in ("feast", "ml_assets_latest")}
    print_table(console, f"{examples:,} examples, {args.grow}", found, wrong)


def print_table(console: Console, title: str, found: dict[str, list[dict[str, float]]], wrong: dict[str, Any]) -> None:
    """Print medians, peaks, and each as a multiple of this engine."""
    table = Table("engine", "seconds", "CPU s", "peak MB", "time / ml_assets", "wrong cells", title=title)
    middle = {engine: median(run["seconds"] for run in runs) for engine, runs in found.items()}
    for engine, runs in found.items():
        beside = "ml_assets_latest" if engine in ("feast", "ml_assets_latest") else "ml_assets_windows"
        judged = "-" if engine not in wrong else f"{wrong[engine][0]:,} of {wrong[engine][1]:,}"
        table.add_row(
            engine,
            f"{middle[engine]:.2f}",
            f"{median(run['cpu_s'] for run in runs):.2f}",
            f"{max(run['peak_mb'] for run in runs):,.0f}",
            f"{middle[engine] / middle[beside]:.2f}",
            judged,
        )
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, or run this engine once as a worker."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--worker", choices=["windows", "latest"])
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--grow", choices=["time", "density"], default="time")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engines", default="polars,duckdb,pandas,feast", help="what to run beside it")
    parser.add_argument("--rivals", type=Path, default=Path(".venv-bench/bin/python"), help="the Python they run in")
    args = parser.parse_args(arguments)
    if args.worker:
        compute_with_ml_assets(args.folder, args.worker)
    else:
        compare(Console(), args)


if __name__ == "__main__":
    main()
