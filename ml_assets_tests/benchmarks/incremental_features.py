"""What the step `features` of one drop costs early and late in a year: the drop and its windows, not the history.

    .venv/bin/python -m ml_assets_tests.benchmarks.incremental_features DATA_FOLDER [--rounds 10]

DATA_FOLDER is a state folder (`ML_ASSETS_DATA`) in which flight_delays was run to its last drop. The features of the
60th drop and of the last one are computed again, in turns, by the graph; what is stored stays the same to the byte.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import median

import duckdb
from rich.console import Console
from rich.table import Table

from ml_assets.graph.runs.launch import run_features
from ml_assets.spec.declaration import load_use_case
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.table_files import content_hash
from ml_assets.stores.telemetry import switch_off_telemetry
from ml_assets_tests.rehearsal import DEFS_FOLDER

STEP = "flight_delays__features__features"


def step_seconds(paths: StatePaths, drop: date) -> float:
    """Compute the features of a drop by the graph, and give the seconds of the step alone."""
    spec = load_use_case(DEFS_FOLDER / "flight_delays")
    seen: dict[str, float] = {}

    def on_event(step: str, what: str) -> None:
        if step == STEP:
            seen.setdefault(what, time.perf_counter())

    outcome = run_features(spec, paths, drop, drop, on_event)
    if not outcome.succeeded:
        raise RuntimeError(str(outcome.failures))
    return seen["STEP_SUCCESS"] - seen["STEP_START"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both drops in turns and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args(arguments)
    switch_off_telemetry()
    paths = StatePaths(args.data.resolve())
    lake = Lake(paths.lake / "flight_delays")
    with duckdb.connect() as connection:
        known = lake.relation(connection, "examples").aggregate("batch_date, count(*)", "batch_date").fetchall()
    examples = dict(known)
    drops = sorted(examples)
    asked = {"60th": drops[59], "last": drops[-1]}
    before = _hash(lake)
    found: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(args.rounds + 1):  # the first round warms up, and is not counted
        for name, drop in asked.items():
            found[name].append(step_seconds(paths, drop))
    table = Table("drop", "date", "examples", "seconds (median)", "least", "most")
    for name, seconds in found.items():
        counted = seconds[1:]
        figures = [f"{value:.3f}" for value in (median(counted), min(counted), max(counted))]
        table.add_row(name, str(asked[name]), f"{examples[asked[name]]:,}", *figures)
    console = Console()
    console.print(table)
    console.print(f"last / 60th: {median(found['last'][1:]) / median(found['60th'][1:]):.2f}")
    console.print(f"features as before: {_hash(lake) == before}")


def _hash(lake: Lake) -> str:
    with duckdb.connect() as connection:
        return content_hash(lake.relation(connection, "features"))


if __name__ == "__main__":
    main()
