"""Webserver and daemon on this machine alone, ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from types import FrameType

from ml_assets.cli.console import console, fail
from ml_assets.stores.paths import DATA_VARIABLE, StatePaths, project_root

_OF_RUNS = (" - dagster - DEBUG - ", " - dagster - INFO - ")  # each event of each run; the UI shows them better


def serve(paths: StatePaths, port: int) -> None:
    """Run the UI until interrupted. It has no password, so it listens on 127.0.0.1 and nowhere else."""
    from ml_assets.graph.runs.launch import make_instance

    make_instance(paths)
    environment = {**os.environ, "DAGSTER_HOME": str(paths.dagster_home), DATA_VARIABLE: str(paths.root)}
    workspace = str(project_root() / "workspace.yaml")
    module = [sys.executable, "-m"]
    commands = [
        [*module, "dagster_webserver", "-h", "127.0.0.1", "-p", str(port), "-w", workspace, "--log-level", "warning"],
        [*module, "dagster._daemon", "run", "-w", workspace, "--log-level", "warning"],
    ]

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    processes = [_start(command, environment) for command in commands]
    console.print(f"[bold]http://127.0.0.1:{port}[/]  (Ctrl-C ends it; state in {paths.root})", soft_wrap=True)
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.5)
        raise fail("the webserver or the daemon ended by itself; is the port taken? --port names another")
    except KeyboardInterrupt:
        console.print("ending")
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start a process whose output, and that of the runs it launches, is printed but for the events of runs."""
    process = subprocess.Popen(  # noqa: S603
        command, env=environment, cwd=project_root(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace",
    )  # fmt: skip
    threading.Thread(target=_print_but_events, args=(process.stdout,), daemon=True).start()
    return process


def _print_but_events(lines: Iterable[str]) -> None:
    """Print lines as they come, without the events of runs.

    >>> _print_but_events(["12:00 - dagster - DEBUG - batch - STEP_START", "12:00 - dagster - ERROR - batch - failed"])
    12:00 - dagster - ERROR - batch - failed
    """
    for line in lines:
        if not any(mark in line for mark in _OF_RUNS):
            console.print(line.rstrip("\n"), markup=False, highlight=False, soft_wrap=True)
