"""The command ml-assets: its commands, in panels by what they are for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import typer
from typer.core import TyperGroup

from ml_assets.cli.console import fail
from ml_assets.cli.declare.commands import commands as declare
from ml_assets.cli.labels.commands import commands as labels
from ml_assets.cli.models.policy_commands import commands as models
from ml_assets.cli.operate.report import commands as operate
from ml_assets.cli.replay.commands import commands as replay
from ml_assets.cli.upkeep.commands import commands as upkeep


class _Commands(TyperGroup):
    """All commands; what the machine lacks ends any of them with one line instead of a trace."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            from ml_assets.cli.machine_errors import explain_machine_error
            from ml_assets.stores.paths import state_paths
            from ml_assets.stores.project import ProjectError

            if isinstance(error, ProjectError):
                raise fail(str(error)) from error
            try:
                root = state_paths().root
            except ProjectError:  # what was asked was wrong before the project was looked at
                raise error from None
            said = explain_machine_error(error, root)
            if said is None:
                raise
            raise fail(said) from error


app = typer.Typer(
    cls=_Commands,
    help="Run a batch machine-learning system that is a Dagster asset graph.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
PANELS = {
    "Declare a use case": declare, "Run and watch": operate, "Models": models, "Labels": labels, "History": replay,
    "Upkeep": upkeep,
}  # fmt: skip
_ON_ANY_STATE = {
    "init",
    "new",
    "schema",
    "test",
    "tables",
    "migrate",
    "restore",
}  # they open no state, or look at its version themselves


def _on_a_state_of_now(run: Callable[..., None]) -> Callable[..., None]:
    """Let a command refuse a state of another version before it begins."""

    @wraps(run)
    def checked(*arguments: Any, **options: Any) -> None:
        from ml_assets.stores.paths import state_paths
        from ml_assets.stores.state_version import StateVersionError, check_state

        try:
            check_state(state_paths())
        except StateVersionError as error:
            raise fail(str(error)) from error
        run(*arguments, **options)

    return checked


for title, part in PANELS.items():
    for command in part.registered_commands:
        command.rich_help_panel = title
        if command.callback is not None and command.callback.__name__ not in _ON_ANY_STATE:
            command.callback = _on_a_state_of_now(command.callback)
    app.add_typer(part)


@app.callback()
def _begin() -> None:
    from ml_assets.stores.telemetry import switch_off_telemetry

    switch_off_telemetry()
