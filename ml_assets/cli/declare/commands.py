"""Commands about what is declared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml_assets.cli.console import (
    defs_folder,
    read_use_case,
    state_of,
    use_case_names,
)
from ml_assets.cli.options import AsJson, PredictedTask, UseCaseName

commands = typer.Typer()


@commands.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The folder to make; it may be there and empty.")],
    name: Annotated[str, typer.Option(help="Name of the project; by default that of the folder.")] = "",
) -> None:
    """Begin a project of your own, with all that it needs."""
    from ml_assets.cli.declare.init import begin_project

    begin_project(folder, name)


@commands.command()
def new(
    name: Annotated[str, typer.Argument(help="What the use case is called: the name of its folder.")],
    given: Annotated[
        list[str],
        typer.Option(
            "--from", metavar="FILE", help="CSV, Parquet, JSON lines or .xlsx, also packed, or SOURCE=FILE; repeatable."
        ),
    ],
    every: Annotated[str, typer.Option(help="Time between batches, as 1h, 1d, 7d or month, where decided.")] = "decide",
    at: Annotated[
        str, typer.Option(help="Local time of the batch, as 06:00 or 06:00,18:00, where decided.")
    ] = "decide",
    zone: Annotated[str, typer.Option(help="Time zone of the batch and of moments without an offset.")] = "decide",
    task: Annotated[
        PredictedTask, typer.Option(help="What is predicted: a yes or no, an amount, or how often something happens.")
    ] = PredictedTask.BINARY,
) -> None:
    """Write the first declaration of a use case from data files.

    Contracts, expectations with their reasons, SQL and SQL tests are filled in from the data. What only a person can
    decide is left as `decide`, and nothing of the use case runs until it is decided.
    """
    from datetime import UTC, datetime

    from ml_assets.cli.declare.new import begin_use_case
    from ml_assets.cli.declare.new_facts import Decided

    begin_use_case(defs_folder(), name, given, Decided(every, at, zone, task.value), datetime.now(UTC).date())


@commands.command()
def validate(
    use_case: Annotated[str | None, typer.Argument(help="A use case; by default all of them.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check declarations and print every mistake with its line.

    Ends with 1 if there is a mistake.
    """
    from ml_assets.cli.declare.validation import run_validate

    names = use_case_names()
    if use_case is not None and use_case not in names:
        read_use_case(use_case)
    if not run_validate([defs_folder() / name for name in ([use_case] if use_case else names)], as_json=as_json):
        raise typer.Exit(1)


@commands.command()
def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="The reference of every key as a page.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Write it beside the use cases, for editors.")] = False,
) -> None:
    """Print the JSON schema of defs.yaml, or a page of its keys.

    An editor that knows the schema completes keys, explains them, and marks what is unknown.
    """
    from ml_assets.cli.declare.key_schema import print_reference, print_schema, put_schema

    if markdown:
        print_reference()
    elif write:
        put_schema(defs_folder())
    else:
        print_schema()


@commands.command("test")
def run_sql_tests(
    use_case: Annotated[str | None, typer.Argument(help="A use case; by default all of them.")] = None,
) -> None:
    """Run the SQL tests of a use case.

    The files sql_tests/*.yaml hold given rows and expected rows. What differs is printed; ends with 1 if anything does.
    """
    from ml_assets.cli.declare.sql_tests import run_tests

    if not run_tests(defs_folder(), [use_case] if use_case else use_case_names()):
        raise typer.Exit(1)


@commands.command()
def sources(
    use_case: UseCaseName,
    page: Annotated[
        bool, typer.Option("--page", help="Write a page a source: its contract and what it found.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the sources: newest drop, rows, quarantine, rules."""
    from ml_assets.cli.declare.sources import run_sources
    from ml_assets.reports.source_page import write_source_pages
    from ml_assets.stores.paths import state_paths

    spec, paths = read_use_case(use_case), state_paths()
    run_sources(spec, state_of(spec), write_source_pages(spec, paths) if page else {}, as_json=as_json)


@commands.command()
def features(
    use_case: UseCaseName,
    name: Annotated[str | None, typer.Argument(help="A feature, to see all of it; by default all, in short.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="The catalogue as a page, as declared.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the features, or show one back to its raw columns."""
    from ml_assets.cli.declare.features import run_feature, run_features
    from ml_assets.reports.catalogue_page import catalogue_page

    spec = read_use_case(use_case)
    if markdown:
        typer.echo(catalogue_page(spec), nl=False)
    elif name is None:
        run_features(spec, state_of(spec), as_json=as_json)
    else:
        run_feature(spec, state_of(spec), name, as_json=as_json)
