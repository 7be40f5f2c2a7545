"""What the graph itself costs: a range of drops through `features`, beside the same work as plain function calls.

    python -m ml_assets_tests.benchmarks.graph_cost [--drops 90]

Both sides start from the same landed files, each in a folder of its own. The plain side calls what the assets call, in
their order, without Dagster; its tables are the same to the hash.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from uuid import uuid4

import dagster as dg
import duckdb

from ml_assets.demo.flights import land_flights
from ml_assets.graph import clock
from ml_assets.graph.automation.run_requests import range_tags
from ml_assets.graph.definitions.jobs import batch_job_name
from ml_assets.graph.definitions.use_case import build_use_case
from ml_assets.graph.runs.launch import open_instance
from ml_assets.pipeline.runs.batch import BatchContext, batch_steps, run_batch_steps
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.table_files import content_hash
from ml_assets.stores.telemetry import switch_off_telemetry
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.dates import dates_of
from ml_assets_tests.rehearsal import DEFS_FOLDER

TABLES = ("drops", "labels", "examples", "features")
LAYERS = ("raw", "validated", "quarantine", "training", "features")


def run_graph(
    spec: UseCaseSpec, paths: StatePaths, drops: Sequence[date], on_event: Callable[[str, str], None]
) -> None:
    """Run the assets up to `features` as one Dagster run on an instance of its own."""
    definitions = build_use_case(spec, paths.root)
    job = definitions.resolve_job_def(batch_job_name(spec.name))
    only = [key for key in job.asset_layer.executable_asset_keys if key.path[1] in LAYERS]
    with open_instance(paths) as instance:
        run_id = str(uuid4())
        instance.add_event_listener(run_id, lambda entry: _tell(entry, on_event))
        result = job.execute_in_process(
            instance=instance, run_id=run_id, tags=range_tags(drops[0], drops[-1]), asset_selection=only,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )  # fmt: skip
        assert result.success


def _tell(entry: dg.EventLogEntry, on_event: Callable[[str, str], None]) -> None:
    event = entry.dagster_event
    if event is not None and (event.is_step_start or event.is_step_success):
        on_event(entry.step_key or "", event.event_type_value)


def run_plainly(spec: UseCaseSpec, paths: StatePaths, drops: Sequence[date]) -> None:
    """Call the same steps without Dagster."""
    context = BatchContext(clock.now())
    state = UseCaseState(spec.name, paths)
    steps = batch_steps(spec, state, drops, context)
    only = [name for name in steps if name.partition("/")[0] in LAYERS]
    run_batch_steps(spec, state, drops, context, only=only)


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
    spec = load_use_case(DEFS_FOLDER / "flight_delays")
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
                    sides[side] = _timed(lambda p=paths: run_graph(spec, p, dates_of(drops), _clock(steps)))
                else:
                    sides[side] = _timed(lambda p=paths: run_plainly(spec, p, dates_of(drops)))
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
