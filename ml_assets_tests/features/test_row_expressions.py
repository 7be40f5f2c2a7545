from __future__ import annotations

from datetime import UTC, date, datetime

import duckdb
import pyarrow as pa
import pytest

from ml_assets.features.facts import load_scope
from ml_assets.features.plan import compile_plan
from ml_assets.features.row_expressions import evaluate_rows, prepare_holidays
from ml_assets.spec.features import FeatureSpec, FeatureView, RowExpression
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.spec.user_sql import UserSqlError
from ml_assets_tests.features.conftest import put


def expressions(**sql: str) -> FeatureSpec:
    return FeatureSpec(expressions=tuple(RowExpression(name=name, sql=text) for name, text in sql.items()))


def put_days(connection: duckdb.DuckDBPyConnection, *days: date) -> None:
    count = len(days)
    moments = pa.array([datetime(2013, 1, 1, tzinfo=UTC)] * count, pa.timestamp("us", "UTC"))
    ids = [f"e{position}" for position in range(count)]
    rows = {"batch_date": list(days), "example_id": ids, "prediction_at": moments, "day": list(days)}
    put(connection, "_rows", pa.table(rows))


def test_holidays_are_found_on_the_day_before_it_and_after_it(engine: duckdb.DuckDBPyConnection) -> None:
    put_days(engine, date(2013, 7, 3), date(2013, 7, 4), date(2013, 7, 6))
    prepare_holidays(engine, "US", range(2012, 2015))

    spec = expressions(is_one="is_holiday(day)", before="days_to_holiday(day)", after="days_since_holiday(day)")
    found = evaluate_rows(engine, spec).project("is_one, before, after").fetchall()

    # the holidays around are Memorial Day, May 27, and Labor Day, September 2
    assert found == [(False, 1, 37), (True, 0, 0), (False, 58, 2)]


def test_nearest_holiday_can_lie_in_the_next_year(engine: duckdb.DuckDBPyConnection) -> None:
    put_days(engine, date(2013, 12, 30))
    prepare_holidays(engine, "US", range(2012, 2015))

    found = evaluate_rows(engine, expressions(before="days_to_holiday(day)")).project("before").fetchall()

    assert found == [(2,)]


def test_expression_sees_its_own_row_and_comes_in_order_of_declaration(engine: duckdb.DuckDBPyConnection) -> None:
    put_days(engine, date(2013, 7, 6), date(2013, 7, 5))

    found = evaluate_rows(engine, expressions(weekday="isodow(day)", month="month(day)"))

    assert found.columns == ["batch_date", "example_id", "prediction_at", "weekday", "month"]
    assert found.project("example_id, weekday, month").fetchall() == [
        ("e0", 6, 7),
        ("e1", 5, 7),
    ]  # in the order of the rows


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("row_number() OVER ()", "a window function"),
        ("(SELECT max(day) FROM _rows)", "a subquery"),
        ("date_diff('day', day, current_date)", "current_date"),
        ("random()", "random"),
    ],
)
def test_expression_that_looks_beyond_its_row_is_refused(
    engine: duckdb.DuckDBPyConnection, sql: str, found: str
) -> None:
    put_days(engine, date(2013, 7, 4))

    with pytest.raises(UserSqlError, match=f"found {found} in "):
        evaluate_rows(engine, expressions(bad=sql))


@pytest.mark.parametrize(
    "part",
    [
        {"derive": {"carrier": "lead(name) OVER (ORDER BY known_at)"}},
        {"where": "known_at > (SELECT max(known_at) FROM validated_stops)"},
        {"aggregates": {"rank": "sum(rank() OVER (ORDER BY known_at))"}},
    ],
)
def test_view_that_looks_beyond_a_fact_is_refused(
    engine: duckdb.DuckDBPyConnection, flagship: UseCaseSpec, part: dict[str, object]
) -> None:
    declared = {
        "name": "v",
        "from": "weather",
        "entity": ["origin"],
        "windows": ["1d"],
        "aggregates": {"n": "count(*)"},
    }
    features = FeatureSpec(views=(FeatureView.model_validate({**declared, **part}),))
    (scope,) = compile_plan(flagship.model_copy(update={"features": features}))

    with pytest.raises(UserSqlError, match="allowed: an expression over the columns of one row"):
        load_scope(engine, scope, None, datetime(2013, 1, 1, tzinfo=UTC))
