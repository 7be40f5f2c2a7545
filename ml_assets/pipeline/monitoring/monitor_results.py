"""What the steps of monitoring give back, and what they read of earlier drops."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from duckdb import DuckDBPyConnection

from ml_assets.monitoring.drift_report import Row, history_key
from ml_assets.pipeline.results import CheckOutcome, DropResult
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake


@dataclass(frozen=True)
class MonitorResult:
    """The monitors of drops. Grain of `rows`: drop x monitor, as stored, with what is not finite."""

    result: DropResult
    rows: Sequence[Row]


def monitor_result(rows: Sequence[Row], drops: Sequence[date], outcome: CheckOutcome) -> MonitorResult:
    """Count the rows and alarms of each drop."""
    counts = Counter(row["batch_date"] for row in rows)
    alarms = Counter(row["batch_date"] for row in rows if row["state"] == "alarm")
    notes = {drop: {"alarms": alarms[drop]} for drop in drops}
    return MonitorResult(DropResult(counts, notes, checks=(outcome,)), rows)


def recent_ratios(
    connection: DuckDBPyConnection, spec: UseCaseSpec, lake: Lake, table: str, first: date
) -> dict[str, dict[date, float]]:
    """Read the ratio of value to threshold of each monitor in the drops that persistence looks at, before `first`."""
    ratios: dict[str, dict[date, float]] = defaultdict(dict)
    if not lake.has(table):
        return ratios
    bounds = (first - spec.monitoring.persistence.of * spec.calendar.every, spec.calendar.previous_drop(first))
    recent = lake.relation(connection, table, bounds)
    version = "model_version" if "model_version" in recent.columns else "NULL"
    for drop, monitor, model, ratio in recent.project(f"batch_date, monitor, {version}, ratio").fetchall():
        ratios[history_key(monitor, model)][drop] = ratio
    return ratios


def monitor_outcome(name: str, newest: date, rows: Sequence[Row], known_changes: Sequence[str] = ()) -> CheckOutcome:
    """Say which monitors alarm in the newest drop; too little data to judge by is named as that."""
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
        passed=not alarms,
        description="; ".join([said, *known_changes]),
        measured={"monitors judged": judged, "alarms": len(alarms), "not enough data": len(mine) - judged},
    )
