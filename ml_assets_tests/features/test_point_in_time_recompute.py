from __future__ import annotations

import math

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.features.leakage_audit import is_same
from ml_assets.features.lookback import view_lookback
from ml_assets.features.point_in_time_recompute import delete_future, lay_history, recompute_views
from ml_assets.features.row_expressions import evaluate_rows
from ml_assets.spec.features import FeatureSpec
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.conftest import drawn
from ml_assets_tests.features.conftest import put
from ml_assets_tests.features.test_point_in_time import (
    EXAMPLE_SCHEMA,
    FACT_SCHEMA,
    KEY,
    Row,
    example_rows,
    fact_rows,
    features_of,
    made_up_example,
    made_up_fact,
    stops,  # noqa: F401 - a fixture
    window_view,
)

KEYS = {"stops": KEY}
# without 1e15 beside -1e15: what is left of two that cancel is more exact in the engine than in SQL
ORDINARY = st.sampled_from([0.0, 1.0, 2.0, -3.25, 0.1, 7.7, math.nan, math.inf, -math.inf, None])


@drawn(6)
@given(facts=fact_rows(numbers=ORDINARY), examples=example_rows())
def test_recomputed_without_the_future_is_what_the_engine_gives(
    engine: duckdb.DuckDBPyConnection,
    stops: UseCaseSpec,  # noqa: F811
    facts: list[Row],
    examples: list[Row],
) -> None:
    stored = {row["example_id"]: row for row in features_of(engine, stops, facts, examples).to_pylist()}
    again = without_future(stops, facts, examples)

    for name, found in stored.items():
        assert {column for column in found if not is_same(found[column], again[name][column])} == set(), name


def without_future(
    spec: UseCaseSpec, facts: list[Row], examples: list[Row], schema: pa.Schema = FACT_SCHEMA
) -> dict[str, Row]:
    """Recompute each example from the facts known at its moment."""
    asked, found = EXAMPLE_SCHEMA.append(pa.field("_number", pa.int64())), {}
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        put(connection, "all_stops", pa.Table.from_pylist(facts, schema))
        lay_history(connection, KEYS)
        lookbacks = {"stops": view_lookback(spec.features.views, "stops")}
        for example in examples:
            delete_future(connection, KEYS, example["prediction_at"], lookbacks)
            put(connection, "_examined", pa.Table.from_pylist([{**example, "_number": 1}], asked))
            recompute_views(connection, spec.features, KEYS, example["prediction_at"])
            (found[example["example_id"]],) = evaluate_rows(connection, spec.features).to_arrow_table().to_pylist()
    return found


def test_correction_of_a_fact_too_old_to_be_read_counts_where_the_fact_did(
    engine: duckdb.DuckDBPyConnection,
    stops: UseCaseSpec,  # noqa: F811
) -> None:
    first, correction = made_up_fact(1.0, x=10.0), made_up_fact(80.0, x=4.0)
    example = made_up_example(82.0)
    together = features_of(engine, stops, [first, correction], [example], [example["batch_date"]]).to_pylist()

    schema = FACT_SCHEMA.append(pa.field("_first_known_at", pa.timestamp("us", "UTC")))
    again = without_future(stops, [{**correction, "_first_known_at": first["known_at"]}], [example], schema)

    assert together[0]["by_carrier_rows_3d"] == 0  # it became known 81 hours ago
    assert {name for name in together[0] if not is_same(together[0][name], again["e"][name])} == set()


def test_values_that_floats_hardly_hold_are_the_same_for_both(
    engine: duckdb.DuckDBPyConnection,
    stops: UseCaseSpec,  # noqa: F811
) -> None:
    aggregates = {"spread": "std(50000000 + x)", "ids": "distinct(9007199254740992 + stop)", "huge": "std(x * 1e200)"}
    view = window_view("close", ("carrier",), aggregates=aggregates)
    spec = stops.model_copy(update={"features": FeatureSpec(views=(view,))})
    facts = [made_up_fact(30.0 + place / 10, place, x=place / 100) for place in range(1, 5)]
    example = made_up_example(31.0)

    (stored,) = features_of(engine, spec, facts, [example], [example["batch_date"]]).to_pylist()
    again = without_future(spec, facts, [example])["e"]

    assert {name for name in stored if not is_same(stored[name], again[name])} == set()
    assert (stored["close_ids_1d"], stored["close_huge_1d"]) == (4, None)
    assert stored["close_spread_1d"] == pytest.approx(0.0129099, rel=1e-5)


def test_entity_is_compared_as_what_holds_both(
    engine: duckdb.DuckDBPyConnection,
    stops: UseCaseSpec,  # noqa: F811
) -> None:
    view = window_view("by_hour", ("hour",), derive={"hour": "CASE WHEN stop_hour = 8 THEN '8' ELSE 'n/a' END"})
    spec = stops.model_copy(update={"features": FeatureSpec(views=(view,))})
    facts = [made_up_fact(30.0, 1), made_up_fact(30.5, 2, stop_hour=9)]
    example = made_up_example(31.0)

    (stored,) = features_of(engine, spec, facts, [example], [example["batch_date"]]).to_pylist()

    assert stored["by_hour_rows_1d"] == 1
    assert without_future(spec, facts, [example])["e"]["by_hour_rows_1d"] == 1
