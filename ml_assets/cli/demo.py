"""The demo: real drops through the real graph, and a table of what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ml_assets.cli.landing import land_bundled
from ml_assets.cli.overview import drop_counts, rows_of, rungs_table, verdict_lines
from ml_assets.cli.runs import batch_with_progress, retrain_with_progress
from ml_assets.cli.terminal import console, next_steps, read_use_case, table_of
from ml_assets.demo.flights import BUNDLED_USE_CASE
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.landing import take_file
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.query import lake_of

_HISTORY = (date(2013, 1, 1), date(2013, 3, 31))
_SCORED = (date(2013, 4, 1), date(2013, 4, 30))
_MATURED = date(2013, 5, 2)  # two days on, the outcomes of April 30 are matured


def run_demo(paths: StatePaths) -> None:
    """Land, run, train as of the end of March, score April, and show how April turned out."""
    spec = read_use_case(BUNDLED_USE_CASE)
    lake = lake_of(paths, spec.name)
    as_of = _HISTORY[1]
    drops = spec.calendar.drops_between(_HISTORY[0], _MATURED)
    land_bundled(spec, paths, drops)
    history = spec.calendar.drops_between(*_HISTORY)
    is_unchanged = _is_run(spec, paths, history)
    if not is_unchanged:
        batch_with_progress(spec, paths, history[0], history[-1])
    has_champion = bool(rows_of(lake, "champion", f"SELECT 1 FROM t WHERE as_of = '{as_of}' AND verdict = 'promoted'"))
    if not (is_unchanged and has_champion):
        retrain_with_progress(spec, paths, as_of=str(as_of), rung="", gate="enabled")
        is_unchanged = False
    after = spec.calendar.drops_between(_SCORED[0], _MATURED)
    if not (is_unchanged and _is_run(spec, paths, after) and _is_scored(lake)):
        batch_with_progress(spec, paths, after[0], after[-1])
    else:
        console.print("every drop was run before and landed unchanged: nothing to run again\n")
    console.print(drop_counts(spec, paths, drops))
    console.print(rungs_table(paths, spec.name))
    for line in verdict_lines(paths, spec.name):
        console.print(line, soft_wrap=True)
    _show_quality(spec, lake)
    next_steps(
        {
            "make ui": "the graph, its checks and plots, at http://127.0.0.1:3000",
            f".venv/bin/ml-assets status {spec.name}": "what landed, what serves, what to do next",
        }
    )


def _is_run(spec: UseCaseSpec, paths: StatePaths, drops: Sequence[date]) -> bool:
    """Say whether every landed file of `drops` was received as it is now, and features stand for all of them."""
    lake = lake_of(paths, spec.name)
    if not lake.has("features") or not lake.has("drops"):
        return False
    bounds = f"batch_date BETWEEN '{drops[0]}' AND '{drops[-1]}'"
    final = rows_of(lake, "drops", f"SELECT count(*) FROM t WHERE {bounds} AND state <> 'missing'")[0][0]
    if final != len(drops) * len(spec.sources):
        return False
    for source in spec.sources:
        seen = dict(rows_of(lake, f"received_{source.name}", f"SELECT batch_date, sha256 FROM t WHERE {bounds}"))
        for drop in drops:
            landed = take_file(paths.landing / spec.name, paths.received, drop, source.file_name)
            if seen.get(drop) != (landed.sha256 if landed else None):
                return False
    return bool(
        rows_of(lake, "features", f"SELECT count(DISTINCT batch_date) FROM t WHERE {bounds}")[0][0] == len(drops)
    )


def _is_scored(lake: Lake) -> bool:
    found = rows_of(
        lake,
        "predictions",
        f"SELECT count(DISTINCT batch_date) FROM t WHERE batch_date BETWEEN '{_SCORED[0]}' AND '{_MATURED}'",
    )
    return bool(found) and found[0][0] == (_MATURED - _SCORED[0]).days + 1


def _show_quality(spec: UseCaseSpec, lake: Lake) -> None:
    import duckdb

    from ml_assets.monitoring.realized_quality import measure_quality

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        lake.relation(connection, "predictions", _SCORED).create_view("predictions")
        lake.relation(connection, "labels").create_view("labels")
        scored = connection.sql(
            "SELECT p.*, l.label FROM predictions AS p LEFT JOIN labels AS l USING (example_id)"
        ).df()
    quality = measure_quality(scored, spec.worklist.capacity)
    names = {"score": "champion", "baseline_score": "heuristic (carrier x hour)"}
    keys = ("log_loss", "auc", "ece", "precision_at_capacity")
    rows = [[names[column], *(values[key] for key in keys), int(values["n"])] for column, values in quality.items()]
    columns = ["April as it turned out", "log loss", "AUC", "ECE", f"top {spec.worklist.capacity} late", "examples"]
    console.print(table_of("April, scored a day ahead, on matured labels", columns, rows))
