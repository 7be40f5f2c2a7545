"""Commands that keep a state for years."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_assets.cli.options import AsJson

commands = typer.Typer()


@commands.command()
def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be done, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take the state of an earlier release along.

    Names and columns of tables, settings and the schemas of Dagster and MLflow. Stop the UI and all runs before. A
    migration that was killed goes on when it is started again.
    """
    from datetime import UTC, datetime

    from ml_assets.cli.upkeep.migrating import run_migrate
    from ml_assets.stores.paths import state_paths

    run_migrate(state_paths(), datetime.now(UTC), is_dry_run=dry_run, as_json=as_json)
