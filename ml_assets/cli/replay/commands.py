"""Commands that run history."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_assets.cli.console import (
    read_drops,
    read_use_case,
)
from ml_assets.cli.options import AsJson, From, To, UseCaseName

commands = typer.Typer()


@commands.command()
def replay(
    use_case: UseCaseName,
    first: From,
    last: To,
    every: Annotated[int | None, typer.Option(min=1, help="Drops a step; by default as declared.")] = None,
    schedule: Annotated[
        int | None, typer.Option(min=1, help="Retrain every N steps, whatever the sensors say.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run past drops step by step, as the sensors would have.

    Batches, decisions, retrainings and alerts; what was done before is not done again.
    """
    from ml_assets.cli.replay.run import ReplayOptions, run_replay
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    drops = read_drops(spec, first, last)
    run_replay(spec, state_paths(), ReplayOptions(drops[0], drops[-1], every, schedule, as_json))


@commands.command()
def demo() -> None:
    """Run the demo: three months of flights, ten weeks replayed."""
    from ml_assets.cli.replay.demo import run_demo
    from ml_assets.stores.paths import state_paths

    run_demo(state_paths())
