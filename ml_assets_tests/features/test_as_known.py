from __future__ import annotations

import math

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.features.as_known import delete_future, lay_history, recompute_views
from ml_assets.features.leakage_audit import is_same
from ml_assets.features.row_expressions import evaluate_rows
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.features.conftest import put
from ml_assets_tests.features.test_point_in_time import (
    EXAMPLE_SCHEMA,
    FACT_SCHEMA,
    KEY,
    Row,
    example_rows,
    fact_rows,
    features_of,
    stops,  # noqa: F401 - a fixture
)

KEYS = {"stops": KEY}
# without 1e15 beside -1e15: what is left of two that cancel is more exact in the engine than in SQL
ORDINARY = st.sampled_from([0.0, 1.0, 2.0, -3.25, 0.1, 7.7, math.nan, math.inf, -math.inf, None])


@settings(max_examples=15)
@given(facts=fact_rows(numbers=ORDINARY), examples=example_rows())
def test_recomputed_without_the_future_is_what_the_engine_gives(
    engine: duckdb.DuckDBPyConnection,
    stops: UseCaseSpec,  # noqa: F811
    facts: list[Row],
    examples: list[Row],
) -> None:
    stored = {row["example_id"]: row for row in features_of(engine, stops, facts, examples).to_pylist()}
    schema = EXAMPLE_SCHEMA.append(pa.field("_number", pa.int64()))
    with duckdb.connect() as other:
        other.execute("SET TimeZone = 'UTC'; SET threads = 1")
        put(other, "all_stops", pa.Table.from_pylist(facts, FACT_SCHEMA))
        lay_history(other, KEYS)
        for example in examples:
            delete_future(other, KEYS, example["prediction_at"])
            put(other, "_examined", pa.Table.from_pylist([{**example, "_number": 1}], schema))
            recompute_views(other, stops.features, KEYS, example["prediction_at"])
            (again,) = evaluate_rows(other, stops.features).to_arrow_table().to_pylist()
            found = stored[example["example_id"]]
            assert {name for name in found if not is_same(found[name], again[name])} == set(), example["example_id"]
