"""Commands about models: what serves and why, and what people decide about it."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_assets.cli.console import (
    console,
    explained_errors,
    fail,
    next_steps,
    print_json,
    read_drops,
    read_run_drop,
    read_use_case,
    require_run,
    state_of,
)
from ml_assets.cli.options import AsJson, UseCaseName
from ml_assets.spec.drop import LATEST
from ml_assets.stats.tasks import task_of

commands = typer.Typer()
ModelVersion = Annotated[str, typer.Argument(help="A model version, as `champion` lists them.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the record.")]
By = Annotated[str, typer.Option("--by", help="Who decides; by default the user of this machine.")]
FirstDrop = Annotated[str, typer.Option("--from", help="First drop it holds for; by default the next that is run.")]


@commands.command()
def retrain(
    use_case: UseCaseName,
    as_of: Annotated[
        str, typer.Option("--as-of", help="Drop to train as of; by default the newest that was run.")
    ] = "",
    candidate: Annotated[
        str, typer.Option("--candidate", "--rung", help="Take this candidate, whatever the comparison says.")
    ] = "",
    gate: Annotated[
        str,
        typer.Option(help="enabled; dry_run: measure only; disabled: promote, and record so. By default as declared."),
    ] = "as_declared",
    tune: Annotated[
        bool, typer.Option("--tune", help="Search for parameters first, where candidates declare it.")
    ] = False,
    mix_features: Annotated[
        bool, typer.Option("--mix-features", help="Train also on drops that hold older versions of features.")
    ] = False,
) -> None:
    """Train a candidate, and let the gate decide if it serves.

    A training set is drawn, the candidate is fitted and measured, and the verdict is recorded with its reasons.
    """
    from ml_assets.cli.operate.runs import print_warnings, retrain_with_progress
    from ml_assets.cli.operate.status import show_candidates, show_verdict
    from ml_assets.pipeline.training.retraining import Retraining
    from ml_assets.stores.paths import state_paths

    modes = ("as_declared", "enabled", "dry_run", "disabled")
    if gate not in modes:
        raise fail(f"--gate: found {gate!r}; allowed: {', '.join(modes)}")
    spec, paths = read_use_case(use_case), state_paths()
    names = [step.name for step in spec.model.candidates]
    if candidate and candidate not in names:
        raise fail(f"--candidate: found {candidate!r}; allowed: {', '.join(names)}")
    if as_of:
        read_run_drop(spec, as_of, "--as-of")
    else:
        require_run(spec, "--as-of")
    outcome = retrain_with_progress(spec, paths, Retraining(as_of, candidate, gate, mix_features, tune))
    state = state_of(spec)
    show_candidates(task_of(spec.task), state)
    show_verdict(state)
    print_warnings(outcome)
    console.print(f"[dim]run {outcome.run_id}[/]")
    next_steps(
        {f"ml-assets champion {use_case}": "what serves, and every verdict", "ml-assets ui": "the evidence, with plots"}
    )


@commands.command()
def champion(
    use_case: UseCaseName,
    drop: Annotated[str, typer.Option("--drop", help="Show only what serves this drop.")] = "",
    known_at: Annotated[
        str, typer.Option("--known-at", help="Use what was recorded up to this moment, as 2013-06-16T04:00Z.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show which model serves or served which drops.

    As it is known now, or as it was known at a moment (--known-at).
    """
    from ml_assets.cli.models.record import read_moment, run_champion

    spec = read_use_case(use_case)
    day = read_drops(spec, drop, drop, "--drop")[0] if drop else None
    with explained_errors():
        run_champion(spec, state_of(spec).pinned(), day, read_moment(known_at) if known_at else None, as_json=as_json)


@commands.command()
def approve(
    use_case: UseCaseName,
    model_version: Annotated[str, typer.Argument(help="The candidate that waits; not needed when only one does.")] = "",
    reject: Annotated[bool, typer.Option("--reject", help="Reject it: it will not serve.")] = False,
    reason: Reason = "",
    by: By = "",
    first: FirstDrop = "",
) -> None:
    """Approve or reject a candidate that waits for a person.

    A rejection is taken back by approving the model by its name, with --reason.
    """
    from ml_assets.cli.models.record import asked_by, run_approve

    spec = read_use_case(use_case)
    start = read_drops(spec, first, first, "--from")[0] if first else None
    with explained_errors():
        run_approve(spec, state_of(spec), model_version, asked_by(by, reason, start), is_rejected=reject)


@commands.command()
def rollback(
    use_case: UseCaseName,
    to: Annotated[str, typer.Option("--to", help="A model that served before; by default the last one.")] = "",
    reason: Reason = "",
    by: By = "",
    first: FirstDrop = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before it is done.")] = False,
) -> None:
    """Let an earlier model serve again.

    Shows first which decisions would change and what that would cost, and asks.
    """
    from ml_assets.cli.models.record import asked_by
    from ml_assets.cli.models.rollback import run_rollback

    spec = read_use_case(use_case)
    start = read_drops(spec, first, first, "--from")[0] if first else None
    with explained_errors():
        run_rollback(spec, state_of(spec), to, asked_by(by, reason, start), is_sure=yes)


@commands.command()
def experiment(  # noqa: PLR0913, PLR0917 - options of three verbs
    use_case: UseCaseName,
    what: Annotated[str, typer.Argument(help="start, status or conclude.")] = "status",
    name: Annotated[str, typer.Argument(help="A declared experiment; `status` shows all by default.")] = "",
    model: Annotated[
        str, typer.Option("--model", help="Of start: the challenger; by default the newest that does not serve.")
    ] = "",
    conclusion: Annotated[str, typer.Option("--as", help="Of conclude: promote, reject or stop.")] = "",
    reason: Reason = "",
    by: By = "",
    first: FirstDrop = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before it is started.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a challenger serve a share of the traffic.

    `start` shows first what the experiment can find. It is looked at after every drop, and aborted by itself.
    """
    from ml_assets.cli.models.experiment import run_conclude, run_start, run_status
    from ml_assets.cli.models.record import asked_by

    spec = read_use_case(use_case)
    if what not in ("start", "status", "conclude"):
        raise fail(f"found {what!r}; allowed: start, status, conclude")
    if what != "status" and not name:
        raise fail(f"{what}: which experiment? declared: {', '.join(each.name for each in spec.experiments) or 'none'}")
    start = read_drops(spec, first, first, "--from")[0] if first else None
    with explained_errors():
        if what == "status":
            run_status(spec, state_of(spec).pinned(), name, as_json=as_json)
        elif what == "start":
            run_start(spec, state_of(spec), name, model, asked_by(by, reason, start), is_sure=yes)
        else:
            run_conclude(spec, state_of(spec), name, conclusion, asked_by(by, reason, start))


@commands.command()
def whatif(
    use_case: UseCaseName,
    model: Annotated[str, typer.Option("--model", help="Another model of the record.")] = "",
    threshold: Annotated[float | None, typer.Option("--threshold", min=0, max=1, help="Score to act from.")] = None,
    capacity: Annotated[int | None, typer.Option("--capacity", min=1, help="Places of the list.")] = None,
    drops: Annotated[
        str, typer.Option("--drops", help="FIRST:LAST of what is replayed; by default the newest thirty that were run.")
    ] = "",
    reacts: Annotated[bool, typer.Option("--reacts", help="Outcomes depend on what was done.")] = False,
) -> None:
    """Replay another threshold, capacity or model.

    On examples that were predicted and have matured. Prints what the log can answer, and what it cannot.
    """
    from ml_assets.cli.models.experiment import read_range, run_whatif
    from ml_assets.pipeline.experiments.whatif import PolicyChange

    spec = read_use_case(use_case)
    change = PolicyChange(threshold, capacity, model, reacts)
    with explained_errors():
        run_whatif(spec, state_of(spec).pinned(), change, read_range(spec, drops))


@commands.command()
def reproduce(use_case: UseCaseName, model_version: ModelVersion, as_json: AsJson = False) -> None:
    """Train a recorded model again and compare the bytes.

    Ends with 1 if they differ.
    """
    from ml_assets.cli.models.record import run_reproduce

    with explained_errors():
        is_equal = run_reproduce(state_of(read_use_case(use_case)), model_version, as_json=as_json)
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
    """Explain a prediction, a model or a retraining."""
    from ml_assets.cli.models.explain import run_explain_model, run_explain_prediction, run_explain_retrain

    spec = read_use_case(use_case)
    state = state_of(spec).pinned()
    with explained_errors():
        if what == "prediction":
            day = read_run_drop(spec, drop, "--drop") if drop else None
            run_explain_prediction(spec, state, which, day, as_json=as_json)
        elif what == "model":
            run_explain_model(spec, state, which)
        elif what == "retrain":
            run_explain_retrain(state, read_run_drop(spec, which, "the drop"), as_json=as_json)
        else:
            raise fail(f"found {what!r}; allowed: prediction, model, retrain")


@commands.command()
def tune(
    use_case: UseCaseName,
    candidate: Annotated[
        str,
        typer.Option("--candidate", "--rung", help="Only this candidate; by default every one that declares `search`."),
    ] = "",
    trials: Annotated[int, typer.Option(min=0, help="Trials a candidate; by default as declared.")] = 0,
    minutes: Annotated[float, typer.Option(min=0, help="Minutes a candidate; by default as declared.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Search for better parameters on the newest training set.

    Nothing is written; `retrain --tune` searches and trains.
    """
    from ml_assets.cli.models.tuning import run_tune

    spec = read_use_case(use_case)
    budget = spec.model.tuning.model_copy(
        update={**({"trials": trials} if trials else {}), **({"minutes": minutes} if minutes else {})}
    )
    with explained_errors():
        run_tune(spec, state_of(spec), candidate, budget, as_json=as_json)


@commands.command()
def ablation(
    use_case: UseCaseName,
    candidate: Annotated[
        str, typer.Option("--candidate", "--rung", help="Which candidate; by default the last of the candidates.")
    ] = "",
    seeds: Annotated[int, typer.Option(min=0, help="Fits with other seeds, to tell noise from difference.")] = 3,
    page: Annotated[bool, typer.Option("--page", help="Write an HTML page with pictures.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure which features and trees a model could do without.

    Nothing is changed.
    """
    from ml_assets.cli.models.ablation import AblationOptions, run_ablation

    spec = read_use_case(use_case)
    with explained_errors():
        run_ablation(spec, state_of(spec), AblationOptions(candidate, seeds, page, as_json))


@commands.command()
def audit(
    use_case: UseCaseName,
    sample: Annotated[int, typer.Option(min=1, help="Examples, drawn evenly over time.")] = 300,
    seed: Annotated[int, typer.Option(help="Which examples are drawn.")] = 1,
    first: Annotated[str, typer.Option("--from", help="First drop; by default the first of all.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last drop; by default the newest that was run.")] = "",
    as_json: AsJson = False,
) -> None:
    """Check stored features for leaks from the future.

    Stored examples are recomputed without later facts, and columns that give away the outcome are searched for.
    Ends with 1 if anything is found.
    """
    from ml_assets.cli.models.audit import AuditOptions, run_audit
    from ml_assets.pipeline.audit.leakage import AuditRequest

    spec = read_use_case(use_case)
    begins = read_run_drop(spec, first, "--from") if first else spec.calendar.first_drop
    ends = read_run_drop(spec, last, "--to") if last else LATEST
    if begins > ends:
        raise fail(f"--from {begins} is after --to {ends}")
    with explained_errors():
        is_clean = run_audit(spec, state_of(spec), AuditOptions(AuditRequest(sample, seed, (begins, ends)), as_json))
    if not is_clean:
        raise typer.Exit(1)


@commands.command("accept-feature")
def accept_feature(
    use_case: UseCaseName,
    name: Annotated[str, typer.Argument(help="A feature that is suspected and right.")],
    reason: Annotated[str, typer.Option("--reason", help="Why its values are known as of the prediction.")],
    by: By = "",
) -> None:
    """Accept a feature that ranks the outcome suspiciously well.

    The decision is recorded, and the gate refuses no candidate for this feature from the next training set on.
    """
    from datetime import UTC, datetime

    from ml_assets.cli.models.record import asked_by
    from ml_assets.pipeline.audit.suspicions import accept_feature as record_acceptance

    spec, decision = read_use_case(use_case), asked_by(by, reason, None)
    with explained_errors():
        record_acceptance(spec, state_of(spec), name, decision.note, by=decision.by, now=datetime.now(UTC))
    console.print(f"{name} of {use_case} is accepted: {decision.note}", markup=False, highlight=False)
    next_steps({f"ml-assets retrain {use_case}": "draws a training set anew, and judges it with this decision"})


@commands.command()
def rebuild(
    use_case: UseCaseName,
    version: Annotated[int, typer.Option(help="A lake version of the training set.")],
    as_json: AsJson = False,
) -> None:
    """Build a past training set again and compare its hash.

    It is drawn from the versions of tables that it recorded. Ends with 1 if the hash differs.
    """
    from ml_assets.pipeline.training.training_set import rebuild as rebuild_training_set

    state = state_of(read_use_case(use_case))
    with explained_errors(), state.connect() as connection:
        recorded, again = rebuild_training_set(connection, state.lake, version)
    if as_json:
        print_json({"version": version, "recorded": recorded, "rebuilt": again, "equal": recorded == again})
    else:
        console.print(f"recorded {recorded}\nrebuilt  {again}\n{'equal' if recorded == again else '[red]different[/]'}")
    if recorded != again:
        raise typer.Exit(1)


@commands.command()
def routes(
    use_case: UseCaseName,
    drop: Annotated[str, typer.Option("--drop", help="A drop that was run; by default the newest.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what the machine decides, what people do, and why.

    Where `worklist.routes` is declared: the curve of risk and coverage on matured examples, and a page.
    """
    from ml_assets.cli.models.routes import run_routes

    spec = read_use_case(use_case)
    day = read_run_drop(spec, drop, "--drop") if drop else None
    with explained_errors():
        run_routes(spec, state_of(spec), day, as_json=as_json)
