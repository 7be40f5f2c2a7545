"""How well a use case has served, week by week: what `ml-assets performance` and the summary of a replay read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ml_assets.decisions.incidents import Incident
from ml_assets.monitoring.performance import judged_window
from ml_assets.monitoring.quality_over_time import quality_by_week, week_of, worse_weeks
from ml_assets.pipeline.champion.record import BY_HAND, FALLBACK, GATE, PROMOTED, drop_of, read_record
from ml_assets.pipeline.monitoring.plain_values import plain
from ml_assets.pipeline.monitoring.serving_quality import newest_verdict_by, serving_fallback
from ml_assets.spec.drop import DropKey, key_of_moment
from ml_assets.spec.key_arrays import plain_keys
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.lake import Lake
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

Row = dict[str, Any]
QUALITY_INCIDENTS = ("loss_risen", "performance", "champion_failed", "fallback_serves", "worse_than_first")
_KIND_OF_VERDICT = {PROMOTED: "promotion", "refused": "refusal", "awaiting_approval": "awaiting approval"}


def quality_over_time(spec: UseCaseSpec, state: UseCaseState, first: DropKey | None, last: DropKey | None) -> Row:
    """Give the quality of a use case by week of prediction, as it was known in drop `last`.

    Parameters
    ----------
    first, last
        Bounds of the drops; by default the start of the calendar, and the newest drop with a decision. Weeks are
        counted from the start of the calendar, so they do not depend on the bounds.

    Returns
    -------
    dict
        JSON as it is. `weeks` as in monitoring/quality_over_time.py, of the predictions up to `matured_until`, the
        newest drop of which every outcome is due; `worse_weeks` among them; `now`, the newest row of
        `performance_verdicts`; `fallback`, what serves in the place of a failed champion, or null; `events`: `week`,
        `drop`, `kind`, `model_version`, `until` and `message` of each promotion, refusal, fallback and incident of
        quality. Before the first run `last` and `matured_until` are null, and nothing is listed.
    """
    decided = _decided(state.lake, last)
    begins = first or spec.calendar.first_drop
    with state.connect() as connection:
        record = read_record(connection, state.lake)
        until = judged_window(spec, decided)[1] if decided else None
        weeks: list[Row] = []
        if until is not None and until >= begins:
            scored = read_scored(connection, spec, state.lake, (begins, until), known_by=decided)
            weeks = quality_by_week(task_of(spec.task), scored, spec.calendar.first_drop, spec.worklist.capacity)
    bounds = (begins, decided or begins)
    return plain({
        "use_case": spec.name, "first": begins, "last": decided, "matured_until": until,
        "now": newest_verdict_by(state.lake, decided) if decided else None,
        "fallback": serving_fallback(spec, record, decided) if decided else None,
        "weeks": weeks,
        "worse_weeks": worse_weeks(task_of(spec.task), weeks),
        "events": _events(spec, record, AlertOutbox(state.paths).incidents(spec.name), bounds) if decided else [],
    })  # fmt: skip


def read_scored(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    lake: Lake,
    drops: tuple[DropKey, DropKey],
    *,
    known_by: DropKey | None = None,
) -> pd.DataFrame:
    """Read every prediction of `drops` with the newest label known by drop `known_by`, by default the last of them.

    The frame is what `quality_by_week` takes. A table that is not there yet gives no rows.
    """
    key = f"SELECT NULL::{spec.calendar.key_type} AS batch_date, NULL::VARCHAR AS example_id"
    empty = {
        "predictions": f"{key}, NULL::DOUBLE AS score, NULL::DOUBLE AS baseline_score WHERE false",
        "shadow_predictions": f"{key}, NULL::VARCHAR AS role, NULL::DOUBLE AS score WHERE false",
        "labels": f"{key}, NULL::INTEGER AS label, NULL::TIMESTAMPTZ AS known_at WHERE false",
    }
    for table, nothing in empty.items():
        bounds = (spec.calendar.first_drop, known_by or drops[1]) if table == "labels" else drops
        found = lake.relation(connection, table, bounds) if lake.has(table) else connection.sql(nothing)
        found.create_view(table, replace=True)
    frame = connection.sql(
        """
        WITH known AS (
            SELECT example_id, arg_max(label, (known_at, batch_date))::DOUBLE AS label FROM labels GROUP BY example_id
        ), first_champion AS (
            SELECT batch_date, example_id, score FROM shadow_predictions WHERE role = 'first_champion'
        )
        SELECT p.batch_date, p.example_id, k.label, p.score AS champion, p.baseline_score AS baseline,
            f.score AS first_champion
        FROM predictions AS p LEFT JOIN known AS k USING (example_id)
        LEFT JOIN first_champion AS f USING (batch_date, example_id)
        ORDER BY p.batch_date, p.example_id
        """
    ).df()
    return frame.assign(batch_date=plain_keys(frame["batch_date"]))


def _decided(lake: Lake, last: DropKey | None) -> DropKey | None:
    """Give the newest drop with a decision, among those up to `last`."""
    drops = lake.files("decisions").drops() if lake.has("decisions") else set[DropKey]()
    return max((drop for drop in drops if last is None or drop <= last), default=None)


def _events(
    spec: UseCaseSpec,
    record: Sequence[Mapping[str, Any]],
    incidents: Sequence[Incident],
    drops: tuple[DropKey, DropKey],
) -> list[Row]:
    """List what happened in the drops, in their order, each with its week."""
    found = [*_events_of_record(spec, record, drops), *_events_of_incidents(incidents, drops)]
    found.sort(key=lambda event: event["drop"])
    return [{"week": week_of(event["drop"], spec.calendar.first_drop), **event} for event in found]


def _events_of_record(
    spec: UseCaseSpec, record: Sequence[Mapping[str, Any]], drops: tuple[DropKey, DropKey]
) -> Iterable[Row]:
    """Give the verdicts of the gate by the drop they were given as of, and what else was decided by its drop."""
    for row in record:
        is_of_gate, drop = row["decided_by"] == GATE, drop_of(row)
        kind = "fallback" if row["decided_by"] == FALLBACK else _KIND_OF_VERDICT.get(row["verdict"])
        if kind is not None and drops[0] <= drop <= drops[1]:
            yield _event(drop, kind, row["model_version"], _why(spec, row) if is_of_gate else _said_by(row))


def _why(spec: UseCaseSpec, row: Mapping[str, Any]) -> str:
    """Say what asked for a retraining, and the rules it broke or the gain it brought."""
    asked = "by hand" if row["asked_by"] == BY_HAND else f"asked for by {row['asked_by']}" if row["asked_by"] else ""
    gate = "" if row["gate"] == "enabled" else f"gate {row['gate']}"
    begun = ", ".join(filter(None, (asked, gate)))
    begun = f"{begun}: " if begun else ""
    broken = [f"{each['code']}: {each['message']}" for each in row["reasons"] or [] if not each["passed"]]
    if broken:
        return begun + "; ".join(broken)
    if row["gain"] is None:
        return begun + "no champion before it"
    than = "lower" if row["gain"] >= 0 else "higher"
    return f"{begun}{task_of(spec.task).loss_metric} {abs(row['gain']):.1%} {than} than {row['champion_before']}"


def _said_by(row: Mapping[str, Any]) -> str:
    return row["note"] if row["decided_by"] == FALLBACK else f"by {row['decided_by']}: {row['note'] or 'no reason'}"


def _events_of_incidents(incidents: Sequence[Incident], drops: tuple[DropKey, DropKey]) -> Iterable[Row]:
    for incident in incidents:
        opened = _drop_of(incident)
        if incident.kind in QUALITY_INCIDENTS and drops[0] <= opened <= drops[1]:
            closed = incident.until if incident.until and incident.until[:10] <= str(drops[1]) else None
            yield _event(opened, incident.kind, None, incident.message, closed)


def _drop_of(incident: Incident) -> DropKey:
    return key_of_moment(incident.since)


def _event(drop: DropKey, kind: str, model_version: str | None, message: str, until: str | None = None) -> Row:
    return {"drop": drop, "kind": kind, "model_version": model_version, "until": until, "message": message}
