"""Commands about retraining: what a policy would have been worth."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_assets.cli.console import explained_errors, read_use_case, state_of
from ml_assets.cli.models.commands import commands
from ml_assets.cli.options import AsJson, From, To, UseCaseName


@commands.command()
def policies(  # noqa: PLR0913, PLR0917 - options of one command
    use_case: UseCaseName,
    first: From = "",
    last: To = "",
    every: Annotated[str, typer.Option("--every", help="Time from one cutoff to the next, as 7d.")] = "7d",
    candidate: Annotated[
        str,
        typer.Option(
            "--candidate", help="Model candidate that is fitted, or `all`; by default that of what serves, or all."
        ),
    ] = "",
    tries: Annotated[
        list[str] | None,
        typer.Option("--try", help="The declared policy with another setting, as cooldown=14d; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare retraining policies on the use case's own history.

    One model a cutoff is fitted once and scored on all that came later; every policy is a path through that table, by
    the decisions that the sensors would have made. Writes a page; changes no table and no record.
    """
    from ml_assets.cli.models.policies import PolicyOptions, run_policies

    spec = read_use_case(use_case)
    with explained_errors():
        run_policies(spec, state_of(spec), PolicyOptions(first, last, every, candidate, tuple(tries or ()), as_json))
