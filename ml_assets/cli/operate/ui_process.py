"""A process of `ml-assets ui`: Dagster's webserver behind the request guard, or Dagster's daemon.

Started as `python -m ml_assets.cli.operate.ui_process webserver|daemon WORKSPACE` by `webserver.py`, which keeps the
other end of its standard input open. When that end closes, the command was ended, if need be by `kill -9`, and this
process ends too.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from ml_assets.cli.operate.request_guard import TOKEN_VARIABLE, GuardRules, RequestGuard

PORT_VARIABLE = "ML_ASSETS_UI_PORT"
HOSTS_VARIABLE = "ML_ASSETS_UI_HOSTS"
_SECONDS_TO_END = 15


def main(kind: str, workspace: str) -> None:
    """Run the webserver or the daemon until it is told to stop or its parent is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if kind == "webserver":
        token, port = os.environ.pop(TOKEN_VARIABLE), int(os.environ[PORT_VARIABLE])  # no child inherits the token
        serve_guarded(GuardRules(token, port, tuple(os.environ[HOSTS_VARIABLE].split())), workspace)
        return
    from dagster._daemon.cli import cli

    cli(["run", "-w", workspace, "--log-level", "warning"])


def serve_guarded(rules: GuardRules, workspace: str) -> None:
    """Serve Dagster's UI on 127.0.0.1, behind the guard."""
    import uvicorn
    from dagster import DagsterInstance, __version__
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.app import create_app_from_workspace_process_context

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
