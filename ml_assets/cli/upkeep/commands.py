"""Commands that keep a state for years."""

from __future__ import annotations

from pathlib import Path
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
    from ml_assets.cli.upkeep.migrating import run_migrate
    from ml_assets.stores.paths import state_paths

    run_migrate(state_paths(), is_dry_run=dry_run, as_json=as_json)


@commands.command()
def backup(
    to: Annotated[Path, typer.Argument(help="A new folder, outside of the state.")],
    use_cases: Annotated[list[str] | None, typer.Argument(help="Use cases; by default all that have a state.")] = None,
    as_json: AsJson = False,
) -> None:
    """Copy the state while runs go on.

    Tables are copied as they were at one moment between two runs: a run that goes on is waited for, the next one is
    not held up. Declarations, and files delivered outside of the state, are not copied.
    """
    from datetime import UTC, datetime

    from ml_assets.cli.upkeep.backing_up import run_backup
    from ml_assets.stores.paths import state_paths

    run_backup(state_paths(), to, use_cases or (), datetime.now(UTC), as_json=as_json)


@commands.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="A folder that `ml-assets backup` wrote.")],
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="Move a state that is there to its folder set_aside, and restore.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup back into the state folder.

    Every file is checked against its hash before anything is replaced. Stop the UI and all runs before.
    """
    from datetime import UTC, datetime

    from ml_assets.cli.upkeep.backing_up import run_restore
    from ml_assets.stores.paths import state_paths

    run_restore(state_paths(), source, datetime.now(UTC), may_set_aside=set_aside, as_json=as_json)
