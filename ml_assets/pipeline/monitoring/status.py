"""How a use case stands: what landed, what was run, what serves, what is wrong, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ml_assets.pipeline.champion.decisions import record_of
from ml_assets.pipeline.champion.record import FALLBACK, damage_of, newest_champion, promotions_in
from ml_assets.pipeline.monitoring.incident_judgements import open_for_people, plain_usefulness, usefulness
from ml_assets.pipeline.monitoring.serving_quality import newest_verdict_by, serving_fallback
from ml_assets.pipeline.runs.first_runs import ways_to_begin
from ml_assets.serving.routing import champion_of
from ml_assets.spec.drop import DropKey, key_sql
from ml_assets.spec.received import FILE_NOTE
from ml_assets.spec.tables.features import CLOSED_DROPS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.landing import landed_drops
from ml_assets.stores.rows import read_rows
from ml_assets.stores.table_files import content_hash
from ml_assets.stores.unread_files import find_unmarked, find_unread
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.stores.write_lock import is_locked

_SHOWN_VERDICTS = 5
_SEVERITIES = ("error", "warning", "info")
_DROP_COUNTS = (
    "SELECT source, count(*) FILTER (state = 'admitted') AS admitted, count(*) FILTER (state = 'refused') AS refused, "
    "count(*) FILTER (state IN ('missing', 'missing_accepted')) AS missing, sum(landed)::BIGINT AS landed, "
    "sum(validated)::BIGINT AS validated, sum(quarantined)::BIGINT AS quarantined "
    "FROM t GROUP BY source ORDER BY source"
)
_NOTED = 20  # notes about files, the newest
_REFUSED_EXAMPLES = "SELECT reason, count(*) AS n FROM t GROUP BY 1 ORDER BY n DESC, 1"
_SCORED_BY = "SELECT batch_date, max(model_version) AS model_version, count(*) AS n FROM t GROUP BY 1 ORDER BY 1"


def query_table(
    state: UseCaseState, table: str, query: str, drops: tuple[DropKey, DropKey] | None = None
) -> list[dict[str, Any]]:
    """Run a query over one table, as `t`; no rows where it was never written."""
    if not state.lake.has(table):
        return []
    with state.connect() as connection:
        state.lake.relation(connection, table, drops).create_view("t")
        return connection.sql(query).to_arrow_table().to_pylist()


def count_drops(state: UseCaseState, first: DropKey, last: DropKey) -> list[dict[str, Any]]:
    """Count what became of the drops and rows of each source in a range of drops."""
    return query_table(state, "drops", _DROP_COUNTS, (first, last))


def newest_verdict(state: UseCaseState) -> dict[str, Any] | None:
    """Give the newest verdict of the gate with its reasons; None before the first."""
    columns = ["as_of", "verdict", "gate", "model_version", "champion_before", "reasons"]
    return next(iter(read_rows(state.lake, "evaluation", columns)), None)


def facts_of(spec: UseCaseSpec, state: UseCaseState) -> dict[str, Any]:
    """Gather what is known of a use case, as plain values.

    `quality` is the newest row of `performance_verdicts`; `fallback` what serves in the place of a failed champion, and
    `failure` why the champion of the newest drop has failed, each null where that is not so. `unfinished` is the run
    that ended without a commit, if there is one. `next` maps the commands that follow to what they are for.
    """
    lake = state.lake
    files = [source.expected_file for source in spec.sources]
    landed = landed_drops(state.landing, spec.calendar, files)
    ledger = read_rows(lake, "drops", None)
    ledger.sort(key=lambda row: (row["batch_date"], row["source"]))
    computed = {
        row["batch_date"]: row["examples"] for row in read_rows(lake, CLOSED_DROPS.name, ["batch_date", "examples"])
    }
    run = sorted(computed)
    verdicts = record_of(state)[::-1]
    scored = query_table(state, "predictions", _SCORED_BY)
    incidents = open_for_people(AlertOutbox(state.paths), spec.name)
    facts: dict[str, Any] = {
        "use_case": spec.name,
        "task": spec.task,
        "description": spec.description,
        "landed": _span(landed),
        "run": _span(run),
        "unfinished": None if is_locked(state.paths.locks, spec.name) else lake.unfinished_run() or None,
        "landed_not_run": [drop for drop in landed if drop not in computed],
        "missing": _named(ledger, "missing"),
        "missing_accepted": _named(ledger, "missing_accepted"),
        "refused": [
            f"{row['source']} of {row['batch_date']}: {'; '.join(row['reasons'] or [])}"
            for row in ledger if row["state"] == "refused"
        ],
        "unmarked": find_unmarked(state.landing, spec.calendar, files),
        "unread": [str(entry) for entry in find_unread(state.landing, spec.calendar, files)],
        "noted": _noted(ledger),
        "examples_refused": refused_examples(state),
        "champion": _champion(spec, state, verdicts),
        "not_scored_by_champion": _not_scored_by_champion(verdicts, scored, [drop for drop in run if computed[drop]]),
        "verdicts": [
            {name: row[name] for name in ("as_of", "model_version", "verdict", "gate")}
            for row in [each for each in verdicts if each["decided_by"] != FALLBACK][:_SHOWN_VERDICTS]
        ],
        "predictions": _predictions(scored),
        "quality": newest_verdict_by(lake),
        "fallback": serving_fallback(spec, record_of(state)),
        "failure": _failure(state),
        "decision": _newest_decision(state),
        "incidents": [
            {"monitor": each.monitor, "kind": each.kind, "since": each.since, "severity": each.severity,
             "message": each.message}
            for each in sorted(incidents, key=lambda each: (_SEVERITIES.index(each.severity), each.since))
        ],
        "alerts": plain_usefulness(usefulness(state.paths, spec.name)),
    }  # fmt: skip
    facts["next"] = _next(spec, facts, landed, run)
    return facts


def _named(ledger: Sequence[dict[str, Any]], drop_state: str) -> list[str]:
    return [f"{row['source']} of {row['batch_date']}" for row in ledger if row["state"] == drop_state]


def _noted(ledger: Sequence[dict[str, Any]]) -> list[str]:
    """Give what is odd about files that were read, of the newest drops."""
    notes = [
        f"{row['source']} of {row['batch_date']}: {note.removeprefix(FILE_NOTE)}"
        for row in ledger for note in row.get("notes") or [] if note.startswith(FILE_NOTE)
    ]  # fmt: skip
    return notes[-_NOTED:]


def refused_examples(state: UseCaseState, drops: tuple[DropKey, DropKey] | None = None) -> dict[str, int]:
    """Count the rows that made no example, by reason, the most frequent first."""
    rows = query_table(state, "quarantine_examples", _REFUSED_EXAMPLES, drops)
    return {row["reason"]: row["n"] for row in rows}


def _predictions(scored: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    if not scored:
        return None
    rows = sum(row["n"] for row in scored)
    return {"first": scored[0]["batch_date"], "last": scored[-1]["batch_date"], "rows": rows}


def _newest_decision(state: UseCaseState) -> dict[str, Any] | None:
    columns = ["batch_date AS drop", "action", "reason", "would_change"]
    return max(read_rows(state.lake, "decisions", columns), key=lambda row: row["drop"], default=None)


def _failure(state: UseCaseState) -> str | None:
    """Say why the champion of the newest drop has failed; None where it has not, or the fallback serves already."""
    decided = read_rows(state.lake, "decisions", None)
    return max(decided, key=lambda row: row["batch_date"]).get("failure") if decided else None


def _champion(spec: UseCaseSpec, state: UseCaseState, verdicts: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    newest = newest_champion(verdicts)
    if newest is None:
        return None
    after, task = newest["serves_after"], task_of(spec.task)
    return {
        "model_version": newest["model_version"], "as_of": after, "serves_from": spec.calendar.next_drop(after),
        "gate": newest["gate"],
        **{each.name: newest[f"candidate_{each.name}"] for each in (task.loss_metric, task.headline)},
        "damage": damage_of(state.models, newest),
    }  # fmt: skip


def _not_scored_by_champion(
    verdicts: Sequence[dict[str, Any]], scored: Sequence[dict[str, Any]], drops: Sequence[DropKey]
) -> list[DropKey]:
    """List the drops with examples whose predictions are not by the champion that serves them now."""
    promotions = promotions_in(verdicts)
    scored_by = {row["batch_date"]: row["model_version"] for row in scored}
    serving = {drop: champion_of(drop, promotions) for drop in drops}
    return [drop for drop, champion in serving.items() if champion and scored_by.get(drop) != champion.model_version]


def _span(drops: Sequence[DropKey]) -> dict[str, Any] | None:
    return {"first": drops[0], "last": drops[-1], "drops": len(drops)} if drops else None


def _first_range(spec: UseCaseSpec, drops: Sequence[DropKey]) -> tuple[DropKey, DropKey]:
    """Give the first drops that follow each other without a hole, as first and last."""
    last = drops[0]
    while spec.calendar.next_drop(last) in drops:
        last = spec.calendar.next_drop(last)
    return drops[0], last


def _next(
    spec: UseCaseSpec, facts: dict[str, Any], landed: Sequence[DropKey], run: Sequence[DropKey]
) -> dict[str, str]:
    name = spec.name
    if not landed:
        start = spec.calendar.first_drop
        return {f"ml-assets land {name} --help": f"nothing has landed yet: a past, or the files of {start}"}
    if facts["missing"]:
        first = facts["missing"][0].rpartition(" ")[2]
        return {f"ml-assets batch {name} --from {first} --to {landed[-1]}": "when what is missing has landed"}
    if facts["landed_not_run"]:
        first, last = _first_range(spec, facts["landed_not_run"])
        batch = {f"ml-assets batch {name} --from {first} --to {last}": "drops that landed and were not run"}
        if facts["champion"] is None:
            ways = ways_to_begin(spec, first, last, run[-1] if run else None)
            if len(ways) > 1:
                return ways  # a retraining that is asked for is one of them
        return _asked_retraining(name, facts) | batch
    if facts["champion"] is None:
        return {f"ml-assets retrain {name} --as-of {run[-1]}": "no champion serves yet"}
    return _asked_retraining(name, facts) | _next_with_champion(spec, facts, landed[-1])


def _asked_retraining(name: str, facts: dict[str, Any]) -> dict[str, str]:
    """Give the retraining that the newest decision asks for, where no candidate was judged as of its drop yet."""
    decision = facts["decision"]
    judged = [verdict["as_of"] for verdict in facts["verdicts"]]
    if decision is None or decision["action"] != "retrain" or decision["drop"] in judged:
        return {}
    return {f"ml-assets retrain {name} --as-of {decision['drop']}": "the newest decision asks for it; a daemon runs it"}


def _next_with_champion(spec: UseCaseSpec, facts: dict[str, Any], landed: DropKey) -> dict[str, str]:
    name = spec.name
    if facts["not_scored_by_champion"]:
        first, last = _first_range(spec, facts["not_scored_by_champion"])
        return {
            f"ml-assets batch {name} --from {first} --to {last}": "drops not scored by the champion that serves them"
        }
    following = spec.calendar.next_drop(landed)
    if spec.calendar.is_drop(following):
        return {f"ml-assets batch {name} --from {following} --to {following}": f"when drop {following} has landed"}
    return {"ml-assets ui": "the calendar has ended, by `calendar.end` in defs.yaml: look at what it left"}


def content_hashes(
    spec: UseCaseSpec, state: UseCaseState, tables: Sequence[str] | None, until: DropKey | None
) -> dict[str, str]:
    """Give the content hash of tables, all of them where none is named; of their drops up to `until`, if given.

    Raises
    ------
    MissingTableError
        If a named table was never written.
    """
    hashes = {}
    for table in tables or state.lake.tables():
        with state.connect() as connection:
            is_partitioned = state.lake.files(table).is_partitioned
            drops = (spec.calendar.first_drop, until) if until and is_partitioned else None
            relation = state.lake.relation(connection, table, drops)
            if until and not is_partitioned and "as_of" in relation.columns:
                relation = relation.filter(f"as_of <= {key_sql(until)}")
            hashes[table] = content_hash(relation)
    return hashes
