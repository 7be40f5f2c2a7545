"""The commands of ml-assets."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import typer

from ml_assets.cli import declaring, mending, models
from ml_assets.cli.options import AsJson, From, To, UseCaseName
from ml_assets.cli.terminal import (
    DEFS_FOLDER,
    console,
    explained_errors,
    fail,
    next_steps,
    plain_rows,
    print_json,
    read_drops,
    read_use_case,
    table_of,
    use_case_names,
)

app = typer.Typer(
    help="A batch machine-learning system as a Dagster asset graph.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(mending.commands)
app.add_typer(declaring.commands)
app.add_typer(models.commands)


@app.callback()
def _begin() -> None:
    from ml_assets.stores.telemetry import switch_off_telemetry

    switch_off_telemetry()


@app.command()
def land(
    use_case: UseCaseName,
    first: Annotated[str, typer.Option("--from", help="First drop, as YYYY-MM-DD; a past has all by default.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last drop, included.")] = "",
    history: Annotated[
        list[str] | None, typer.Option(metavar="SOURCE=FILE", help="A past in a CSV or Parquet file; repeatable.")
    ] = None,
    ahead: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE=DROPS", help="A past of plans: published so many drops before their event_at."),
    ] = None,
    early: Annotated[
        bool, typer.Option("--early", help="Rows of a past from before the first drop go into it.")
    ] = False,
) -> None:
    """Write what each batch would have received: a past, split by when it became known, or the bundled public data."""
    from datetime import UTC, datetime

    from ml_assets.cli.history import Options, run_history
    from ml_assets.cli.landing import land_bundled
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    if history:
        run_history(spec, state_paths(), Options(history, ahead or (), first, last, early), datetime.now(UTC))
        return
    if not (first and last) or ahead or early:
        raise fail("allowed: --from and --to, or --history SOURCE=FILE with --ahead and --early")
    drops = read_drops(spec, first, last)
    rows = land_bundled(spec, state_paths(), drops)
    console.print(table_of(f"landed {drops[0]} to {drops[-1]}", ["source", "rows"], list(rows.items())))
    next_steps({f"ml-assets batch {use_case} --from {drops[0]} --to {drops[-1]}": "run these drops"})


@app.command()
def batch(use_case: UseCaseName, first: From, last: To) -> None:
    """Run drops from landing to predictions and the worklist, as one range."""
    from ml_assets.cli.overview import drop_counts
    from ml_assets.cli.runs import batch_with_progress
    from ml_assets.stores.paths import state_paths

    spec, paths = read_use_case(use_case), state_paths()
    drops = read_drops(spec, first, last)
    outcome = batch_with_progress(spec, paths, drops[0], drops[-1])
    console.print(drop_counts(spec, paths, drops))
    console.print(f"[dim]run {outcome.run_id}[/]")
    next_steps(
        {
            f"ml-assets status {use_case}": "what serves, what is missing",
            f"ml-assets retrain {use_case} --as-of {drops[-1]}": "train on what has matured by then",
        }
    )


@app.command()
def retrain(
    use_case: UseCaseName,
    as_of: Annotated[
        str, typer.Option("--as-of", help="Drop to train as of; by default the newest that was run.")
    ] = "",
    rung: Annotated[str, typer.Option(help="Take this rung of the ladder, whatever the comparison says.")] = "",
    gate: Annotated[
        str,
        typer.Option(help="enabled; dry_run: measure only; disabled: promote, and record so. By default as declared."),
    ] = "as_declared",
    tune: Annotated[bool, typer.Option("--tune", help="Search for parameters first, where rungs declare it.")] = False,
    mix_features: Annotated[
        bool, typer.Option("--mix-features", help="Train also on drops that hold older versions of features.")
    ] = False,
) -> None:
    """Draw a training set, fit a candidate, and let the gate decide whether it serves the drops after."""
    from ml_assets.cli.overview import rungs_table, verdict_lines
    from ml_assets.cli.runs import print_warnings, retrain_with_progress
    from ml_assets.graph.automation import Retraining
    from ml_assets.stores.paths import state_paths

    modes = ("as_declared", "enabled", "dry_run", "disabled")
    if gate not in modes:
        raise fail(f"--gate: found {gate!r}; allowed: {', '.join(modes)}")
    spec, paths = read_use_case(use_case), state_paths()
    names = [step.name for step in spec.model.ladder]
    if rung and rung not in names:
        raise fail(f"--rung: found {rung!r}; allowed: {', '.join(names)}")
    if as_of:
        read_drops(spec, as_of, as_of, "--as-of")
    outcome = retrain_with_progress(spec, paths, Retraining(as_of, rung, gate, mix_features, tune))
    console.print(rungs_table(paths, use_case))
    for line in verdict_lines(paths, use_case):
        console.print(line, soft_wrap=True)
    print_warnings(outcome)
    console.print(f"[dim]run {outcome.run_id}[/]")
    next_steps(
        {f"ml-assets champion {use_case}": "what serves, and every verdict", "ml-assets ui": "the evidence, with plots"}
    )


@app.command()
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
    """Run history step by step, as the sensors would have: batches, decisions, retrainings and alerts."""
    from ml_assets.cli.replay import Asked, run_replay
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    drops = read_drops(spec, first, last)
    run_replay(spec, state_paths(), Asked(drops[0], drops[-1], every, schedule, as_json))


@app.command()
def status(
    use_case: Annotated[str | None, typer.Argument(help="A use case; by default all of them.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what landed, what is missing, what serves and since when, and what to do next."""
    from ml_assets.cli.overview import facts_of, show_facts
    from ml_assets.spec.declaration import DeclarationError, load_use_case
    from ml_assets.stores.paths import state_paths

    paths, names = state_paths(), [use_case] if use_case else use_case_names()
    found: list[dict[str, Any]] = []
    for name in names:
        if use_case:
            found.append(facts_of(read_use_case(name), paths))
            continue
        try:
            found.append(facts_of(load_use_case(DEFS_FOLDER / name), paths))
        except DeclarationError as error:
            found.append({"use_case": name, "broken": [str(mistake) for mistake in error.mistakes]})
    if as_json:
        print_json(found)
        return
    for facts in found:
        show_facts(facts)


@app.command()
def alerts(
    use_case: Annotated[str | None, typer.Argument(help="A use case; by default all of them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Closed incidents and every message too.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Send a test message to each URL; 1 if one fails.")] = False,
    send: Annotated[bool, typer.Option("--send", help="Send what is due, once, now.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong and since when, what was said about it, and whether that went out."""
    from datetime import UTC, datetime

    from ml_assets.cli.alerts import Asked, run_alerts
    from ml_assets.stores.paths import state_paths

    asked = Asked(everything=everything, test=test, send=send, as_json=as_json)
    if not run_alerts(state_paths(), use_case, asked, datetime.now(UTC)):
        raise typer.Exit(1)


@app.command()
def drift(
    use_case: UseCaseName,
    drop: Annotated[str, typer.Option("--drop", help="A drop; by default the newest with a report.")] = "",
    page: Annotated[bool, typer.Option("--page", help="Write Evidently's page of it: seconds, and megabytes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say which monitors of a drop alarm or come near, what that seems to mean, and what was decided."""
    from ml_assets.cli.drift import Asked, run_drift
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    asked = read_drops(spec, drop, drop, "--drop")[0] if drop else None
    run_drift(spec, state_paths(), Asked(asked, page, as_json))


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over <use case>.<table>.")], as_json: AsJson = False
) -> None:
    """Ask the lake in SQL: read-only, one SELECT, nothing but its tables in reach."""
    import duckdb

    from ml_assets.stores.paths import state_paths
    from ml_assets.stores.query import ask

    with explained_errors(), duckdb.connect() as connection:
        relation = ask(connection, state_paths(), query)
        columns, rows = relation.columns, relation.fetchall()
    if as_json:
        print_json(plain_rows(columns, rows))
        return
    console.print(table_of("", columns, rows[:200]))
    if len(rows) > 200:
        console.print(f"[dim]200 of {len(rows):,} rows; --json prints all[/]")


@app.command()
def fingerprint(
    use_case: UseCaseName,
    tables: Annotated[list[str] | None, typer.Option("--table", help="A table; by default every one.")] = None,
    last: Annotated[str, typer.Option("--to", help="Only drops up to this one, of tables that have drops.")] = "",
    as_json: AsJson = False,
) -> None:
    """Print the content hash of tables: equal for equal values, whoever computed them, when, in which order."""
    from ml_assets.cli.overview import content_hashes
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    until = read_drops(spec, last, last, "--to")[0] if last else None
    with explained_errors():
        hashes = content_hashes(spec, state_paths(), tables, until)
    if as_json:
        print_json(hashes)
    else:
        for table, found in hashes.items():
            console.print(f"{found}  {table}", highlight=False, soft_wrap=True)


@app.command()
def audit(
    use_case: UseCaseName,
    sample: Annotated[int, typer.Option(min=1, help="Examples, drawn evenly over time.")] = 300,
    seed: Annotated[int, typer.Option(help="Which examples are drawn.")] = 1,
    first: Annotated[str, typer.Option("--from", help="First drop; by default the first of all.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last drop; by default the newest that was run.")] = "",
    as_json: AsJson = False,
) -> None:
    """Recompute stored examples without the future, and look for columns that say the outcome; 1 if any is found."""
    from ml_assets.cli.audit import Options, run_audit
    from ml_assets.graph.leakage import Asked
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    begins = read_drops(spec, first, first, "--from")[0] if first else spec.calendar.start
    ends = read_drops(spec, last, last, "--to")[0] if last else date.max
    with explained_errors():
        is_clean = run_audit(spec, state_paths(), Options(Asked(sample, seed, (begins, ends)), as_json))
    if not is_clean:
        raise typer.Exit(1)


@app.command()
def rebuild(
    use_case: UseCaseName,
    version: Annotated[int, typer.Option(help="A lake version of the training set.")],
    as_json: AsJson = False,
) -> None:
    """Draw a past training set again from the versions it recorded, and compare the content hash."""
    import duckdb

    from ml_assets.graph.training_set_asset import rebuild as rebuild_training_set
    from ml_assets.stores.paths import state_paths
    from ml_assets.stores.query import lake_of

    spec = read_use_case(use_case)
    try:
        with explained_errors(), duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            recorded, again = rebuild_training_set(connection, lake_of(state_paths(), spec.name), version)
    except LookupError as error:
        raise fail(str(error)) from error
    if as_json:
        print_json({"version": version, "recorded": recorded, "rebuilt": again, "equal": recorded == again})
    else:
        console.print(f"recorded {recorded}\nrebuilt  {again}\n{'equal' if recorded == again else '[red]different[/]'}")
    if recorded != again:
        raise typer.Exit(1)


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000) -> None:
    """Open the Dagster UI and its daemon on this machine alone, on the instance the commands use."""
    from ml_assets.cli.webserver import serve
    from ml_assets.stores.paths import state_paths

    serve(state_paths(), port)


@app.command()
def demo() -> None:
    """Run three months of 2013, train a champion, replay ten weeks through the sensors, and show how they went."""
    from ml_assets.cli.demo import run_demo
    from ml_assets.stores.paths import state_paths

    run_demo(state_paths())
