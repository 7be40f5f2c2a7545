"""Features as a backtest with final values has them: forecasts as they ended, everything else as it was known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ml_assets.features.feature_table import EXAMPLES_AT_ONCE, compute_scope
from ml_assets.features.plan import compile_plan
from ml_assets.features.row_expressions import evaluate_rows, prepare_holidays
from ml_assets.spec.calendar import cut_drops
from ml_assets.spec.drop import DropKey, key_sql, years_around
from ml_assets.spec.features import FeatureView
from ml_assets.spec.sql_lineage import columns_of
from ml_assets.spec.use_case import UseCaseSpec

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def forecast_views(spec: UseCaseSpec) -> tuple[FeatureView, ...]:
    """List the views over sources that are forecasts."""
    return tuple(view for view in spec.features.views if spec.source(view.source).forecast is not None)


def forecast_features(spec: UseCaseSpec) -> tuple[str, ...]:
    """Name the features that forecasts decide: those of their views, and expressions over these."""
    of_views = [name for view in forecast_views(spec) for name in view.feature_names()]
    reading = [each.name for each in spec.features.expressions if columns_of(each.sql, of_views)]
    return (*of_views, *reading)


def final_features(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, drops: Sequence[DropKey], as_of: datetime
) -> pa.Table:
    """Compute the features of examples with the newest vintage of each forecast known by `as_of`.

    Parameters
    ----------
    connection
        Shut in, with `_examples` (rows of `drops`), `_stored` (their stored features, a row an example), and a view
        `validated_<source>` for each forecast, of all drops that were received by `as_of`.

    Returns
    -------
    table
        Grain: an example. `batch_date`, `example_id`, then what `forecast_features` names. Ages and leads are those of
        the vintages that were known.
    """
    import pyarrow as pa

    threads = int(connection.sql("SELECT current_setting('threads')").fetchall()[0][0])
    if spec.features.holidays:
        prepare_holidays(connection, spec.features.holidays, years_around(drops[0], drops[-1]))
    scopes = [scope for scope in compile_plan(spec) if scope.forecasts]
    counts = dict(connection.execute("SELECT batch_date, count(*) FROM _examples GROUP BY batch_date").fetchall())
    parts: list[pa.Table] = []
    for part in cut_drops(drops, counts, EXAMPLES_AT_ONCE):
        within = f"batch_date BETWEEN {key_sql(part[0])} AND {key_sql(part[-1])}"
        connection.execute(f"CREATE OR REPLACE TEMP VIEW _asked AS SELECT * FROM _examples WHERE {within}")
        bounds = spec.calendar.drop(part[0]).start, spec.calendar.drop(part[-1]).end
        columns: dict[str, pa.Array] = {}
        for scope in scopes:
            columns |= compute_scope(connection, scope, bounds, threads, as_of)
        parts.append(_with_expressions(connection, spec, columns))
    return pa.concat_tables(parts, promote_options="permissive")


def _with_expressions(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, columns: Mapping[str, pa.Array]
) -> pa.Table:
    """Evaluate row expressions over the examples, their stored view features, and `columns` in place of some."""
    of_views = [name for view in spec.features.views for name in view.feature_names()]
    kept = "".join(f', s."{name}"' for name in of_views if name not in columns)
    of_examples = connection.view("_asked").columns
    own = ", ".join(f'a."{name}"' for name in of_examples if name not in of_views)
    rows = connection.sql(
        f"SELECT {own}{kept} FROM _asked AS a JOIN _stored AS s USING (batch_date, example_id) "
        "ORDER BY a.batch_date, a.example_id"
    ).to_arrow_table()
    for name, column in columns.items():
        rows = rows.append_column(name, column)
    connection.register("_rows", rows)
    named = ", ".join(f'"{name}"' for name in ("batch_date", "example_id", *forecast_features(spec)))
    found = evaluate_rows(connection, spec.features).project(named).to_arrow_table()
    connection.unregister("_rows")
    return found
