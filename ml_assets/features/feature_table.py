"""All features of the examples of a range of drops, as known at each example's `prediction_at`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from ml_assets.features.facts import load_facts, prepare_versions
from ml_assets.features.point_in_time import DropSlice, compute_view
from ml_assets.features.row_expressions import evaluate_rows, prepare_holidays
from ml_assets.spec.use_case import UseCaseSpec

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def compute_features(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    drops: Sequence[date],
    on_view: Callable[[str], None] | None = None,
) -> duckdb.DuckDBPyRelation:
    """Compute every feature of every example of `drops`.

    Parameters
    ----------
    connection
        Shut in, with table `_examples` (rows of `drops` in order of drop and id) and a view
        `validated_<source>` for each source that a view reads, of all drops up to the last.
    on_view
        Told the name of each view when it is done.

    Returns
    -------
    relation
        Grain: an example. `batch_date`, `example_id`, `prediction_at`, then the features by name;
        null means unknown at that moment.
    """
    slices = _drop_slices(connection, spec, drops)
    columns: dict[str, pa.Array] = {}
    for source in {view.source: None for view in spec.features.views}:
        prepare_versions(connection, source, spec.source(source).key)
    for view in spec.features.views:
        lookback = view.lookback
        loaded = load_facts(
            connection,
            view,
            spec.source(view.source).key,
            since=None if lookback is None else slices[0].opens_at - lookback,
            until=slices[-1].batch_at,
        )
        columns |= compute_view(view, loaded, slices)
        if on_view is not None:
            on_view(view.name)
    if spec.features.holidays:
        years = range(drops[0].year - 1, drops[-1].year + 2)
        prepare_holidays(connection, spec.features.holidays, years)
    rows = connection.sql("SELECT * FROM _examples ORDER BY rowid").to_arrow_table()
    rows = rows.drop_columns([name for name in rows.column_names if name in columns])
    for name, column in columns.items():
        rows = rows.append_column(name, column)
    connection.register("_rows", rows)
    return evaluate_rows(connection, spec.features)


def _drop_slices(connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, drops: Sequence[date]) -> list[DropSlice]:
    counts = dict(connection.execute("SELECT batch_date, count(*) FROM _examples GROUP BY batch_date").fetchall())
    slices, first = [], 0
    for drop in drops:
        last = first + counts.get(drop, 0)
        slices.append(DropSlice(first, last, *spec.calendar.interval_of(drop)))
        first = last
    return slices
