"""Commands that run drops and tell how things stand."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_assets.cli.console import (
    console,
    explained_errors,
    fail,
    next_steps,
    plain_rows,
    print_json,
    read_drops,
    read_use_case,
    state_of,
)
from ml_assets.cli.options import AsJson, From, To, UseCaseName
from ml_assets.cli.tables import print_rows, print_table
from ml_assets.spec.drop import LATEST

commands = typer.Typer()


@commands.command()
def land(
    use_case: UseCaseName,
    first: Annotated[
        str, typer.Option("--from", help="First drop, as YYYY-MM-DD; with --history, by default the first of all.")
    ] = "",
    last: Annotated[str, typer.Option("--to", help="Last drop, included.")] = "",
    history: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE=FILE", help="The past of a source, in a CSV or Parquet file; repeatable."),
    ] = None,
    ahead: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE=DROPS", help="A source of plans: its rows land this many drops before their event_at."
        ),
    ] = None,
    early: Annotated[
        bool, typer.Option("--early", help="Land rows known before the first drop in the first drop.")
    ] = False,
) -> None:
    """Write the files that each drop would have received.

    They come from a past, split by when each row became known (--history), or from the bundled public data.
    """
    from datetime import UTC, datetime

    from ml_assets.cli.operate.history import HistoryOptions, run_history
    from ml_assets.cli.operate.landing import land_bundled
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    if history:
        run_history(spec, state_paths(), HistoryOptions(history, ahead or (), first, last, early), datetime.now(UTC))
        return
    if not (first and last) or ahead or early:
        raise fail("allowed: --from and --to, or --history SOURCE=FILE with --ahead and --early")
    drops = read_drops(spec, first, last)
    rows = land_bundled(spec, state_paths(), drops)
    print_table(f"landed {drops[0]} to {drops[-1]}", ["source", "rows"], list(rows.items()))
    next_steps({f"ml-assets batch {use_case} --from {drops[0]} --to {drops[-1]}": "run these drops"})


@commands.command()
def batch(
    use_case: UseCaseName,
    first: From,
    last: To,
    step: Annotated[
        int | None,
        typer.Option(min=1, help="Drops per run; a longer range is several runs. By default 100, or a month."),
    ] = None,
) -> None:
    """Run drops: from landed files to predictions and worklist.

    Up to 100 drops are one run, or those of 31 days where a day has several. Of a longer range each run ends before
    the next begins, so that memory does not grow with the range and what was run stays when a later run fails.
    """
    from ml_assets.cli.operate.runs import batch_with_progress, drops_a_run
    from ml_assets.cli.operate.status import show_drop_counts, show_refused_examples
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    drops = read_drops(spec, first, last)
    outcome = batch_with_progress(spec, state_paths(), drops, step or drops_a_run(spec.calendar))
    show_drop_counts(state_of(spec).pinned(), drops[0], drops[-1])
    show_refused_examples(state_of(spec).pinned(), drops[0], drops[-1])
    console.print(f"[dim]run {outcome.run_id}[/]")
    next_steps(
        {
            f"ml-assets status {use_case}": "what serves, what is missing",
            f"ml-assets retrain {use_case} --as-of {drops[-1]}": "train on what has matured by then",
        }
    )


@commands.command()
def status(
    use_case: Annotated[str | None, typer.Argument(help="A use case; by default all of them.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what landed, what is missing, what serves, what next."""
    from ml_assets.cli.operate.status import gather_facts, show_facts

    found = gather_facts(use_case)
    if as_json:
        print_json(found)
    for facts in () if as_json else found:
        show_facts(facts)
    if any("unreadable" in facts for facts in found):
        raise typer.Exit(1)


@commands.command()
def alerts(
    use_case: Annotated[str | None, typer.Argument(help="A use case; by default all of them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show closed incidents and every message too.")] = False,
    test: Annotated[
        bool, typer.Option("--test", help="Send a test message to each URL; ends with 1 if one fails.")
    ] = False,
    send: Annotated[bool, typer.Option("--send", help="Send the messages that are due, once, now.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show open incidents and whether their messages were sent."""
    from datetime import UTC, datetime

    from ml_assets.cli.operate.alerts import AlertOptions, run_alerts
    from ml_assets.stores.paths import state_paths

    asked = AlertOptions(everything=everything, test=test, send=send, as_json=as_json)
    if not run_alerts(state_paths(), use_case, asked, datetime.now(UTC)):
        raise typer.Exit(1)


@commands.command()
def drift(
    use_case: UseCaseName,
    drop: Annotated[str, typer.Option("--drop", help="A drop; by default the newest with a report.")] = "",
    page: Annotated[bool, typer.Option("--page", help="Write Evidently's page: takes seconds, and megabytes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show which monitors of a drop alarm or come near.

    Also how its champion performs, what that seems to mean, and what was decided.
    """
    from ml_assets.cli.operate.drift import DriftOptions, run_drift

    spec = read_use_case(use_case)
    asked = read_drops(spec, drop, drop, "--drop")[0] if drop else None
    with explained_errors():
        run_drift(spec, state_of(spec).pinned(), DriftOptions(asked, page, as_json))


@commands.command()
def performance(
    use_case: UseCaseName,
    first: Annotated[
        str, typer.Option("--from", help="First drop; weeks are counted from it. By default the first of all.")
    ] = "",
    last: Annotated[
        str, typer.Option("--to", help="As it was known in this drop; by default the newest that was run.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show quality by week, against baseline and first champion.

    Log loss and AUC of the champion, of the first champion had it never been retrained, and of the baseline, by week
    of prediction; promotions, refusals, fallbacks and incidents; and how the champion did in the last matured window.
    """
    from ml_assets.cli.operate.performance import PerformanceOptions, run_performance

    spec = read_use_case(use_case)
    begins = read_drops(spec, first, first, "--from")[0] if first else None
    ends = read_drops(spec, last, last, "--to")[0] if last else None
    if begins and ends and begins > ends:
        raise fail(f"--from {begins} is after --to {ends}")
    try:
        with explained_errors():
            run_performance(spec, state_of(spec).pinned(), PerformanceOptions(begins, ends, as_json))
    except ValueError as error:
        raise fail(str(error)) from error


@commands.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over <use case>.<table>.")], as_json: AsJson = False
) -> None:
    """Query the tables in SQL, read-only.

    One SELECT; nothing but the tables of use cases is in reach. `ml-assets tables` lists them with their columns.
    """
    from ml_assets.stores.engine import open_database
    from ml_assets.stores.paths import state_paths
    from ml_assets.stores.query import ask

    with explained_errors(), open_database() as connection:
        relation = ask(connection, state_paths(), query)
        columns, rows = relation.columns, relation.fetchall()
    if as_json:
        print_json(plain_rows(columns, rows))
        return
    print_rows(columns, rows[:200])
    if len(rows) > 200:
        console.print(f"[dim]200 of {len(rows):,} rows; --json prints all[/]")


@commands.command()
def tables(
    use_case: UseCaseName,
    name: Annotated[str | None, typer.Argument(help="A table, to see its columns; by default all, in short.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="All tables as a page, as declared.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the tables of a use case, or the columns of one."""
    from dataclasses import asdict

    from ml_assets.reports.tables_page import tables_page
    from ml_assets.spec.tables import declared_lake_tables
    from ml_assets.spec.use_case import did_you_mean

    spec = read_use_case(use_case)
    found = declared_lake_tables(spec)
    if name is not None and name not in found:
        raise fail(f"{use_case} has no table {name!r}; allowed: {', '.join(found)}{did_you_mean(name, list(found))}")
    if markdown:
        typer.echo(tables_page(spec), nl=False)
    elif as_json:
        print_json([asdict(table) for table in found.values() if name in {None, table.name}])
    elif name is not None:
        console.print(f"{use_case}.{name}: {found[name].grain}", highlight=False, soft_wrap=True)
        print_rows(["column", "type", "meaning"], [[c.name, c.type, c.description] for c in found[name].columns])
    else:
        print_rows(["table", "asset", "grain"], [[table.name, table.asset, table.grain] for table in found.values()])
        next_steps({f"ml-assets tables {use_case} decisions": "the columns of one table"})


@commands.command()
def fingerprint(
    use_case: UseCaseName,
    tables: Annotated[list[str] | None, typer.Option("--table", help="A table; by default every one.")] = None,
    last: Annotated[str, typer.Option("--to", help="Only drops up to this one, of tables that have drops.")] = "",
    as_json: AsJson = False,
) -> None:
    """Print the content hash of tables.

    Equal values give equal hashes, whoever computed them, when, and in which order.
    """
    from ml_assets.pipeline.monitoring.status import content_hashes

    spec = read_use_case(use_case)
    until = read_drops(spec, last, last, "--to")[0] if last else None
    with explained_errors():
        hashes = content_hashes(spec, state_of(spec).pinned(), tables, until)
    if as_json:
        print_json(hashes)
    else:
        for table, found in hashes.items():
            console.print(f"{found}  {table}", highlight=False, soft_wrap=True)


@commands.command()
def doctor(
    use_case: UseCaseName,
    repair: Annotated[
        bool, typer.Option("--repair", help="First remove what killed processes left, and end their runs.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look over disk, databases, tables, models, messages.

    Ends with 1 if something is wrong, and says what to do about it.
    """
    from ml_assets.cli.operate.doctor import run_doctor

    spec = read_use_case(use_case)
    if not run_doctor(state_of(spec), is_repair=repair, as_json=as_json):
        raise typer.Exit(1)


@commands.command()
def housekeep(
    use_case: UseCaseName,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and remove nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what `retention` of the declaration keeps no longer.

    Old versions of tables, models that were never promoted and their runs in MLflow, pages, logs of runs, what killed
    processes left of SQL. The daemon does it once a day.
    """
    from datetime import UTC, datetime

    from ml_assets.cli.operate.housekeeping import run_housekeeping

    spec = read_use_case(use_case)
    with explained_errors():
        run_housekeeping(spec, state_of(spec), datetime.now(UTC), is_dry_run=dry_run, as_json=as_json)


@commands.command()
def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name by which a proxy of yours is asked for this UI; repeatable."),
    ] = None,
) -> None:
    """Open the Dagster UI and its daemon, on this machine only.

    They use the same instance as the commands. The printed address holds a token; $ML_ASSETS_UI_TOKEN sets it.
    """
    from ml_assets.cli.operate.webserver import serve
    from ml_assets.stores.paths import state_paths

    serve(state_paths(), port, allow_host or ())


@commands.command()
def backfill(
    use_case: UseCaseName,
    features: Annotated[bool, typer.Option("--features", help="Compute features; the only choice so far.")],
    first: Annotated[str, typer.Option("--from", help="First drop; by default the first of all.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last drop; by default the newest that was run.")] = "",
    step: Annotated[int, typer.Option(min=1, help="Drops per run; what was done is not done again.")] = 31,
) -> None:
    """Compute new and changed features of earlier drops.

    What was predicted stays as it was.
    """
    from ml_assets.cli.operate.backfill import BackfillOptions, run_backfill

    if not features:
        raise fail("--no-features: found; allowed: --features")
    spec = read_use_case(use_case)
    begins = read_drops(spec, first, first, "--from")[0] if first else spec.calendar.first_drop
    ends = read_drops(spec, last, last, "--to")[0] if last else LATEST
    run_backfill(spec, state_of(spec), BackfillOptions(begins, ends, step))


@commands.command()
def requeue(
    use_case: UseCaseName,
    source: Annotated[str, typer.Option("--source", help="The source of the rows.")],
    reason: Annotated[list[str] | None, typer.Option("--reason", help="A reason code; by default every one.")] = None,
    first: Annotated[str, typer.Option("--from", help="First drop; by default the first of all.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last drop; by default the newest that was run.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show which rows, and write nothing.")] = False,
) -> None:
    """Land quarantined rows again, after their contract changed.

    The next drop receives them as corrections.
    """
    from ml_assets.cli.operate.corrections import run_requeue
    from ml_assets.pipeline.ingestion.corrections import RequeueRequest

    spec = read_use_case(use_case)
    begins = read_drops(spec, first, first, "--from")[0] if first else spec.calendar.first_drop
    ends = read_drops(spec, last, last, "--to")[0] if last else LATEST
    request = RequeueRequest(source, tuple(reason or ()), begins, ends)
    run_requeue(spec, state_of(spec), request, is_dry_run=dry_run)


@commands.command(name="accept-missing")
def accept_missing(
    use_case: UseCaseName,
    source: Annotated[str, typer.Option("--source", help="The source that will not come.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it is right to go on without it.")],
    drop: Annotated[
        list[str] | None, typer.Option("--drop", help="A drop that waits or is refused; repeatable.")
    ] = None,
    first: Annotated[str, typer.Option("--from", help="The first of a range of drops that wait.")] = "",
    last: Annotated[str, typer.Option("--to", help="The last of the range, included.")] = "",
) -> None:
    """Go on without a source that will not come.

    A drop that waits for it can run. An incident about a refused drop closes: no better file will come.
    """
    from datetime import UTC, datetime

    from ml_assets.cli.operate.corrections import run_accept
    from ml_assets.pipeline.ingestion.corrections import AcceptedGap

    spec = read_use_case(use_case)
    if bool(drop) == bool(first or last) or bool(first) != bool(last):
        raise fail("allowed: --drop D, as often as needed, or --from D --to D")
    days = {day for each in drop or () for day in read_drops(spec, each, each, "--drop")}
    days |= set(read_drops(spec, first, last)) if first else set()
    run_accept(spec, state_of(spec), AcceptedGap(source, sorted(days), reason), datetime.now(UTC))
