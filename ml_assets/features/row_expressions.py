"""Features that are an expression over one row: calendar, crosses, what the example itself says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_assets.spec.features import FeatureSpec
from ml_assets.spec.user_sql import check_expression

if TYPE_CHECKING:
    import duckdb


def prepare_holidays(connection: duckdb.DuckDBPyConnection, country: str, years: range) -> None:
    """Give row expressions `is_holiday(day)`, `days_to_holiday(day)` and `days_since_holiday(day)`.

    The days are the public holidays of `country`, as the `holidays` package has them. Give a year
    more on either side than is asked for, so that the nearest holiday is among them.
    """
    import holidays

    days = sorted(holidays.country_holidays(country, years=years))
    connection.execute("CREATE OR REPLACE TEMP TABLE _holidays (holiday DATE)")
    connection.executemany("INSERT INTO _holidays VALUES (?)", [[day] for day in days])
    connection.execute(
        "CREATE OR REPLACE TEMP MACRO is_holiday(day) AS EXISTS (SELECT 1 FROM _holidays WHERE holiday = day)"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP MACRO days_to_holiday(day) AS "
        "(SELECT min(holiday - day) FROM _holidays WHERE holiday >= day)"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP MACRO days_since_holiday(day) AS "
        "(SELECT min(day - holiday) FROM _holidays WHERE holiday <= day)"
    )


def evaluate_rows(connection: duckdb.DuckDBPyConnection, spec: FeatureSpec) -> duckdb.DuckDBPyRelation:
    """Add the row expressions of `spec` to `_rows`: examples with their view features beside them, in their order.

    Returns
    -------
    relation
        `batch_date`, `example_id`, `prediction_at` and every declared feature, in order of declaration.
    """
    for expression in spec.expressions:
        check_expression(expression.sql)
    computed = ", ".join(f'({expression.sql}) AS "{expression.name}"' for expression in spec.expressions)
    from_views = ", ".join(f'"{name}"' for view in spec.views for name in view.feature_names())
    selected = ", ".join(part for part in (from_views, computed) if part)
    return connection.sql(f"SELECT batch_date, example_id, prediction_at, {selected} FROM _rows")
