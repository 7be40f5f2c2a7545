"""What a daemon costs that finds nothing to do: three use cases beside a location without any.

    python -m ml_assets_tests.benchmarks.idle_cost --minutes 5

Each location runs under the daemon and the code server of `ml-assets ui` for so many minutes, over a state in which every
landed drop was run. Printed is their processor time after a warm-up, scaled to an hour, and the difference.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import IO

from ml_assets.graph.runs.launch import make_instance
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import DATA_VARIABLE, StatePaths
from ml_assets_tests.rehearsal import small_spec
from ml_assets_tests.served import LAST, serve

USE_CASES = 3
_WARM_UP_S = 60
_SENSORS = 5  # of a use case; that of alerts, which cost most, is not the fastest
_OF_A_USE_CASE = ("lake", "models", "landing", "delivered", "reports")


def use_case_of(number: int) -> UseCaseSpec:
    """Give one of several use cases of the same kind."""
    return small_spec().model_copy(update={"name": f"flights_{number}"})


def give_state(served: Path, root: Path, count: int) -> StatePaths:
    """Give a state with `count` copies of a served use case, none of which has anything to do."""
    paths = StatePaths(root)
    for number in range(count):
        for part in _OF_A_USE_CASE:
            shutil.copytree(served / part / "flight_delays", root / part / use_case_of(number).name)
        shutil.rmtree(paths.landing / use_case_of(number).name / f"2013-01-{LAST:02}")  # it was not run yet
    for part in ("received", "mlflow"):
        shutil.copytree(served / part, root / part)
    shutil.copy(served / "state.json", root / "state.json")
    make_instance(paths)
    return paths


def processor_seconds(root: int) -> float:
    """Give the processor time of a process and all below it, those that have ended included."""
    children: dict[int, list[int]] = {}
    spent: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(folder.name))
        spent[int(folder.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    waiting, total = [root], 0.0
    while waiting:
        process = waiting.pop()
        total += spent.get(process, 0.0)
        waiting += children.get(process, [])
    return total


def measure(served: Path, count: int, minutes: float) -> float:
    """Give the processor seconds of an hour of a daemon over `count` use cases."""
    with tempfile.TemporaryDirectory() as folder:
        paths = give_state(served, Path(folder) / "state", count)
        workspace = Path(folder) / "workspace.yaml"
        workspace.write_text("load_from:\n  - python_module: {module_name: ml_assets_tests.benchmarks.idle_location}\n")
        environment = os.environ | {
            "DAGSTER_HOME": str(paths.dagster_home), DATA_VARIABLE: str(paths.root), "IDLE_USE_CASES": str(count),
            "ML_ASSETS_ALERT_URLS": "",
        }  # fmt: skip
        serving = Path(folder) / "served_workspace.yaml"
        with (Path(folder) / "log").open("w") as log:
            processes = [_start(["code", str(workspace), str(serving)], environment, log)]
            try:
                while not serving.exists() and processes[0].poll() is None:
                    time.sleep(0.1)
                processes.append(_start(["daemon", str(serving)], environment, log))
                time.sleep(_WARM_UP_S)
                _wait_for_ticks(paths, 2 * _SENSORS * count)
                before, begun = _spent_by(processes), time.monotonic()
                time.sleep(minutes * 60)
                spent, lasted = _spent_by(processes) - before, time.monotonic() - begun
                if any(process.poll() is not None for process in processes):
                    raise RuntimeError(f"a process has ended: {log.name}")
            finally:
                for process in processes[::-1]:
                    process.terminate()
                    process.wait(60)
    return spent / lasted * 3600


def _start(arguments: list[str], environment: dict[str, str], log: IO[str]) -> subprocess.Popen[bytes]:
    """Start a process of `ml-assets ui`, which lives as long as its standard input is open."""
    command = [sys.executable, "-m", "ml_assets.cli.operate.ui_process", *arguments]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log)


def _spent_by(processes: list[subprocess.Popen[bytes]]) -> float:
    return sum(processor_seconds(process.pid) for process in processes)


def _wait_for_ticks(paths: StatePaths, wanted: int) -> None:
    """Wait until each sensor has ticked twice: before, the code server still loads, and each look is the first."""
    file = paths.dagster_home / "schedules" / "schedules.db"
    for _ in range(600):
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            if database.execute("SELECT count(*) FROM job_ticks").fetchone()[0] >= wanted:
                return
        time.sleep(1)
    raise RuntimeError("the sensors do not tick")


def main() -> None:
    """Measure both and print the difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5, help="how long each location is measured")
    parser.add_argument("--served", type=Path, help="a state that `serve` left; by default one is made")
    parser.add_argument("--only", type=int, help="measure a location with so many use cases alone")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        served = asked.served or serve(Path(folder)).root
        counts = (0, USE_CASES) if asked.only is None else (asked.only,)
        hours = {count: measure(served, count, asked.minutes) for count in counts}
    for count, seconds in hours.items():
        sys.stdout.write(f"{count} use cases: {seconds:.0f} s of processor time an hour\n")
    if len(hours) > 1:
        sys.stdout.write(
            f"{USE_CASES} use cases cost {hours[USE_CASES] - hours[0]:.0f} s an hour beyond Dagster's own\n"
        )


if __name__ == "__main__":
    main()
