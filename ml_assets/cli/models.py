"""Commands about models: what serves and why, and what people decide about it."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_assets.cli.options import AsJson, UseCaseName
from ml_assets.cli.terminal import explained_errors, fail, read_drops, read_use_case

commands = typer.Typer()
ModelVersion = Annotated[str, typer.Argument(help="A model version, as `champion` lists them.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stays in the record.")]
By = Annotated[str, typer.Option("--by", help="Who decides; by default the user of this machine.")]
FirstDrop = Annotated[str, typer.Option("--from", help="First drop it holds for; by default the next that is run.")]


@commands.command()
def champion(
    use_case: UseCaseName,
    drop: Annotated[str, typer.Option("--drop", help="Only what serves this drop.")] = "",
    known_at: Annotated[
        str, typer.Option("--known-at", help="By what was recorded up to this moment, as 2013-06-16T04:00Z.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Say what served which drops, as it is known now or as it was known at a moment."""
    from ml_assets.cli.model_record import read_moment, run_champion
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    day = read_drops(spec, drop, drop, "--drop")[0] if drop else None
    with explained_errors():
        run_champion(spec, state_paths(), day, read_moment(known_at) if known_at else None, as_json=as_json)


@commands.command()
def approve(
    use_case: UseCaseName,
    model_version: Annotated[str, typer.Argument(help="The candidate that waits; not needed when only one does.")] = "",
    reject: Annotated[bool, typer.Option("--reject", help="It shall not serve.")] = False,
    reason: Reason = "",
    by: By = "",
    first: FirstDrop = "",
) -> None:
    """Let a candidate that the gate has passed serve, or reject it."""
    from ml_assets.cli.model_record import asked_by, run_approve
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    start = read_drops(spec, first, first, "--from")[0] if first else None
    with explained_errors():
        run_approve(spec, state_paths(), model_version, asked_by(by, reason, start), is_rejected=reject)


@commands.command()
def rollback(
    use_case: UseCaseName,
    to: Annotated[str, typer.Option("--to", help="A model that served before; by default the last one.")] = "",
    reason: Reason = "",
    by: By = "",
    first: FirstDrop = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Let a model that served before serve again; shows first which decisions flip and what that costs."""
    from ml_assets.cli.model_record import asked_by
    from ml_assets.cli.rollback import run_rollback
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    start = read_drops(spec, first, first, "--from")[0] if first else None
    with explained_errors():
        run_rollback(spec, state_paths(), to, asked_by(by, reason, start), is_sure=yes)


@commands.command()
def reproduce(use_case: UseCaseName, model_version: ModelVersion, as_json: AsJson = False) -> None:
    """Train a model again from what it recorded, and compare the bytes; 1 if they differ."""
    from ml_assets.cli.model_record import run_reproduce
    from ml_assets.stores.paths import state_paths

    with explained_errors():
        is_equal = run_reproduce(read_use_case(use_case), state_paths(), model_version, as_json=as_json)
    if not is_equal:
        raise typer.Exit(1)


@commands.command()
def explain(
    use_case: UseCaseName,
    what: Annotated[str, typer.Argument(help="prediction, model or retrain.")],
    which: Annotated[str, typer.Argument(help="An example_id, a model version, or a drop trained as of.")],
    drop: Annotated[str, typer.Option("--drop", help="Of a prediction: the drop it was made in.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say how a score came about, what a model is, or why a retraining ended as it did."""
    from ml_assets.cli.explain import run_explain_model, run_explain_prediction, run_explain_retrain
    from ml_assets.stores.paths import state_paths

    spec, paths = read_use_case(use_case), state_paths()
    with explained_errors():
        if what == "prediction":
            day = read_drops(spec, drop, drop, "--drop")[0] if drop else None
            run_explain_prediction(spec, paths, which, day, as_json=as_json)
        elif what == "model":
            run_explain_model(spec, paths, which)
        elif what == "retrain":
            run_explain_retrain(spec, paths, read_drops(spec, which, which, "the drop")[0], as_json=as_json)
        else:
            raise fail(f"found {what!r}; allowed: prediction, model, retrain")


@commands.command()
def tune(
    use_case: UseCaseName,
    rung: Annotated[str, typer.Option(help="Only this rung; by default every one that declares `search`.")] = "",
    trials: Annotated[int, typer.Option(min=0, help="Trials a rung; by default as declared.")] = 0,
    minutes: Annotated[float, typer.Option(min=0, help="Minutes a rung; by default as declared.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Search for parameters on the newest training set, and print them; `retrain --tune` searches and trains."""
    from ml_assets.cli.tuning import run_tune
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    budget = spec.model.tuning.model_copy(
        update={**({"trials": trials} if trials else {}), **({"minutes": minutes} if minutes else {})}
    )
    with explained_errors():
        run_tune(spec, state_paths(), rung, budget, as_json=as_json)


@commands.command()
def economy(
    use_case: UseCaseName,
    rung: Annotated[str, typer.Option(help="Which rung; by default the last of the ladder.")] = "",
    seeds: Annotated[int, typer.Option(min=0, help="Fits with other seeds, to tell noise from difference.")] = 3,
    page: Annotated[bool, typer.Option("--page", help="Write an HTML page with pictures.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a rung leans on, and what of its features and trees could be spared; nothing is changed."""
    from ml_assets.cli.economy import Asked, run_economy
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    with explained_errors():
        run_economy(spec, state_paths(), Asked(rung, seeds, page, as_json))
