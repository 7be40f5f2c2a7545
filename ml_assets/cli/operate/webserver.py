"""Starts the code server, the webserver and the daemon on this machine alone, and ends them together."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType

from ml_assets.cli.console import console, fail
from ml_assets.cli.operate.request_guard import TOKEN_VARIABLE, GuardRules, TokenError
from ml_assets.cli.operate.ui_process import HOSTS_VARIABLE, PORT_VARIABLE
from ml_assets.stores.landing import write_whole
from ml_assets.stores.paths import DATA_VARIABLE, StatePaths
from ml_assets.stores.project import PROJECT_VARIABLE, Project, find_project
from ml_assets.stores.write_lock import LockHeldError, lock_at_once

_OF_RUNS = (" - dagster - DEBUG - ", " - dagster - INFO - ")  # each event of each run; the UI shows them better
_WORKSPACE = """load_from:
  - python_module: {module_name: ml_assets.definitions, location_name: ml_assets}
"""
_PATIENCE_S = 20  # for a process that was asked to end


def serve(paths: StatePaths, port: int, hosts: Sequence[str] = ()) -> None:
    """Run the UI until interrupted, on 127.0.0.1 alone, for whoever has the token that is printed.

    The token is that of $ML_ASSETS_UI_TOKEN, or a new one. One UI a state folder: two daemons would launch runs twice.
    """
    try:
        rules = GuardRules(os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24), port, tuple(hosts))
    except TokenError as error:
        raise fail(str(error)) from error
    address = f"http://127.0.0.1:{port}"
    try:
        with lock_at_once(paths.locks, "ui", f"process {os.getpid()}, {address}") as lock:
            _refuse_taken_port(port)
            _run(paths, rules, address, lock.fileno())
    except LockHeldError as error:
        raise fail(f"a UI of {paths.root} already runs: {error.holder}. Open it, or stop it first") from error


def _run(paths: StatePaths, rules: GuardRules, address: str, lock: int) -> None:
    from ml_assets.graph.runs.launch import make_instance

    make_instance(paths)
    project = find_project()
    environment = _environment(project, paths)
    guarded = {TOKEN_VARIABLE: rules.token, PORT_VARIABLE: str(rules.port), HOSTS_VARIABLE: " ".join(rules.hosts)}
    signal.signal(signal.SIGTERM, _interrupt)
    served = paths.dagster_home / "served_workspace.yaml"
    served.unlink(missing_ok=True)
    processes: list[subprocess.Popen[str]] = []
    try:
        processes.append(_start(["code", str(_workspace_of(project, paths)), str(served)], environment, lock))
        with console.status("loading the definitions"):
            while not served.exists() and processes[0].poll() is None:
                time.sleep(0.1)
        if served.exists():
            processes.append(_start(["webserver", str(served)], {**environment, **guarded}, lock))
            processes.append(_start(["daemon", str(served)], environment, lock))
            with console.status("starting the webserver"):
                while not _answers(rules.port) and all(process.poll() is None for process in processes):
                    time.sleep(0.1)
            shown = f"[bold]{address}/?token={rules.token}[/]  (Ctrl-C ends it; state in {paths.root})"
            console.print(shown, soft_wrap=True, highlight=False)
        while all(process.poll() is None for process in processes):
            time.sleep(0.5)
        raise fail("the code server, the webserver or the daemon ended by itself; the lines above say why")
    except KeyboardInterrupt:
        console.print("ending")
    finally:
        _end(processes[::-1])


def _environment(project: Project, paths: StatePaths) -> dict[str, str]:
    own = {"DAGSTER_HOME": paths.dagster_home, DATA_VARIABLE: paths.root, PROJECT_VARIABLE: project.root}
    inherited = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}  # no run has use for it
    return inherited | {name: str(value) for name, value in own.items()}


def _workspace_of(project: Project, paths: StatePaths) -> Path:
    """Give the project's code locations; a project without such a file has one, its use cases."""
    if project.workspace is not None:
        return project.workspace
    written = paths.dagster_home / "workspace.yaml"
    write_whole(written, _WORKSPACE.encode())
    return written


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the webserver itself binds
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise fail(f"--port {port}: {reason}; allowed: a free port from 1024 to 65535") from error


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _start(arguments: Sequence[str], environment: dict[str, str], lock: int) -> subprocess.Popen[str]:
    """Start a process whose output, and that of the runs it launches, is printed but for the events of runs.

    It ends when its standard input closes, so also when this process is killed; until then it holds the lock too.
    """
    command = [sys.executable, "-m", "ml_assets.cli.operate.ui_process", *arguments]
    process = subprocess.Popen(  # noqa: S603
        command, env=environment, cwd=environment[PROJECT_VARIABLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", pass_fds=[lock],
    )  # fmt: skip
    threading.Thread(target=_print_but_events, args=(process.stdout,), daemon=True).start()
    return process


def _end(processes: Sequence[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _print_but_events(lines: Iterable[str]) -> None:
    """Print lines as they come, without the events of runs.

    >>> _print_but_events(["12:00 - dagster - DEBUG - batch - STEP_START", "12:00 - dagster - ERROR - batch - failed"])
    12:00 - dagster - ERROR - batch - failed
    """
    for line in lines:
        if not any(mark in line for mark in _OF_RUNS):
            console.print(line.rstrip("\n"), markup=False, highlight=False, soft_wrap=True)
