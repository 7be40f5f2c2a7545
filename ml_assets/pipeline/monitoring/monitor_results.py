"""What the steps of monitoring give back, and what they read of earlier drops."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from ml_assets.monitoring.drift_report import TOLD, Row, history_key
from ml_assets.pipeline.results import CheckOutcome, DropResult
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.not_computed import NotComputed
from ml_assets.stores.lake import Lake


@dataclass(frozen=True)
class MonitorResult:
    """The monitors of drops. Grain of `rows`: drop x monitor, as stored, with what is not finite."""

    result: DropResult
    rows: Sequence[Row]


def monitor_result(rows: Sequence[Row], drops: Sequence[DropKey], outcome: CheckOutcome) -> MonitorResult:
    """Count the rows and alarms of each drop."""
    counts = Counter(row["batch_date"] for row in rows)
    alarms = Counter(row["batch_date"] for row in rows if row["state"] == "alarm")
    notes = {drop: {"alarms": alarms[drop]} for drop in drops}
    return MonitorResult(DropResult(counts, notes, checks=(outcome,)), rows)


@dataclass(frozen=True)
class RecentReadings:
    """What monitors measured in the drops that persistence looks at, by `history_key` and drop."""

    ratios: dict[str, dict[DropKey, float]]
    measured: dict[str, dict[DropKey, Row]]


def recent_readings(
    connection: DuckDBPyConnection, spec: UseCaseSpec, lake: Lake, table: str, first: DropKey
) -> RecentReadings:
    """Read what each monitor measured in the drops that persistence looks at, before `first`."""
    found = RecentReadings(defaultdict(dict), defaultdict(dict))
    if not lake.has(table):
        return found
    bounds = (first - spec.monitoring.persistence.of * spec.calendar.every, spec.calendar.previous_drop(first))
    recent = lake.relation(connection, table, bounds)
    version = "model_version" if "model_version" in recent.columns else "NULL"
    columns = f"batch_date, monitor, {version}, ratio, {', '.join(TOLD)}"
    for drop, monitor, model, ratio, *told in recent.project(columns).fetchall():
        key = history_key(monitor, model)
        found.ratios[key][drop] = ratio
        found.measured[key][drop] = dict(zip(TOLD, told, strict=True))
    return found


def monitor_outcome(
    name: str,
    newest: DropKey,
    rows: Sequence[Row],
    known_changes: Sequence[str] = (),
    failed: Sequence[NotComputed] = (),
) -> CheckOutcome:
    """Say which monitors alarm in the newest drop, and what failed; too little data to judge by is named as that."""
    mine = [row for row in rows if row["batch_date"] == newest]
    alarms = sorted((row for row in mine if row["state"] == "alarm"), key=lambda row: -row["ratio"])
    judged = sum(row["state"] != "not enough data" for row in mine)
    if alarms:
        listed = "; ".join(f"{row['monitor']}: {row.get('meaning', '')}" for row in alarms[:5])
        more = f" and {len(alarms) - 5} more" if len(alarms) > 5 else ""
        said = f"{len(alarms)} of {judged} monitors alarm in {newest}: {listed}{more}"
    elif not judged:
        said = f"not enough data: no monitor of {newest} has placebos enough"
    else:
        said = f"none of {judged} monitors alarms in {newest}"
    return CheckOutcome(
        name,
        passed=not alarms and not failed,
        description="; ".join([said, *known_changes, *(f"{each.measure} was not computed" for each in failed)]),
        measured={"monitors judged": judged, "alarms": len(alarms), "not enough data": len(mine) - judged},
    )
