"""Commands about labels of functions and people: what they are worth, how far to trust them, whom to ask next."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_assets.cli.console import explained_errors, fail, read_run_drop, read_use_case, state_of
from ml_assets.cli.options import AsJson, UseCaseName

commands = typer.Typer()


@commands.command()
def labels(  # noqa: PLR0913, PLR0917 - one option each
    use_case: UseCaseName,
    fit: Annotated[bool, typer.Option("--fit", help="Fit the label model now, without a retraining.")] = False,
    as_of: Annotated[str, typer.Option("--as-of", help="With --fit: a drop; by default the newest that was run.")] = "",
    backfill: Annotated[
        bool, typer.Option("--backfill", help="Let functions vote on drops that hold other votes than are declared.")
    ] = False,
    worth: Annotated[
        bool, typer.Option("--worth", help="Measure how many gold labels the weak ones are worth.")
    ] = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Replay history with labels hidden: which strategy to ask people by.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=2, help="With --simulate: repetitions.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show labels of functions: which are used and why.

    Each function with coverage, conflict and accuracy on gold labels; the label models and the vote; and a page.
    """
    from ml_assets.cli.labels.report import LabelOptions, run_labels
    from ml_assets.cli.labels.simulation import run_simulation

    spec = read_use_case(use_case)
    if simulate:
        with explained_errors():
            run_simulation(spec, state_of(spec), seeds, as_json=as_json)
        return
    if as_of:
        read_run_drop(spec, as_of, "--as-of")
    with explained_errors():
        run_labels(spec, state_of(spec), LabelOptions(fit, as_of, backfill, worth, as_json))


@commands.command("label-quality")
def label_quality(
    use_case: UseCaseName,
    as_of: Annotated[
        str, typer.Option("--as-of", help="Answers landed by this drop; by default the newest that was run.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show how far labels can be trusted.

    Agreement of annotators by guideline, each annotator, what they disagree on, and labels that are likely wrong.
    """
    from ml_assets.cli.labels.quality import run_label_quality

    spec = read_use_case(use_case)
    if as_of:
        read_run_drop(spec, as_of, "--as-of")
    with explained_errors():
        run_label_quality(spec, state_of(spec).pinned(), as_of, as_json=as_json)


@commands.command()
def review(  # noqa: PLR0913, PLR0917 - one option each
    use_case: UseCaseName,
    reviewer: Annotated[str, typer.Option("--as", help="Whose list; serves a page to answer on.")] = "",
    port: Annotated[int, typer.Option(help="Port of the page on 127.0.0.1; 0 is any free one.")] = 0,
    export: Annotated[str, typer.Option("--export", help="Write open examples to a .csv or .json file.")] = "",
    answers: Annotated[str, typer.Option("--import", help="Read the answers of such a file.")] = "",
    declare: Annotated[bool, typer.Option("--declare", help="Print what to add to defs.yaml, and do nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let people answer about the examples of the review queue.

    Shows how far everybody is; with --as, a page on this machine; with --export and --import, files.
    """
    from ml_assets.cli.labels.review import ReviewOptions, run_review, show_declaration

    spec = read_use_case(use_case)
    if declare:
        show_declaration()
        return
    if export and answers:
        raise fail("--export and --import: found both; allowed: one of both")
    with explained_errors():
        run_review(spec, state_of(spec), ReviewOptions(reviewer, port, export, answers, as_json))
