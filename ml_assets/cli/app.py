"""The command ml-assets: its commands, in panels by what they are for."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from ml_assets.cli.console import fail
from ml_assets.cli.declare.commands import commands as declare
from ml_assets.cli.models.commands import commands as models
from ml_assets.cli.operate.commands import commands as operate
from ml_assets.cli.replay.commands import commands as replay


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

            said = explain_machine_error(error, state_paths().root)
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
PANELS = {"Declare a use case": declare, "Run and watch": operate, "Models": models, "History": replay}
for title, part in PANELS.items():
    for command in part.registered_commands:
        command.rich_help_panel = title
    app.add_typer(part)


@app.callback()
def _begin() -> None:
    from ml_assets.stores.telemetry import switch_off_telemetry

    switch_off_telemetry()
