"""The page of a drop: Evidently's view of its window beside the drops before, kept for as long as declared."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.monitoring.drift_report import Row
from ml_assets.monitoring.feature_drift import block_of
from ml_assets.pipeline.features.versions import require_stored_features
from ml_assets.pipeline.monitoring.drift import TABLE as DRIFT_REPORT
from ml_assets.reports.evidently_page import draw_page
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.not_computed import measured
from ml_assets.stores.failed_measures import noting_failures
from ml_assets.stores.landing import write_whole
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


_COLUMNS = 30  # about four seconds; every further column costs the same again


def write_due_page(spec: UseCaseSpec, state: UseCaseState, drop: DropKey) -> tuple[Path, tuple[str, ...]] | None:
    """Write the page of `drop` as `write_drift_page` does; one that cannot be drawn is told, and stops nothing."""
    with noting_failures(state.paths.alerts, spec.name, "drift_page", drop):
        return measured("Evidently's page", partial(write_drift_page, spec, state, drop), None)


def write_drift_page(spec: UseCaseSpec, state: UseCaseState, drop: DropKey) -> tuple[Path, tuple[str, ...]] | None:
    """Write the page of `drop` and remove the oldest ones; give its path and the columns left out of it.

    None where there is nothing to compare with: the window or the drops before it hold no row.
    """
    monitoring, calendar = spec.monitoring, spec.calendar
    block = block_of(drop, calendar, monitoring)
    with state.connect() as connection:
        reference = _features(connection, spec, state, block.reference_first, block.reference_last)
        window = _features(connection, spec, state, calendar.window_start(drop, monitoring.window), drop)
    if not len(reference) or not len(window):
        return None
    shown = _nearest_to_alarm(spec, state, drop)
    reference, window = reference[shown], window[shown]
    html, left_out = draw_page(reference, window, rows=monitoring.report_rows, seed=spec.model.seed)
    if not html:
        return None
    folder = state.paths.reports / spec.name / "drift"
    page = folder / f"{drop}.html"
    write_whole(page, html.encode())
    for old in sorted(folder.glob("*.html"))[: -monitoring.keep_reports]:
        if old != page:
            old.unlink(missing_ok=True)
    return page, left_out


def _nearest_to_alarm(spec: UseCaseSpec, state: UseCaseState, drop: DropKey) -> list[str]:
    """Give the features that the page has room for, by what the drift report of the drop says of them."""
    ratios: dict[str, float] = {}
    for row in read_rows(state.lake, DRIFT_REPORT, ["column_name", "ratio"], (drop, drop)):
        ratios[row["column_name"]] = max(row["ratio"], ratios.get(row["column_name"], 0.0))
    return sorted(spec.features.feature_names(), key=lambda name: -ratios.get(name, 0.0))[:_COLUMNS]


def is_page_due(mode: str, rows: Sequence[Row], newest: DropKey, before: DropKey) -> bool:
    """Say whether a page is written: `always`, `never`, or `on_alarm`, when one began in the newest drop."""
    if mode != "on_alarm":
        return mode == "always"
    alarms = {drop: {row["monitor"] for row in rows if row["batch_date"] == drop and row["state"] == "alarm"}
              for drop in (before, newest)}  # fmt: skip
    return bool(alarms[newest] - alarms[before])


def _features(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, state: UseCaseState, first: DropKey, last: DropKey
) -> pd.DataFrame:
    require_stored_features(spec, state.lake)
    columns = ", ".join(f'"{name}"' for name in spec.features.feature_names())
    relation = state.lake.relation(connection, "features", (max(first, spec.calendar.first_drop), last))
    return relation.order("batch_date, example_id").project(columns).df()
