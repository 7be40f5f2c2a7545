"""The page of a drop: Evidently's view of its window beside the drops before, kept for as long as declared."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.monitoring.evidently_page import draw_page
from ml_assets.monitoring.feature_drift import block_of
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.landing import write_whole
from ml_assets.stores.paths import StatePaths

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


_COLUMNS = 30  # about four seconds; every further column costs the same again


def write_drift_page(
    connection: "duckdb.DuckDBPyConnection", spec: UseCaseSpec, paths: StatePaths, drop: date
) -> tuple[Path, tuple[str, ...]] | None:
    """Write the page of `drop` and remove the oldest ones; give its path and the columns left out of it.

    None where there is nothing to compare with: the window or the drops before it hold no row.
    """
    monitoring, calendar = spec.monitoring, spec.calendar
    block = block_of(drop, calendar.start, calendar.every, monitoring.window, monitoring.before)
    reference = _features(connection, spec, paths, block.reference_first, block.reference_last)
    window = _features(connection, spec, paths, drop - monitoring.window + calendar.every, drop)
    if not len(reference) or not len(window):
        return None
    shown = _nearest_to_alarm(connection, spec, paths, drop)
    reference, window = reference[shown], window[shown]
    html, left_out = draw_page(reference, window, rows=monitoring.report_rows, seed=spec.model.seed)
    if not html:
        return None
    folder = paths.reports / spec.name / "drift"
    page = folder / f"{drop}.html"
    write_whole(page, html.encode())
    for old in sorted(folder.glob("*.html"))[: -monitoring.keep_reports]:
        if old != page:
            old.unlink(missing_ok=True)
    return page, left_out


def _nearest_to_alarm(
    connection: "duckdb.DuckDBPyConnection", spec: UseCaseSpec, paths: StatePaths, drop: date
) -> list[str]:
    """Give the features that the page has room for, by what the drift report of the drop says of them."""
    lake = Lake(paths.lake / spec.name)
    names = list(spec.features.feature_names())
    ratios: dict[str, float] = {}
    if lake.has("drift_report"):
        report = lake.relation(connection, "drift_report", (drop, drop)).filter("family <> 'feed'")
        ratios = dict(report.aggregate("column_name, max(ratio)").fetchall())
    return sorted(names, key=lambda name: -ratios.get(name, 0.0))[:_COLUMNS]


def _features(
    connection: "duckdb.DuckDBPyConnection", spec: UseCaseSpec, paths: StatePaths, first: date, last: date
) -> "pd.DataFrame":
    lake = Lake(paths.lake / spec.name)
    columns = ", ".join(f'"{name}"' for name in spec.features.feature_names())
    relation = lake.relation(connection, "features", (max(first, spec.calendar.start), last))
    return relation.order("batch_date, example_id").project(columns).df()
