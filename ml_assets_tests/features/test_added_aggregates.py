"""An aggregate of another package: found by its name, computed as known at a moment, judged by the recomputation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml_assets.features.added_aggregates import reduce_added, reduce_window
from ml_assets.features.aggregate_conformance import CHECKS
from ml_assets.features.feature_table import compute_features
from ml_assets.features.point_in_time_recompute import delete_future, lay_history, recompute_views
from ml_assets.spec.aggregates import AddedAggregate, added_aggregate, aggregate_names
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.contract import Column, Source
from ml_assets.spec.extensions import ExtensionError
from ml_assets.spec.features import FeatureSpec, FeatureView, parse_aggregate
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.added_package import install, installed
from ml_assets_tests.features.conftest import put
from ml_assets_tests.rehearsal import REPOSITORY

START = datetime(2026, 3, 1, tzinfo=UTC)
CALENDAR = Calendar(start=date(2026, 3, 1), at=time(4), timezone="Europe/Berlin")
EXAMPLE = (REPOSITORY / "docs" / "examples" / "trend_aggregate.py").read_text()


@pytest.fixture(autouse=True)
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the example of the documentation, one that cannot be loaded, and one that takes a known name."""
    adds = {"trend_per_day": "trend_aggregate:AGGREGATE", "gone": "not_installed_anywhere:AGGREGATE", "count": "x:Y"}
    folder = install(
        tmp_path_factory.mktemp("package"), {"trend_aggregate.py": EXAMPLE}, {"ml_assets.aggregates": adds}
    )
    with installed(folder):
        yield


@pytest.fixture
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection of its own: the recomputation puts views in the place of tables."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        yield connection


@pytest.fixture
def facts(engine: duckdb.DuckDBPyConnection) -> pa.Table:
    """400 readings of 5 machines over 20 days, a tenth corrected later, some without a value."""
    rng = np.random.default_rng(7)
    rows = []
    for number in range(400):
        known_at = START + timedelta(hours=float(rng.uniform(0, 480)))
        value = None if rng.random() < 0.1 else float(rng.normal(20, 5))
        rows.append((f"r{number}", f"m{number % 5}", value, known_at))
        if rng.random() < 0.1:
            rows.append((f"r{number}", f"m{number % 5}", float(rng.normal(20, 5)), known_at + timedelta(hours=30)))
    table = pa.table({
        "batch_date": pa.array([CALENDAR.drop_receiving(row[3]) for row in rows], pa.date32()),
        "reading": pa.array([row[0] for row in rows]), "machine": pa.array([row[1] for row in rows]),
        "degrees": pa.array([row[2] for row in rows], pa.float64()),
        "event_at": pa.array([row[3] for row in rows], pa.timestamp("us", "UTC")),
        "known_at": pa.array([row[3] for row in rows], pa.timestamp("us", "UTC")),
    })  # fmt: skip
    put(engine, "validated_readings", table)
    return table


def spec_of(base: UseCaseSpec) -> UseCaseSpec:
    text = Column(type="string")
    columns = {"reading": text, "machine": text, "degrees": Column(type="float")}
    source = Source(name="readings", key=("reading",), columns=columns, known_at="event_at")
    view = FeatureView.model_validate({
        "name": "readings", "from": "readings", "entity": ["machine"], "windows": ["2d", "7d"],
        "aggregates": {"trend": "trend_per_day(degrees)", "average": "mean(degrees)"},
    })  # fmt: skip
    return base.model_copy(
        update={"calendar": CALENDAR, "sources": (source,), "features": FeatureSpec(views=(view,), expressions=())}
    )


def test_names_are_those_of_the_package_and_those_added_and_nobody_replaces_a_known_one() -> None:
    assert aggregate_names()[-2:] == ["gone", "trend_per_day"]
    assert aggregate_names().count("count") == 1
    assert parse_aggregate("x", "trend_per_day(degrees)").function == "trend_per_day"


def test_one_that_cannot_be_loaded_is_named_with_its_package_and_stops_only_what_uses_it() -> None:
    said = r"'gone' of added-package \(not_installed_anywhere:AGGREGATE\) cannot be loaded: ModuleNotFoundError"
    with pytest.raises(ValueError, match=said):
        parse_aggregate("x", "gone(degrees)")
    assert parse_aggregate("x", "mean(degrees)").function == "mean"


def test_unknown_one_is_a_mistake_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="nearest: trend_per_day"):
        parse_aggregate("x", "trend_per_dy(degrees)")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_example_of_the_documentation_conforms(check) -> None:
    check(added_aggregate("trend_per_day"))


@pytest.mark.parametrize(
    ("check", "of"),
    [
        (0, lambda *_: None),
        (1, lambda *_, seen=[]: (seen.append(1), float(len(seen)))[1]),
        (2, lambda values, _: float(values.sort() or 0)),
    ],
)
def test_conformance_sees_what_does_not_conform(check: int, of) -> None:
    with pytest.raises(AssertionError, match="bad"):
        CHECKS[check](AddedAggregate("bad", of))


def test_values_are_those_of_the_recomputation_with_corrections_and_nulls(
    engine: duckdb.DuckDBPyConnection, facts: pa.Table, flagship: UseCaseSpec
) -> None:
    spec, moment = spec_of(flagship), CALENDAR.batch_at(date(2026, 3, 15))
    asked = pa.table({
        "batch_date": pa.array([date(2026, 3, 15)] * 6, pa.date32()),
        "example_id": [f"e{number}" for number in range(6)],
        "prediction_at": pa.array([moment] * 6, pa.timestamp("us", "UTC")),
        "machine": ["m0", "m1", "m2", "m3", "m4", "never seen"],
    })  # fmt: skip
    put(engine, "_examples", asked)

    computed = compute_features(engine, spec, [date(2026, 3, 15)]).sort_by("example_id")

    put(engine, "all_readings", facts)
    engine.execute("DROP TABLE validated_readings")
    lay_history(engine, {"readings": ("reading",)})
    delete_future(engine, {"readings": ("reading",)}, moment, {"readings": timedelta(days=7)})
    numbered = "SELECT *, row_number() OVER (ORDER BY example_id) AS _number FROM _examples"
    engine.execute(f"CREATE OR REPLACE TEMP TABLE _examined AS {numbered}")
    recompute_views(engine, spec.features, {"readings": ("reading",)}, moment)
    judged = engine.sql("SELECT * FROM _rows ORDER BY example_id").to_arrow_table()
    for name in ("readings_trend_2d", "readings_trend_7d"):
        values = computed[name].to_pylist()
        assert values == judged[name].to_pylist(), name
        assert values[-1] is None
        assert sum(value is not None for value in values) == 5


def test_newest_fact_of_a_moment_after_it_changes_no_value(
    engine: duckdb.DuckDBPyConnection, facts: pa.Table, flagship: UseCaseSpec
) -> None:
    spec, moment = spec_of(flagship), CALENDAR.batch_at(date(2026, 3, 10))
    put(engine, "_examples", pa.table({
        "batch_date": pa.array([date(2026, 3, 10)], pa.date32()), "example_id": ["e"],
        "prediction_at": pa.array([moment], pa.timestamp("us", "UTC")), "machine": ["m1"],
    }))  # fmt: skip
    whole = compute_features(engine, spec, [date(2026, 3, 10)])
    known = facts.filter(pc.field("known_at") <= pa.scalar(moment, pa.timestamp("us", "UTC")))
    put(engine, "validated_readings", known)

    assert compute_features(engine, spec, [date(2026, 3, 10)]).equals(whole)


def test_window_without_a_value_is_null_and_equal_windows_are_reduced_once() -> None:
    calls: list[int] = []
    counting = AddedAggregate("counting", lambda values, ages: float(calls.append(values.size) or ages[0]))
    numbers, counted = np.array([1.0, np.nan, 3.0]), np.array([0, 1, 2]) * 3_600_000_000
    starts, ends, moments = np.array([0, 0, 1, 2]), np.array([3, 3, 2, 3]), np.full(4, 4 * 3_600_000_000)

    found = reduce_added(counting, numbers, counted, (starts, ends), moments)

    assert found.tolist()[:2] == [4.0, 4.0]
    assert np.isnan(found[2])
    assert found[3] == 2.0
    assert calls == [2, 1]


def test_aggregate_that_fails_is_named_with_its_window() -> None:
    broken = AddedAggregate("broken", lambda *_: int("x"))
    with pytest.raises(ExtensionError, match=r"'broken' failed on a window of 2 values, 1 to 5: ValueError"):
        reduce_window(broken, [1.0, 5.0], [2.0, 1.0])


def test_infinite_result_is_null() -> None:
    assert reduce_window(AddedAggregate("endless", lambda *_: float("inf")), [1.0], [0.0]) is None
