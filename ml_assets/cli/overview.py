"""What the tables say, for people: counts, rungs, verdicts, quality, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from rich.table import Table

from ml_assets.cli.terminal import console, next_steps, table_of
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import PARTITION, Lake, content_hash
from ml_assets.stores.landing import landed_drops
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.query import lake_of


def rows_of(lake: Lake, table: str, query: str) -> list[tuple[Any, ...]]:
    """Run a query over one table, as `t`; no rows when it was never written."""
    import duckdb

    if not lake.has(table):
        return []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        lake.relation(connection, table).create_view("t")
        return connection.sql(query).fetchall()


def drop_counts(spec: UseCaseSpec, paths: StatePaths, drops: Sequence[date]) -> Table:
    """Lay out what became of the rows of each source in a range of drops."""
    lake, bounds = lake_of(paths, spec.name), f"batch_date BETWEEN '{drops[0]}' AND '{drops[-1]}'"
    rows = rows_of(
        lake,
        "drops",
        "SELECT source, count(*) FILTER (state = 'admitted'), count(*) FILTER (state = 'refused'), count(*) FILTER "
        "(state IN ('missing', 'missing_accepted')), sum(landed)::BIGINT, sum(validated)::BIGINT, "
        "sum(quarantined)::BIGINT "
        f"FROM t WHERE {bounds} GROUP BY source ORDER BY source",
    )
    columns = ["source", "admitted", "refused", "missing", "rows landed", "validated", "quarantined"]
    return table_of(f"drops {drops[0]} to {drops[-1]}", columns, rows)


def rungs_table(paths: StatePaths, use_case: str) -> Table:
    """Lay out the rungs of the newest candidate, as measured on its holdout."""
    query = "SELECT rung, log_loss, auc, ece, n::BIGINT, CASE WHEN is_chosen THEN 'taken' END FROM t"
    rows = rows_of(lake_of(paths, use_case), "candidate_model", query)
    return table_of("rungs on the holdout", ["rung", "log loss", "AUC", "ECE", "examples", ""], rows)


def verdict_lines(paths: StatePaths, use_case: str) -> list[str]:
    """Say the newest verdict, and each rule it rests on."""
    query = "SELECT verdict, gate, model_version, champion_before, reasons FROM t"
    rows = rows_of(lake_of(paths, use_case), "evaluation", query)
    if not rows:
        return []
    verdict, gate, version, before, reasons = rows[0]
    colour = "green" if verdict == "promoted" else "yellow"
    against = f"against {before}" if before else "no champion before it"
    lines = [f"[bold {colour}]{verdict}[/] {version} (gate {gate}, {against})"]
    return [*lines, *(f"  {'[red]' if reason.startswith('broken') else '[dim]'}{reason}[/]" for reason in reasons)]


def facts_of(spec: UseCaseSpec, paths: StatePaths) -> dict[str, Any]:
    """Gather what is known of a use case, as plain values."""
    lake = lake_of(paths, spec.name)
    landed = landed_drops(paths.landing / spec.name)
    ledger = rows_of(
        lake,
        "drops",
        "SELECT batch_date, source, state, list_aggregate(reasons, 'string_agg', '; ') FROM t ORDER BY 1, 2",
    )
    run = sorted({row[0] for row in ledger})
    promotions = rows_of(
        lake,
        "champion",
        "SELECT as_of, model_version, gate, candidate_log_loss, candidate_auc FROM t WHERE verdict = 'promoted' "
        "ORDER BY as_of DESC, sequence DESC LIMIT 1",
    )
    verdicts = rows_of(
        lake, "champion", "SELECT as_of, model_version, verdict, gate FROM t ORDER BY sequence DESC LIMIT 5"
    )
    predicted = rows_of(lake, "predictions", "SELECT min(batch_date), max(batch_date), count(*) FROM t")
    not_run = [drop for drop in landed if drop not in set(run)]
    facts: dict[str, Any] = {
        "use_case": spec.name,
        "description": spec.description,
        "landed": _span(landed),
        "run": _span(run),
        "landed_not_run": [str(drop) for drop in not_run],
        "missing": [f"{row[1]} of {row[0]}" for row in ledger if row[2] == "missing"],
        "missing_accepted": [f"{row[1]} of {row[0]}" for row in ledger if row[2] == "missing_accepted"],
        "refused": [f"{row[1]} of {row[0]}: {row[3]}" for row in ledger if row[2] == "refused"],
        "champion": None,
        "verdicts": [dict(zip(("as_of", "model_version", "verdict", "gate"), row, strict=True)) for row in verdicts],
        "predictions": None,
    }
    if promotions:
        as_of, version, gate, log_loss, auc = promotions[0]
        since = spec.calendar.next_drop(as_of)
        facts["champion"] = {"model_version": version, "as_of": as_of, "serves_from": since, "gate": gate,
                             "log_loss": log_loss, "auc": auc}  # fmt: skip
    if predicted and predicted[0][2]:
        facts["predictions"] = dict(zip(("first", "last", "rows"), predicted[0], strict=True))
    facts["next"] = _next(spec, facts, landed, run)
    return facts


def _span(drops: Sequence[date]) -> dict[str, Any] | None:
    return {"first": drops[0], "last": drops[-1], "drops": len(drops)} if drops else None


def _next(spec: UseCaseSpec, facts: dict[str, Any], landed: Sequence[date], run: Sequence[date]) -> dict[str, str]:
    name = spec.name
    if not landed:
        start = spec.calendar.start
        return {f"ml-assets land {name} --from {start} --to {start}": "nothing has landed yet"}
    if facts["landed_not_run"]:
        first, last = facts["landed_not_run"][0], facts["landed_not_run"][-1]
        return {f"ml-assets batch {name} --from {first} --to {last}": "drops that landed and were not run"}
    if facts["missing"]:
        first = facts["missing"][0].rpartition(" ")[2]
        return {f"ml-assets batch {name} --from {first} --to {run[-1]}": "when what is missing has landed"}
    if facts["champion"] is None:
        return {f"ml-assets retrain {name} --as-of {run[-1]}": "no champion serves yet"}
    return _next_with_champion(spec, facts, landed[-1], run[-1])


def _next_with_champion(spec: UseCaseSpec, facts: dict[str, Any], landed: date, run: date) -> dict[str, str]:
    since, following = facts["champion"]["serves_from"], spec.calendar.next_drop(landed)
    if facts["predictions"] is None and since <= run:
        return {f"ml-assets batch {spec.name} --from {since} --to {run}": "score the drops the champion serves"}
    if spec.calendar.is_drop(following):
        return {f"ml-assets batch {spec.name} --from {following} --to {following}": f"when drop {following} has landed"}
    return {"ml-assets ui": "the calendar has ended; look at what it left"}


def show_facts(facts: dict[str, Any]) -> None:
    """Print the facts of one use case."""
    console.print(f"\n[bold]{facts['use_case']}[/]")
    if "broken" in facts:
        console.print(f"[bold red]broken declaration[/], {len(facts['broken'])} mistakes; nothing of it runs")
        for mistake in facts["broken"]:
            console.print(f"  {mistake}", markup=False, soft_wrap=True)
        return
    for name in ("landed", "run"):
        span = facts[name]
        said = f"{span['first']} to {span['last']}, {span['drops']} drops" if span else "nothing yet"
        console.print(f"  {name:<12} {said}", highlight=False)
    for name, colour in (("missing", "red"), ("refused", "yellow"), ("missing_accepted", "dim")):
        if facts[name]:
            more = f" and {len(facts[name]) - 3} more" if len(facts[name]) > 3 else ""
            listed = "; ".join(facts[name][:3])
            console.print(
                f"  [{colour}]{name.replace('_', ' '):<12}[/] {listed}{more}", highlight=False, soft_wrap=True
            )
    champion = facts["champion"]
    if champion is None:
        console.print("  champion     none yet: drops have no predictions", highlight=False)
    else:
        console.print(
            f"  champion     {champion['model_version']}, serves from {champion['serves_from']} "
            f"(gate {champion['gate']}; log loss {champion['log_loss']:.4f}, AUC {champion['auc']:.4f} on its window)",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
    if facts["predictions"]:
        span = facts["predictions"]
        console.print(f"  predictions  {span['first']} to {span['last']}, {span['rows']:,} rows", highlight=False)
    for verdict in facts["verdicts"]:
        console.print(f"  [dim]verdict      {verdict['as_of']} {verdict['model_version']}: {verdict['verdict']}[/]",
                      highlight=False, soft_wrap=True)  # fmt: skip
    next_steps(facts["next"])


def content_hashes(
    spec: UseCaseSpec, paths: StatePaths, tables: list[str] | None, until: date | None
) -> dict[str, str]:
    """Give the content hash of tables, of their drops up to `until` where one is given."""
    import duckdb

    lake = lake_of(paths, spec.name)
    hashes = {}
    for table in tables or lake.tables():
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            files = lake.files(table)
            drops = (spec.calendar.start, until) if until and files.is_partitioned else None
            relation = lake.relation(connection, table, drops)
            if until and not files.is_partitioned and "as_of" in relation.columns:
                relation = relation.filter(f"as_of <= DATE '{until}'")
            hashes[table] = content_hash(relation)
    return hashes


__all__ = [
    "PARTITION",
    "content_hashes",
    "drop_counts",
    "facts_of",
    "rows_of",
    "rungs_table",
    "show_facts",
    "verdict_lines",
]
