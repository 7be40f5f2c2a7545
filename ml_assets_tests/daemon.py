"""`ml-assets ui` with its daemon, as a process of its own, and what it leaves: for tests of the automation."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

import dagster as dg
import duckdb

from ml_assets.graph.runs.launch import open_instance
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths

USE_CASE = "flight_delays"


def command(paths: StatePaths, *arguments: str) -> str:
    """Run ml-assets as its user would; give what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", "from ml_assets.cli.process import main; main()", *arguments],
        env={**os.environ, "ML_ASSETS_DATA": str(paths.root)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lake(paths: StatePaths) -> Lake:
    return Lake(paths.lake / USE_CASE)


def drops_in(paths: StatePaths, table: str) -> set[date]:
    with duckdb.connect() as connection:
        rows = lake(paths).relation(connection, table).project("batch_date").distinct().fetchall()
    return {row[0] for row in rows}


def runs(paths: StatePaths, job: str) -> list[dg.DagsterRun]:
    with open_instance(paths) as instance:
        return list(instance.get_runs(dg.RunsFilter(job_name=job)))


def wait_for(what: str, is_there: Callable[[], bool], patience: float) -> float:
    begun = time.monotonic()
    while not is_there():
        assert time.monotonic() - begun < patience, f"{what}: not there after {patience:.0f} s"
        time.sleep(0.5)
    return time.monotonic() - begun


@contextmanager
def user_interface(paths: StatePaths) -> Iterator[subprocess.Popen[bytes]]:
    """Run `ml-assets ui` on a free port until the test is over, or it was killed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "ML_ASSETS_DATA": str(paths.root)}
    log = (paths.root / "ui.log").open("a")
    process = subprocess.Popen(
        [sys.executable, "-c", "from ml_assets.cli.process import main; main()", "ui", "--port", str(port)],
        env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        log.close()


def ticks(paths: StatePaths, sensor: str) -> int:
    with open_instance(paths) as instance:
        states = {state.instigator_name: state for state in instance.all_instigator_state()}
        if sensor not in states:
            return 0
        state = states[sensor]
        return len(instance.get_ticks(state.instigator_origin_id, state.selector_id))


def kinds_of_alerts(paths: StatePaths, *options: str) -> set[str]:
    """Give the kinds of open incidents; with `--all` of closed ones too."""
    alerts = json.loads(command(paths, "alerts", USE_CASE, "--json", *options))
    return {incident["kind"] for incident in alerts["incidents"]}
