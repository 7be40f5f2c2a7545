"""What the checks of monitoring say, from the tables alone: always of the newest drop that a report holds.

A check that reads the table can be executed by itself, and an old drop that is run again does not replace the verdict
on the newest one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ml_assets.monitoring.diagnosis import known_changes
from ml_assets.pipeline.monitoring.decisions import freshness_outcome, standing_outcome
from ml_assets.pipeline.monitoring.monitor_results import monitor_outcome
from ml_assets.pipeline.monitoring.performance import performance_outcome
from ml_assets.pipeline.results import CheckOutcome
from ml_assets.spec.drop import DropKey
from ml_assets.spec.tables.monitoring import DECISIONS, DRIFT_REPORT, FEED_HEALTH, PERFORMANCE_VERDICTS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState

Rows = list[dict[str, Any]]
Judge = Callable[[UseCaseSpec, DropKey, Rows], CheckOutcome]

OUTCOMES: Mapping[str, tuple[str, Judge]] = {
    "feeds": (FEED_HEALTH.name, lambda _, newest, rows: monitor_outcome("feeds", newest, rows)),
    "drift": (
        DRIFT_REPORT.name,
        lambda spec, newest, rows: monitor_outcome("drift", newest, rows, known_changes(spec, newest)),
    ),
    "performance": (PERFORMANCE_VERDICTS.name, lambda spec, _, rows: performance_outcome(task_of(spec.task), rows[0])),
    "freshness": (DECISIONS.name, lambda spec, _, rows: freshness_outcome(spec, rows[0])),
    "champion_stands": (DECISIONS.name, lambda _, __, rows: standing_outcome(rows[0])),
}


def newest_outcome(spec: UseCaseSpec, state: UseCaseState, check: str) -> tuple[CheckOutcome, Rows]:
    """Judge the newest drop in the table that `check` is about; give its rows as well. An empty table is not judged."""
    table, judge = OUTCOMES[check]
    drops = state.lake.files(table).drops() if state.lake.has(table) else set()
    rows = read_rows(state.lake, table, None, (max(drops), max(drops))) if drops else []
    if not rows:
        return CheckOutcome(check, passed=True, description=f"not enough data: {table} holds no drop"), []
    return judge(spec, max(drops), rows), rows
