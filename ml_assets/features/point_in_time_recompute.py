"""What a view gives when the future is deleted: one moment at a time, by plain SQL over what was known by then.

It shares no code with the engine that fills the feature table, and judges it. Nothing here is quick: facts are joined
with what is asked, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from ml_assets.features.added_aggregates import reduce_window
from ml_assets.features.vintage_recompute import forecast_query, lay_vintages, measured_columns, with_deviations
from ml_assets.spec.aggregates import AGGREGATES, AddedAggregate, added_aggregate
from ml_assets.spec.features import Aggregate, FeatureSpec, FeatureView
from ml_assets.spec.forecasts import ForecastTimes

if TYPE_CHECKING:
    import duckdb


def lay_history(connection: duckdb.DuckDBPyConnection, keys: Mapping[str, Sequence[str]]) -> None:
    """Keep the rows of `all_<source>` at hand, those of keys that come more than once apart.

    Parameters
    ----------
    keys
        By source, the columns whose rows are versions of one fact.
    """
    for source, columns in keys.items():
        key = ", ".join(f'"{name}"' for name in columns)
        connection.execute(
            f'CREATE OR REPLACE TEMP TABLE _again AS SELECT {key} FROM "all_{source}" GROUP BY {key} '
            "HAVING count(*) > 1"
        )
        for kind, join in (("repeated", "SEMI"), ("single", "ANTI")):
            connection.execute(
                f'CREATE OR REPLACE TEMP TABLE "_{kind}_{source}" AS SELECT * FROM "all_{source}" {join} JOIN _again '
                f"USING ({key})"
            )


def delete_future(
    connection: duckdb.DuckDBPyConnection,
    keys: Mapping[str, Sequence[str]],
    moment: datetime,
    lookbacks: Mapping[str, timedelta | None],
) -> None:
    """Make views `validated_<source>` of the rows known by `moment`, and tables `known_<source>` of the facts they are.

    A fact is the newest version of its key, with `_counted_at`, when its first version was known.

    Parameters
    ----------
    lookbacks
        By source that views read, how far back they do; None is without bound. Other sources have no `known_<source>`.
    """
    until = f"known_at <= TIMESTAMPTZ '{moment.isoformat()}'"
    for source, columns in keys.items():
        connection.execute(
            f'CREATE OR REPLACE TEMP VIEW "validated_{source}" AS SELECT * FROM "_single_{source}" WHERE {until} '
            f'UNION ALL SELECT * FROM "_repeated_{source}" WHERE {until}'
        )
        if source not in lookbacks:
            continue
        key = ", ".join(f'"{name}"' for name in columns)
        held = connection.table(f"_single_{source}").columns
        # where the first version was not read, since it is older than any window, its mark says when that was
        first = "least(known_at, _first_known_at)" if "_first_known_at" in held else "known_at"
        back = lookbacks[source]
        # a fact is counted, and happened, no later than it is known: what was known before any window is in none
        since = f"known_at > TIMESTAMPTZ '{(moment - back).isoformat()}'" if back is not None else "true"
        connection.execute(
            f'CREATE OR REPLACE TEMP TABLE "known_{source}" AS SELECT *, {first} AS _counted_at '
            f'FROM "_single_{source}" WHERE {until} AND {since} UNION ALL SELECT * EXCLUDE (_version) FROM (SELECT *, '
            f"min({first}) OVER (PARTITION BY {key}) AS _counted_at, row_number() OVER (PARTITION BY {key} ORDER BY "
            f'known_at DESC, batch_date DESC) AS _version FROM "_repeated_{source}" WHERE {until}) WHERE _version = 1 '
            f"AND {since}"
        )


def recompute_views(
    connection: duckdb.DuckDBPyConnection,
    spec: FeatureSpec,
    keys: Mapping[str, Sequence[str]],
    moment: datetime,
    forecasts: Mapping[str, ForecastTimes] | None = None,
) -> None:
    """Make table `_rows`: the examples of table `_examined` (all asked for at `moment`) with their view features.

    Parameters
    ----------
    forecasts
        By source, the times of those that are forecasts.
    """
    queries = []
    _add_functions(connection, spec)
    for view in spec.views:
        times = (forecasts or {}).get(view.source)
        if times is not None:
            lay_vintages(connection, view, keys[view.source], times)
            queries.append(forecast_query(view, moment, _same(connection, view), _aggregate))
            continue
        make = _windows if view.windows else _latest
        queries.append(make(view, keys[view.source], moment, _same(connection, view)))
    names = {name for view in spec.views for name in view.feature_names()}
    kept = ", ".join(f'a."{name}"' for name in connection.table("_examined").columns if name not in names)
    taken = "".join(f', v{place}."{name}"' for place, view in enumerate(spec.views) for name in view.feature_names())
    joined = " ".join(f"JOIN ({query}) AS v{place} USING (_number)" for place, query in enumerate(queries))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _rows AS SELECT {kept}{taken} FROM _examined AS a {joined}")


def _function_of(aggregate: Aggregate) -> str:
    return f"_added_{aggregate.function}"


def _add_functions(connection: duckdb.DuckDBPyConnection, spec: FeatureSpec) -> None:
    """Let SQL call what packages add: each of two lists, the values of a window and their ages in hours."""
    added = {
        each.function: _function_of(each)
        for view in spec.views
        for each in view.parsed_aggregates()
        if each.function not in AGGREGATES
    }
    for name, function in added.items():
        if not connection.execute("SELECT 1 FROM duckdb_functions() WHERE function_name = ?", [function]).fetchall():
            compute = partial(_reduce_lists, added_aggregate(name))
            kinds: list[Any] = [list[float], list[float]]
            connection.create_function(
                function,
                compute,
                kinds,
                float,
                null_handling="special",  # pyright: ignore[reportArgumentType, reportCallIssue]
            )


def _reduce_lists(
    aggregate: AddedAggregate, values: Sequence[float] | None, ages_h: Sequence[float] | None
) -> float | None:
    return reduce_window(aggregate, values, ages_h) if values and ages_h else None


def _facts(view: FeatureView, since: datetime | None) -> str:
    derived = "".join(f', ({text}) AS "{name}"' for name, text in view.derive.items())
    bound = f"_counted_at > TIMESTAMPTZ '{since.isoformat()}'" if since else "true"
    return f'(SELECT *{derived} FROM "known_{view.source}" WHERE {bound} AND (({view.where or "true"}) IS TRUE))'


def _same(connection: duckdb.DuckDBPyConnection, view: FeatureView) -> str:
    """Say when a fact is about an example: both are compared as the type that holds either, as in a union."""
    if not view.entity:
        return "true"
    names = ", ".join(f'"{name}"' for name in view.entity)
    both = connection.sql(f"SELECT {names} FROM {_facts(view, None)} UNION ALL SELECT {names} FROM _examined LIMIT 0")
    return " AND ".join(
        f'CAST(f."{name}" AS {kind}) = CAST(a."{name}" AS {kind})'
        for name, kind in zip(view.entity, both.types, strict=True)
    )


def _windows(view: FeatureView, key: Sequence[str], moment: datetime, same: str) -> str:
    asked = [(window, aggregate) for window in view.windows for aggregate in view.parsed_aggregates()]
    order = ["f._counted_at", "f.known_at", *(f'f."{name}"' for name in key)]
    age_h = f"date_diff('microsecond', f._counted_at, TIMESTAMPTZ '{moment.isoformat()}') / 3.6e9"
    found = [
        f'{_aggregate(aggregate, _counted_since(moment - window), order, age_h)} AS "{name}"'
        for name, (window, aggregate) in zip(view.feature_names(), asked, strict=True)
    ]
    facts = f"(SELECT *{measured_columns(view)} FROM {_facts(view, moment - max(view.windows))} AS f)"
    grouped = f"SELECT a._number, {', '.join(found)} FROM _examined AS a LEFT JOIN {facts} AS f ON {same} GROUP BY 1"
    return with_deviations(view, grouped)


def _counted_since(moment: datetime) -> str:
    return f"f._counted_at > TIMESTAMPTZ '{moment.isoformat()}'"


def _aggregate(aggregate: Aggregate, within: str, order: Sequence[str], age_h: str) -> str:
    """Give SQL of an aggregate over the joined rows `f` that are `within`; `age_h` is the age of a row in hours."""
    value = "f.known_at" if aggregate.counts_rows else f'f."_of_{aggregate.name}"'
    number = f"TRY_CAST({value} AS DOUBLE)"
    is_number = f"typeof({value}) NOT IN ('FLOAT', 'DOUBLE') OR coalesce(isfinite({number}), false)"
    inside = f"FILTER (WHERE {within} AND {value} IS NOT NULL AND ({is_number}))"
    ordered = ", ".join(order)
    return {
        "count": f"count({value}) {inside}",
        "sum": f"fsum({number}) {inside}",
        "mean": f"favg({number}) {inside}",
        "share": f"favg({number}) {inside}",
        "min": f"min({number}) {inside}",
        "max": f"max({number}) {inside}",
        "std": f"list({number}) {inside[:-1]} AND abs({number}) <= 1e150)",  # its deviation is taken of the list
        "last": f"arg_max({number}, ({ordered})) {inside}",
        "distinct": f"count(DISTINCT {value}) {inside}",
        "hours_since_last": f"min({age_h}) {inside}",
    }.get(aggregate.function) or (
        f"{_function_of(aggregate)}(list({number} ORDER BY {ordered}) {inside}, "
        f"list({age_h} ORDER BY {ordered}) {inside})"
    )


def _latest(view: FeatureView, key: Sequence[str], moment: datetime, same: str) -> str:
    happened = "least(coalesce(f.event_at, f.known_at), f.known_at)"
    young = f"{happened} > TIMESTAMPTZ '{(moment - view.max_age).isoformat()}'" if view.max_age else "true"
    values = [f'f."{column}"' for column in view.latest]
    values += [f"date_diff('microsecond', {happened}, TIMESTAMPTZ '{moment.isoformat()}') / 3.6e9"] * view.with_age
    found = ", ".join(
        f'CASE WHEN {young} THEN {value} END AS "{name}"'
        for name, value in zip(view.feature_names(), values, strict=True)
    )
    order = ", ".join(f'f."{name}" DESC' for name in key)
    return (
        f"SELECT a._number, {found} FROM _examined AS a LEFT JOIN {_facts(view, None)} AS f ON {same} "
        f"QUALIFY row_number() OVER (PARTITION BY a._number ORDER BY {happened} DESC NULLS LAST, "
        f"f.known_at DESC NULLS LAST, {order}) = 1"
    )
