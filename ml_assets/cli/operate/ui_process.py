"""A process of `ml-assets ui`: the code server, Dagster's webserver behind the request guard, or Dagster's daemon.

Started by `webserver.py` as `python -m ml_assets.cli.operate.ui_process code WORKSPACE SERVED` and then as `webserver
SERVED` and `daemon SERVED`; it keeps the other end of their standard input open. When that end closes, the command was
ended, if need be by `kill -9`, and this process ends too.

Webserver and daemon share one code server. Given a module, each would start its own, and the daemon a new one every
minute, whatever has changed: three seconds of processor time for each use case's definitions.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Hashable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ml_assets.cli.operate.partition_plots import plot_what_was_run
from ml_assets.cli.operate.request_guard import TOKEN_VARIABLE, GuardRules, RequestGuard

if TYPE_CHECKING:
    from dagster._grpc.client import DagsterGrpcClient

PORT_VARIABLE = "ML_ASSETS_UI_PORT"
HOSTS_VARIABLE = "ML_ASSETS_UI_HOSTS"
_SECONDS_TO_END = 15
_LOOK_S = 5  # between two looks at the declarations
_OF_PROGRAMS = re.compile(r"/__pycache__/|/\.|~$")
_RELOAD_S = 180  # a code server that has not loaded by then is asked again when something changes


def main(kind: str, workspace: str, served: str = "") -> None:
    """Run the code server, the webserver or the daemon until it is told to stop or its parent is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if kind == "code":
        serve_code(workspace, Path(served))
    if kind == "webserver":
        token, port = os.environ.pop(TOKEN_VARIABLE), int(os.environ[PORT_VARIABLE])  # no child inherits the token
        serve_guarded(GuardRules(token, port, tuple(os.environ[HOSTS_VARIABLE].split())), workspace)
        return
    from dagster._daemon.cli import cli

    cli(["run", "-w", workspace, "--log-level", "warning"])


def serve_code(workspace: str, served: Path) -> None:
    """Serve the code locations of a workspace, and write the workspace file `served` of where they are.

    They are loaded again within ten seconds of a change below a folder `defs`.
    """
    import yaml
    from dagster import DagsterInstance
    from dagster._cli.proxy_server_manager import ProxyServerManager
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster._grpc.client import DagsterGrpcClient

    from ml_assets.stores.landing import write_whole

    signal.signal(signal.SIGTERM, _leave)
    target = WorkspaceFileTarget([workspace])
    with DagsterInstance.get() as instance, ProxyServerManager(instance, target, "WARNING") as servers:
        specs = servers.get_code_server_specs()
        write_whole(served, yaml.safe_dump({"load_from": [dict(spec) for spec in specs]}).encode())
        places = [spec["grpc_server"] for spec in specs]
        _reload_on_change([DagsterGrpcClient(port=at.get("port"), socket=at.get("socket")) for at in places])


def _reload_on_change(clients: list[DagsterGrpcClient]) -> None:
    """Have code servers load again when the declarations have changed, and been left alone since the last look."""
    from dagster._core.errors import DagsterUserCodeUnreachableError

    loaded = seen = _declarations()
    while True:
        time.sleep(_LOOK_S)
        before, seen = seen, _declarations()
        if seen == loaded or seen != before:
            continue
        loaded = seen
        for client in clients:
            try:
                client.reload_code(timeout=_RELOAD_S)
            except DagsterUserCodeUnreachableError as error:
                sys.stderr.write(f"the changed definitions were not loaded: {error}; `Reload definitions` in the UI\n")


def _declarations() -> Hashable:
    """Mark the files below the folder of use cases, but for what programs leave there for themselves."""
    from ml_assets.stores.project import find_project
    from ml_assets.stores.unchanged import file_mark

    files = (path for path in sorted(find_project().use_cases.rglob("*")) if path.is_file())
    return tuple((str(path), file_mark(path)) for path in files if not _OF_PROGRAMS.search(str(path)))


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit


def serve_guarded(rules: GuardRules, workspace: str) -> None:
    """Serve Dagster's UI on 127.0.0.1, behind the guard."""
    import uvicorn
    from dagster import DagsterInstance, __version__
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.app import create_app_from_workspace_process_context

    plot_what_was_run()
    with (
        DagsterInstance.get() as instance,
        WorkspaceProcessContext(instance, WorkspaceFileTarget([workspace]), __version__) as context,
    ):
        instance.optimize_for_webserver(statement_timeout=15_000, pool_recycle=3_600, max_overflow=20)
        app = create_app_from_workspace_process_context(context, live_data_poll_rate=2_000)
        app.add_middleware(RequestGuard, rules=rules)  # the outermost: it sees a request first
        uvicorn.run(app, host="127.0.0.1", port=rules.port, log_level="warning", server_header=False)


def _end_with_parent() -> None:
    """Wait until the parent closes our standard input or is gone; then end, politely first."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_SECONDS_TO_END)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
