"""What the tables say, for people: counts, rungs, verdicts, quality, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from rich.markup import escape
from rich.table import Table

from ml_assets.cli.console import console, next_steps, table_of
from ml_assets.decisions.reasons import spell_reason
from ml_assets.serving.routing import Promotion, champion_of
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.lake import Lake, content_hash
from ml_assets.stores.landing import landed_drops
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.query import lake_of


def rows_of(lake: Lake, table: str, query: str) -> list[tuple[Any, ...]]:
    """Run a query over one table, as `t`; no rows when it was never written."""
    import duckdb

    if not lake.has(table):
        return []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
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
    """Lay out the rungs of the newest candidate, as measured ahead of its training rows and on its holdout."""
    query = "SELECT rung, ahead_log_loss, ahead_auc, log_loss, auc, ece, CASE WHEN is_chosen THEN 'taken' END FROM t"
    rows = rows_of(lake_of(paths, use_case), "candidate_model", query)
    heads = ["rung", "log loss ahead", "AUC ahead", "log loss", "AUC", "ECE", ""]
    return table_of("rungs: ahead of the training rows, where one is chosen, and on the holdout", heads, rows)


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
    return [
        *lines,
        *(f"  {'[dim]' if each['passed'] else '[red]'}{escape(spell_reason(each))}[/]" for each in reasons),
    ]


def facts_of(spec: UseCaseSpec, paths: StatePaths) -> dict[str, Any]:
    """Gather what is known of a use case, as plain values."""
    lake = lake_of(paths, spec.name)
    landed = landed_drops(paths.landing / spec.name, spec.calendar, [source.file_name for source in spec.sources])
    ledger = rows_of(
        lake,
        "drops",
        "SELECT batch_date, source, state, list_aggregate(reasons, 'string_agg', '; ') FROM t ORDER BY 1, 2",
    )
    computed = dict(rows_of(lake, "closed_drops", "SELECT batch_date, examples FROM t ORDER BY 1"))
    run = sorted(computed)
    verdicts = rows_of(
        lake, "champion", "SELECT as_of, model_version, verdict, gate FROM t ORDER BY sequence DESC LIMIT 5"
    )
    predicted = rows_of(lake, "predictions", "SELECT min(batch_date), max(batch_date), count(*) FROM t")
    facts: dict[str, Any] = {
        "use_case": spec.name,
        "description": spec.description,
        "landed": _span(landed),
        "run": _span(run),
        "landed_not_run": [drop for drop in landed if drop not in computed],
        "missing": [f"{row[1]} of {row[0]}" for row in ledger if row[2] == "missing"],
        "missing_accepted": [f"{row[1]} of {row[0]}" for row in ledger if row[2] == "missing_accepted"],
        "refused": [f"{row[1]} of {row[0]}: {row[3]}" for row in ledger if row[2] == "refused"],
        "champion": _champion(spec, lake),
        "not_scored_by_champion": _not_scored_by_champion(lake, [drop for drop in run if computed[drop]]),
        "verdicts": [dict(zip(("as_of", "model_version", "verdict", "gate"), row, strict=True)) for row in verdicts],
        "predictions": None,
        "decision": _newest_decision(lake),
        "incidents": [
            {"monitor": each.monitor, "kind": each.kind, "since": each.opened_at, "message": each.message}
            for each in AlertOutbox(paths).incidents(spec.name, open_only=True)
        ],
    }
    if predicted and predicted[0][2]:
        facts["predictions"] = dict(zip(("first", "last", "rows"), predicted[0], strict=True))
    facts["next"] = _next(spec, facts, landed, run)
    return facts


def _newest_decision(lake: Lake) -> dict[str, Any] | None:
    rows = rows_of(
        lake, "decisions", "SELECT batch_date, action, reason, would_change FROM t ORDER BY batch_date DESC LIMIT 1"
    )
    return dict(zip(("drop", "action", "reason", "would_change"), rows[0], strict=True)) if rows else None


def _champion(spec: UseCaseSpec, lake: Lake) -> dict[str, Any] | None:
    promotions = rows_of(
        lake,
        "champion",
        "SELECT serves_after, model_version, gate, candidate_log_loss, candidate_auc FROM t "
        "WHERE verdict = 'promoted' ORDER BY serves_after DESC, sequence DESC LIMIT 1",
    )
    if not promotions:
        return None
    after, version, gate, log_loss, auc = promotions[0]
    return {"model_version": version, "as_of": after, "serves_from": spec.calendar.next_drop(after), "gate": gate,
            "log_loss": log_loss, "auc": auc}  # fmt: skip


def _not_scored_by_champion(lake: Lake, drops: Sequence[date]) -> list[date]:
    """List the drops with examples whose predictions are not by the champion that serves them now."""
    rows = rows_of(
        lake,
        "champion",
        "SELECT as_of, sequence, model_version, artifact_sha256, serves_after FROM t WHERE verdict = 'promoted'",
    )
    promotions = [Promotion(*row) for row in rows]
    scored = dict(rows_of(lake, "predictions", "SELECT batch_date, max(model_version) FROM t GROUP BY batch_date"))
    serving = {drop: champion_of(drop, promotions) for drop in drops}
    return [drop for drop, champion in serving.items() if champion and scored.get(drop) != champion.model_version]


def _span(drops: Sequence[date]) -> dict[str, Any] | None:
    return {"first": drops[0], "last": drops[-1], "drops": len(drops)} if drops else None


def _stretch(spec: UseCaseSpec, drops: Sequence[date]) -> tuple[date, date]:
    """Give the first run of drops without a hole between them."""
    last = drops[0]
    while spec.calendar.next_drop(last) in drops:
        last = spec.calendar.next_drop(last)
    return drops[0], last


def _next(spec: UseCaseSpec, facts: dict[str, Any], landed: Sequence[date], run: Sequence[date]) -> dict[str, str]:
    name = spec.name
    if not landed:
        start = spec.calendar.start
        return {f"ml-assets land {name} --from {start} --to {start}": "nothing has landed yet"}
    if facts["missing"]:
        first = facts["missing"][0].rpartition(" ")[2]
        return {f"ml-assets batch {name} --from {first} --to {landed[-1]}": "when what is missing has landed"}
    if facts["landed_not_run"]:
        first, last = _stretch(spec, facts["landed_not_run"])
        return {f"ml-assets batch {name} --from {first} --to {last}": "drops that landed and were not run"}
    if facts["champion"] is None:
        return {f"ml-assets retrain {name} --as-of {run[-1]}": "no champion serves yet"}
    return _next_with_champion(spec, facts, landed[-1])


def _next_with_champion(spec: UseCaseSpec, facts: dict[str, Any], landed: date) -> dict[str, str]:
    name = spec.name
    if facts["not_scored_by_champion"]:
        first, last = _stretch(spec, facts["not_scored_by_champion"])
        return {
            f"ml-assets batch {name} --from {first} --to {last}": "drops not scored by the champion that serves them"
        }
    following = spec.calendar.next_drop(landed)
    if spec.calendar.is_drop(following):
        return {f"ml-assets batch {name} --from {following} --to {following}": f"when drop {following} has landed"}
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
            listed = escape("; ".join(facts[name][:3]))
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
    _show_predictions(facts)
    _show_watch(facts)
    for verdict in facts["verdicts"]:
        console.print(f"  [dim]verdict      {verdict['as_of']} {verdict['model_version']}: {verdict['verdict']}[/]",
                      highlight=False, soft_wrap=True)  # fmt: skip
    next_steps(facts["next"])


def _show_predictions(facts: dict[str, Any]) -> None:
    """Print what is scored, and what is not by the champion that serves it now."""
    stale = facts["not_scored_by_champion"]
    if stale:
        console.print(
            f"  [yellow]not scored[/]   {len(stale)} drops are not scored by the champion that serves them now"
        )
    if facts["predictions"]:
        span = facts["predictions"]
        console.print(f"  predictions  {span['first']} to {span['last']}, {span['rows']:,} rows", highlight=False)


def _show_watch(facts: dict[str, Any]) -> None:
    """Print the newest decision and the open incidents."""
    decision = facts["decision"]
    if decision is not None:
        said = escape(f"{decision['drop']}: {decision['action']}: {decision['reason']}")
        console.print(f"  decision     {said}", highlight=False, soft_wrap=True)
    for incident in facts["incidents"][:3]:
        console.print(f"  [red]incident[/]     since {incident['since'][:10]}: {escape(incident['message'])}",
                      highlight=False, soft_wrap=True)  # fmt: skip
    if len(facts["incidents"]) > 3:
        console.print(
            f"  [red]incident[/]     and {len(facts['incidents']) - 3} more: ml-assets alerts {facts['use_case']}"
        )


def content_hashes(
    spec: UseCaseSpec, paths: StatePaths, tables: list[str] | None, until: date | None
) -> dict[str, str]:
    """Give the content hash of tables, of their drops up to `until` where one is given."""
    import duckdb

    lake = lake_of(paths, spec.name)
    hashes = {}
    for table in tables or lake.tables():
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            files = lake.files(table)
            drops = (spec.calendar.start, until) if until and files.is_partitioned else None
            relation = lake.relation(connection, table, drops)
            if until and not files.is_partitioned and "as_of" in relation.columns:
                relation = relation.filter(f"as_of <= DATE '{until}'")
            hashes[table] = content_hash(relation)
    return hashes
