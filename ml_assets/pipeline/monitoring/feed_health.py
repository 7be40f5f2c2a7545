"""Health of feeds: each source against its own drops before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from duckdb import DuckDBPyConnection

from ml_assets.monitoring.diagnosis import FaultRecord, FaultyReading, diagnose_feeds
from ml_assets.monitoring.drift_report import Row, feed_rows, set_alarm_states
from ml_assets.monitoring.feed_health import FeedHealth
from ml_assets.monitoring.feed_profile import profile_source
from ml_assets.pipeline.ingestion.ready_drops import refuse_undue_drops
from ml_assets.pipeline.monitoring.monitor_results import (
    MonitorResult,
    monitor_outcome,
    monitor_result,
    recent_readings,
)
from ml_assets.spec.drop import DropKey
from ml_assets.spec.tables import of_use_case
from ml_assets.spec.tables.monitoring import FEED_HEALTH
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.not_computed import measured
from ml_assets.stores.failed_measures import noting_failures
from ml_assets.stores.lake import Lake
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb

TABLE = FEED_HEALTH.name


def store_feed_health(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey], now: datetime) -> MonitorResult:
    """Measure every monitor of the feeds in `drops`, given the drops before them, and store the rows.

    A drop that has not come by `now`, the wall's moment, is refused as `refuse_undue_drops` does.
    """
    refuse_undue_drops(spec, state, drops, now)
    with noting_failures(state.paths.alerts, spec.name, TABLE, drops[-1]) as failed, state.connect() as connection:
        over = _earlier(connection, spec, state.lake, drops[0])
        recent = recent_readings(connection, spec, state.lake, TABLE, drops[0])
        by_drop = _feed_rows(connection, spec, state.lake, drops, over)
    for drop in drops:
        set_alarm_states(by_drop[drop], recent.ratios, spec.monitoring, spec.calendar, recent.measured)
        diagnose_feeds(by_drop[drop])
    rows = [row for drop in drops for row in by_drop[drop]]
    state.lake.replace_drops(TABLE, arrow_rows(of_use_case(FEED_HEALTH, spec), rows), drops)
    return monitor_result(rows, drops, monitor_outcome("feeds", drops[-1], rows, failed=failed))


def read_faults(connection: DuckDBPyConnection, spec: UseCaseSpec, lake: Lake, known_by: DropKey) -> FaultRecord:
    """Read which feeds looked broken in the drops up to `known_by`."""
    if not lake.has(TABLE):
        return FaultRecord(spec)
    feeds = lake.relation(connection, TABLE, (spec.calendar.first_drop, known_by))
    broken = feeds.filter("kind = 'broken_feed' AND ratio > 1").order("batch_date, monitor")
    rows = broken.project("monitor, source, batch_date, state = 'alarm'").fetchall()
    return FaultRecord(spec, (FaultyReading(*row) for row in rows))


def _earlier(
    connection: DuckDBPyConnection, spec: UseCaseSpec, lake: Lake, first: DropKey
) -> dict[tuple[str, str, str], list[DropKey]]:
    """Read which monitors of feeds were over in the drops before."""
    over: dict[tuple[str, str, str], list[DropKey]] = defaultdict(list)
    if not lake.has(TABLE):
        return over
    monitoring = spec.monitoring
    since = spec.calendar.earlier(first, 2 * monitoring.relearn_after + monitoring.feed_history)
    last = spec.calendar.previous_drop(first)
    columns = "batch_date, source, coalesce(column_name, ''), statistic"
    if lake.relation(connection, TABLE, (last, last)).filter("ratio > 1 AND statistic = 'rows'").fetchall():
        since = spec.calendar.first_drop  # a source that sends nothing may have done so for long
    earlier = lake.relation(connection, TABLE, (since, last))
    for drop, source, column, statistic in earlier.filter("ratio > 1").project(columns).fetchall():
        over[source, column, statistic].append(drop)
    return over


def _silent_since(spec: UseCaseSpec, over: Collection[DropKey], first: DropKey) -> DropKey:
    """Give the first of the drops before `first` in a row whose number of rows was over; `first` where none was."""
    while spec.calendar.previous_drop(first) in over:
        first = spec.calendar.previous_drop(first)
    return first


def _feed_rows(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    lake: Lake,
    drops: Sequence[DropKey],
    over: Mapping[tuple[str, str, str], list[DropKey]],
) -> dict[DropKey, list[Row]]:
    monitoring = spec.monitoring
    begun = min(_silent_since(spec, over.get((each.name, "", "rows"), ()), drops[0]) for each in spec.sources)
    oldest = spec.calendar.earlier(begun, monitoring.feed_history + monitoring.relearn_after)
    first = max(spec.calendar.first_drop, oldest)
    series, categories = [], []
    for source in spec.sources:
        if source.arrives != "every_drop":
            continue
        for prefix in ("raw", "quarantine"):
            name = f"{prefix}_{source.name}"
            rows = lake.relation(connection, name, (first, drops[-1]))
            if "_is_late" in rows.columns:  # the drop's own file: what comes late is no fault of it
                rows = rows.filter("NOT coalesce(_is_late, false)")
            rows.create_view(name, replace=True)
        start = spec.calendar.first_drop
        beginning = (
            start,
            spec.calendar.previous_drop(spec.calendar.same_time_before(start, -monitoring.min_placebos)),
        )
        lake.relation(connection, f"raw_{source.name}", beginning).create_view(f"first_{source.name}", replace=True)
        drops_of_it = spec.calendar.drops_between(first, drops[-1])
        work = partial(profile_source, connection, source, drops_of_it)
        found = measured(f"the profile of {source.name}", work, ([], []))
        series += found[0]
        categories += found[1]
    health = FeedHealth(spec, series, categories, over)
    return {drop: feed_rows(health.read(drop)) for drop in drops}
