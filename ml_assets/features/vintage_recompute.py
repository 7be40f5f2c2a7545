"""What a view over a forecast gives when the future is deleted: plain SQL over the vintages known at one moment.

A part of `point_in_time_recompute`: it shares no code with the engine that fills the feature table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ml_assets.spec.features import Aggregate, FeatureView
from ml_assets.spec.forecasts import ForecastTimes, times_read

if TYPE_CHECKING:
    import duckdb

AggregateSql = Callable[[Aggregate, str, Sequence[str], str], str]
# in two passes: in one, what is small beside the mean is lost
_DEVIATION = (
    "CASE WHEN len({values}) > 1 THEN sqrt(list_sum(list_transform({values}, lambda x: pow(x - list_avg({values}), 2)))"
    " / (len({values}) - 1)) END"
)


def lay_vintages(
    connection: duckdb.DuckDBPyConnection, view: FeatureView, key: Sequence[str], times: ForecastTimes
) -> None:
    """Make table `_vintages_<view>` of the newest vintages in `known_<source>`.

    Its columns are those of the source and of `derive`, `_for`, the moment that is forecast, and `_issued_at`. A row is
    one entity, series and `_for`.
    """
    derived = "".join(f', ({text}) AS "{name}"' for name, text in view.derive.items())
    read = times_read(times.issued_at, times.valid_at, dict.fromkeys(connection.table(f"known_{view.source}").columns))
    series = [name for name in key if name not in read]
    same = ", ".join(f'"{name}"' for name in dict.fromkeys([*view.entity, *series]))
    newest = ", ".join(["_issued_at DESC", "known_at DESC", *(f'"{name}" DESC' for name in key)])
    order = ", ".join(["_for", *(f'"{name}"' for name in series)])
    connection.execute(
        f'CREATE OR REPLACE TEMP TABLE "_vintages_{view.name}" AS SELECT *, row_number() OVER (ORDER BY {order}) AS '
        f"_order FROM (SELECT *{derived}, CAST(({times.valid_at}) AS TIMESTAMPTZ) AS _for, "
        f'least(coalesce(event_at, known_at), known_at) AS _issued_at FROM "known_{view.source}") QUALIFY '
        f"row_number() OVER (PARTITION BY {f'{same}, ' if same else ''}_for ORDER BY {newest}) = 1"
    )


def forecast_query(view: FeatureView, moment: datetime, same: str, aggregate_sql: AggregateSql) -> str:
    """Give SQL of the features of a view over its vintages, a row a `_number` of table `_examined`.

    Parameters
    ----------
    same
        SQL that says when a row `f` is about an example `a`.
    aggregate_sql
        Gives SQL of an aggregate: of which rows, in which order, and the age of a row in hours.
    """
    young = f" AND _issued_at > TIMESTAMPTZ '{(moment - view.max_age).isoformat()}'" if view.max_age else ""
    facts = (
        f'(SELECT *{measured_columns(view)} FROM "_vintages_{view.name}" WHERE (({view.where or "true"}) IS TRUE)'
        f"{young})"
    )
    asked = f'CAST(a."{view.moment or "prediction_at"}" AS TIMESTAMPTZ)'
    if view.aggregates:
        return with_deviations(view, _windows_ahead(view, asked, (facts, same), aggregate_sql))
    parts = [
        _nearest(view, asked, (facts, same), moment, place, step or timedelta(0))
        for place, step in enumerate(view.steps)
    ]
    joined = "".join(f" JOIN ({part}) AS p{place} USING (_number)" for place, part in enumerate(parts[1:], 1))
    return f"SELECT * FROM ({parts[0]}) AS p0{joined}"


def _windows_ahead(view: FeatureView, asked: str, rows: tuple[str, str], aggregate_sql: AggregateSql) -> str:
    facts, same = rows
    found: list[str] = []
    pairs = [(window, aggregate) for window in view.ahead for aggregate in view.parsed_aggregates()]
    for name, (window, aggregate) in zip(view.feature_names(), pairs, strict=True):
        until = f"{asked} + {_interval(window)}"
        age_h = f"date_diff('microsecond', f._for, {until}) / 3.6e9"
        found.append(f'{aggregate_sql(aggregate, f"f._for <= {until}", ["f._order"], age_h)} AS "{name}"')
    return (
        f"SELECT a._number, {', '.join(found)} FROM _examined AS a LEFT JOIN {facts} AS f ON {same} "
        f"AND f._for > {asked} AND f._for <= {asked} + {_interval(max(view.ahead))} GROUP BY 1"
    )


def _nearest(
    view: FeatureView, asked: str, rows: tuple[str, str], moment: datetime, place: int, step: timedelta
) -> str:
    facts, same = rows
    values = [f'f."{column}"' for column in view.latest]
    now = f"TIMESTAMPTZ '{moment.isoformat()}'"
    values += [f"date_diff('microsecond', f._issued_at, {now}) / 3.6e9"] * view.with_age
    values += ["date_diff('microsecond', f._issued_at, f._for) / 3.6e9"] * view.with_lead
    names = view.feature_names()[place * len(values) : (place + 1) * len(values)]
    found = ", ".join(f'{value} AS "{name}"' for value, name in zip(values, names, strict=True))
    last = f"({asked} + {_interval(step)})"
    within = f"f._for <= {last} AND f._for > {last} - {_interval(view.within or timedelta(0))}"
    return (
        f"SELECT a._number, {found} FROM _examined AS a LEFT JOIN {facts} AS f ON {same} AND {within} "
        f"QUALIFY row_number() OVER (PARTITION BY a._number ORDER BY f._order DESC NULLS LAST) = 1"
    )


def measured_columns(view: FeatureView) -> str:
    """Give SQL of what a view measures, as further columns of a SELECT."""
    return "".join(
        f', ({aggregate.expression}) AS "_of_{aggregate.name}"'
        for aggregate in view.parsed_aggregates()
        if not aggregate.counts_rows
    )


def with_deviations(view: FeatureView, grouped: str) -> str:
    """Make standard deviations of the lists that a query gives of them."""
    asked = [aggregate for _ in view.spans for aggregate in view.parsed_aggregates()]
    names = [name for name, each in zip(view.feature_names(), asked, strict=True) if each.function == "std"]
    spreads = ", ".join(_DEVIATION.replace("{values}", f'"{name}"') + f' AS "{name}"' for name in names)
    return f"SELECT * REPLACE ({spreads}) FROM ({grouped})" if names else grouped


def _interval(length: timedelta) -> str:
    return f"INTERVAL '{length // timedelta(microseconds=1)} microseconds'"
