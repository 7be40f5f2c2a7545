"""Commands about what could have been: retraining policies, a retraining now, final values of forecasts."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_assets.cli.console import explained_errors, read_run_drop, read_use_case, require_run, state_of
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


@commands.command()
def diagnose(
    use_case: UseCaseName,
    drop: Annotated[str, typer.Option("--drop", help="As of a drop that was run; by default the newest.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say why quality changed, and whether retraining helps.

    The change of the loss is split into covariate, label and concept parts, and a shadow candidate is fitted on what is
    known and scored on the newest matured labels. Changes no table and no record.
    """
    from ml_assets.cli.models.diagnose import run_diagnose
    from ml_assets.pipeline.features.closed_drops import closed_drops

    spec = read_use_case(use_case)
    state = state_of(spec).pinned()
    if drop:
        day = read_run_drop(spec, drop, "--drop")
    else:
        require_run(spec, "--drop")
        day = max(closed_drops(state))
    with explained_errors():
        run_diagnose(spec, state, day, as_json=as_json)


@commands.command()
def vintages(
    use_case: UseCaseName,
    candidate: Annotated[
        str, typer.Option("--candidate", help="Which candidate; by default the last of the candidates.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show forecasts by vintage, and what final values flatter.

    One candidate is scored out of time on the newest training set three times: on what was known at each prediction, on
    final values of the forecasts, and fitted on these but served what was known. Writes a page; changes nothing else.
    """
    from ml_assets.cli.models.vintages import run_vintages

    spec = read_use_case(use_case)
    with explained_errors():
        run_vintages(spec, state_of(spec), candidate, as_json=as_json)
