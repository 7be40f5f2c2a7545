"""All features of the examples of a range of drops, as known at each example's `prediction_at`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING

from ml_assets.features.facts import load_scope
from ml_assets.features.forecasts import compute_forecasts
from ml_assets.features.latest import compute_latest
from ml_assets.features.plan import ForecastGroup, LatestGroup, Scope, WindowGroup, compile_plan
from ml_assets.features.row_expressions import evaluate_rows, prepare_holidays
from ml_assets.features.windows import compute_windows, take_apart_measures
from ml_assets.spec.calendar import cut_drops
from ml_assets.spec.drop import DropKey, key_sql, years_around
from ml_assets.spec.use_case import UseCaseSpec

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

EXAMPLES_AT_ONCE = 500_000  # about 1 GB with a hundred features and the facts of their time


def compute_features(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    drops: Sequence[DropKey],
    on_scope: Callable[[str], None] | None = None,
) -> pa.Table:
    """Compute every feature of every example of `drops`.

    Returns
    -------
    table
        Grain: an example. `batch_date`, `example_id`, `prediction_at`, then the features by name;
        null means unknown at that moment. The rest as for `iterate_features`.
    """
    import pyarrow as pa

    parts = [rows for _, rows in iterate_features(connection, spec, drops, on_scope)]
    return pa.concat_tables(parts, promote_options="permissive")


def iterate_features(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    drops: Sequence[DropKey],
    on_scope: Callable[[str], None] | None = None,
    at_once: int = EXAMPLES_AT_ONCE,
) -> Iterator[tuple[list[DropKey], pa.Table]]:
    """Compute every feature of every example of `drops`, as many whole drops at a time as hold `at_once` examples.

    What is in memory is the examples of such a part and the facts of its time and the longest window before it. A
    value is the same to the bit, whatever is computed beside it. Gives each part's drops with its rows.

    Parameters
    ----------
    connection
        Shut in, with `_examples` (rows of `drops` in order of drop and id, which scans keep) and a view
        `validated_<source>` for each source that a view reads, of the drops from the longest window before the first
        of `drops` up to the last. Its setting `threads` is how many groups of features are computed side by side.
    on_scope
        Told the source of each reading when what is made of it is done.
    """
    plan = compile_plan(spec)
    threads = int(connection.sql("SELECT current_setting('threads')").fetchall()[0][0])
    if spec.features.holidays:
        prepare_holidays(connection, spec.features.holidays, years_around(drops[0], drops[-1]))
    counts = dict(connection.execute("SELECT batch_date, count(*) FROM _examples GROUP BY batch_date").fetchall())
    for part in cut_drops(drops, counts, at_once):
        within = f"batch_date BETWEEN {key_sql(part[0])} AND {key_sql(part[-1])}"
        connection.execute(f"CREATE OR REPLACE TEMP VIEW _asked AS SELECT * FROM _examples WHERE {within}")
        opens_at, batch_at = spec.calendar.drop(part[0]).start, spec.calendar.drop(part[-1]).end
        columns: dict[str, pa.Array] = {}
        for scope in plan:
            columns |= compute_scope(connection, scope, (opens_at, batch_at), threads)
            if on_scope is not None:
                on_scope(scope.source)
        rows = connection.sql("SELECT * FROM _asked").to_arrow_table()
        rows = rows.drop_columns([name for name in rows.column_names if name in columns])
        for name, column in columns.items():
            rows = rows.append_column(name, column)
        connection.register("_rows", rows)
        yield part, evaluate_rows(connection, spec.features).to_arrow_table()
        connection.unregister("_rows")


def compute_scope(
    connection: duckdb.DuckDBPyConnection,
    scope: Scope,
    bounds: tuple[datetime, datetime],
    threads: int,
    final_as_of: datetime | None = None,
) -> dict[str, pa.Array]:
    """Compute the features of a scope for the rows of table `_asked`, whose moments lie within `bounds`.

    With `final_as_of` forecasts take the newest vintage known by then, as `compute_forecasts` says.
    """
    since = None if scope.lookback is None else bounds[0] - scope.lookback
    loaded = load_scope(connection, scope, since, final_as_of or bounds[1])
    additive = take_apart_measures(scope.windows, loaded.facts)

    def compute(group: WindowGroup | LatestGroup | ForecastGroup) -> dict[str, pa.Array]:
        if isinstance(group, LatestGroup):
            return compute_latest(group, loaded)
        if isinstance(group, ForecastGroup):
            return compute_forecasts(group, loaded, final_as_of)
        return compute_windows(group, loaded, additive)

    with ThreadPoolExecutor(threads) as pool:  # numpy leaves the interpreter free while it sorts, adds and searches
        found = list(pool.map(compute, (*scope.windows, *scope.latest, *scope.forecasts)))
    return {name: column for columns in found for name, column in columns.items()}
