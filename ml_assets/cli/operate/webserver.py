"""Webserver and daemon on this machine alone, ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import FrameType

from ml_assets.cli.console import console, fail
from ml_assets.stores.paths import DATA_VARIABLE, StatePaths, project_root


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
    processes = [subprocess.Popen(command, env=environment, cwd=project_root()) for command in commands]  # noqa: S603
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
