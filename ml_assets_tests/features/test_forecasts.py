from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.features import forecasts
from ml_assets.features.facts import load_scope
from ml_assets.features.feature_table import compute_features
from ml_assets.features.forecasts import compute_forecasts
from ml_assets.features.leakage_audit import is_same
from ml_assets.features.lookback import view_lookback
from ml_assets.features.plan import compile_plan
from ml_assets.features.point_in_time_recompute import delete_future, lay_history, recompute_views
from ml_assets.features.row_expressions import evaluate_rows
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.contract import Column, Source
from ml_assets.spec.features import FeatureSpec, FeatureView, RowExpression
from ml_assets.spec.forecasts import ForecastTimes
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.conftest import drawn
from ml_assets_tests.features.conftest import put
from ml_assets_tests.features.oracle import Row, always, reduce_facts
from ml_assets_tests.features.vintage_oracle import newest_vintages, values_of, vintages_between

HOUR = timedelta(hours=1)
KEY, SERIES = ("region", "model", "hour", "issued_at"), ("region", "model")
KEYS = {"demand": KEY}
CALENDAR = Calendar(start=date(2024, 3, 8), at=time(4), timezone="America/New_York")
DROPS = CALENDAR.drops_between(date(2024, 3, 9), date(2024, 3, 12))  # one of them is 23 hours long
BEGINNING, END = CALENDAR.batch_at(date(2024, 3, 8)), CALENDAR.batch_at(date(2024, 3, 12))
AHEAD = (timedelta(hours=3), timedelta(hours=24))
AGGREGATES = {
    "hours": "count(*)",
    "known": "count(mw)",
    "total": "sum(mw)",
    "average": "mean(mw)",
    "least": "min(mw)",
    "peak": "max(mw)",
    "spread": "std(mw)",
    "end": "last(mw)",
    "kinds": "distinct(mw)",
}
MOMENT = pa.timestamp("us", "UTC")
VINTAGE_SCHEMA = pa.schema(
    {"batch_date": pa.date32(), "region": pa.string(), "model": pa.string(), "hour": MOMENT, "issued_at": MOMENT,
     "mw": pa.float64(), "kind": pa.string(), "event_at": MOMENT, "known_at": MOMENT}
)  # fmt: skip
EXAMPLE_SCHEMA = pa.schema(
    {"batch_date": pa.date32(), "example_id": pa.string(), "prediction_at": MOMENT, "region": pa.string(),
     "model": pa.string(), "starts_at": MOMENT}
)  # fmt: skip


def ahead_view(name: str, entity: tuple[str, ...], **more: Any) -> FeatureView:
    return FeatureView.model_validate(
        {"name": name, "from": "demand", "entity": entity, "ahead": AHEAD, "aggregates": AGGREGATES, **more}
    )


def latest_view(name: str, entity: tuple[str, ...], **more: Any) -> FeatureView:
    asked = {"latest": ("mw", "kind"), "within": "2h", "with_age": True, "with_lead": True}
    return FeatureView.model_validate({"name": name, "from": "demand", "entity": entity, **asked, **more})


VIEWS = (
    ahead_view("of_region", ("region",)),
    ahead_view("of_all", (), max_age="30h", **{"for": "starts_at"}),
    ahead_view("of_model", ("region", "model"), where="kind <> 'b'", **{"for": "starts_at"}),
    latest_view("now", ("region", "model")),
    latest_view("then", ("region",), max_age="12h", where="kind <> 'b'", **{"for": "starts_at"}),
    latest_view("later", ("region", "model"), ahead=("3h", "12h")),
)
CONDITIONS = {name: (lambda row: row["kind"] not in (None, "b")) for name in ("of_model", "then")}


def with_views(flagship: UseCaseSpec, *views: FeatureView) -> UseCaseSpec:
    columns = {name: Column(type="string") for name in ("region", "model", "kind")}
    columns |= {name: Column(type="timestamp") for name in ("hour", "issued_at")} | {"mw": Column(type="float")}
    times = ForecastTimes.model_validate({"issued_at": "issued_at", "for": "hour"})
    source = Source(name="demand", key=KEY, columns=columns, forecast=times)
    features = FeatureSpec(views=views, expressions=(RowExpression(name="same", sql="region"),))
    return flagship.model_copy(update={"calendar": CALENDAR, "sources": (source,), "features": features})


@pytest.fixture(scope="module")
def demand(flagship: UseCaseSpec) -> UseCaseSpec:
    """Declare views over one made-up forecast whose vintages come late, twice and corrected."""
    return with_views(flagship, *VIEWS)


def vintage(issued_h: float, hour_h: float, mw: float | None = 1.0, known_h: float | None = None, **more: Any) -> Row:
    """Make a vintage; times in hours since the beginning, known when issued by default."""
    known_at = BEGINNING + (issued_h if known_h is None else known_h) * HOUR
    issued_at = BEGINNING + issued_h * HOUR
    made = {"batch_date": CALENDAR.drop_receiving(known_at), "region": "n", "model": "gfs",
            "hour": BEGINNING + hour_h * HOUR, "issued_at": issued_at, "mw": mw, "kind": "a", "event_at": issued_at,
            "known_at": known_at}  # fmt: skip
    return made | more


def example(at_h: float, **more: Any) -> Row:
    at = BEGINNING + at_h * HOUR
    made = {"batch_date": CALENDAR.drop_receiving(at), "example_id": "e", "prediction_at": at, "region": "n",
            "model": "gfs", "starts_at": at + 5 * HOUR}  # fmt: skip
    return made | more


@st.composite
def vintage_rows(draw: st.DrawFn, numbers: st.SearchStrategy[float | None]) -> list[Row]:
    """Draw vintages of few series, hours and issues, in any order, so that many are late, tied or corrected."""
    rows: dict[tuple[Any, ...], Row] = {}
    for _ in range(draw(st.integers(0, 50))):
        issued_h = draw(st.integers(0, 13)) * 6
        known_h = draw(st.integers(issued_h, 95)) + draw(st.sampled_from([0.0, 0.0, 0.25]))
        row = vintage(
            issued_h,
            issued_h + draw(st.integers(-3, 30)),
            draw(numbers),
            max(known_h, 0.01),
            region=draw(st.sampled_from(["n", "s"])),
            model=draw(st.sampled_from(["gfs", "ecmwf"])),
            kind=draw(st.sampled_from(["a", "b", None])),
        )
        rows[row["batch_date"], *(row[name] for name in KEY)] = row
    return draw(st.permutations([row for row in rows.values() if row["known_at"] <= END]))


@st.composite
def example_rows(draw: st.DrawFn) -> list[Row]:
    found: list[Row] = []
    for around_h in draw(st.lists(st.floats(25, 94), max_size=8)):
        at_h = draw(st.sampled_from([float(round(around_h)), round(around_h, 2)]))
        starts_at = draw(st.sampled_from([None, *(BEGINNING + (at_h + step) * HOUR for step in (-8, 0, 0.5, 20))]))
        region = draw(st.sampled_from(["n", "s", "never seen", None]))
        model = draw(st.sampled_from(["gfs", "ecmwf", None]))
        found.append(example(at_h, example_id=f"e{len(found):03}", region=region, model=model, starts_at=starts_at))
    return sorted(found, key=lambda each: (each["batch_date"], each["example_id"]))


NUMBERS = st.sampled_from([0.0, 1.0, 2.0, -3.25, 0.1, 7.7, 1e15, -1e15, math.nan, math.inf, None])
ORDINARY = st.sampled_from([0.0, 1.0, 2.0, -3.25, 0.1, 7.7, math.nan, math.inf, None])


def features_of(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, rows: Sequence[Row], examples: Sequence[Row]
) -> list[Row]:
    put(connection, "validated_demand", pa.Table.from_pylist(list(rows), VINTAGE_SCHEMA))
    put(connection, "_examples", pa.Table.from_pylist(list(examples), EXAMPLE_SCHEMA))
    return compute_features(connection, spec, DROPS).to_pylist()


def without_future(spec: UseCaseSpec, rows: Sequence[Row], examples: Sequence[Row]) -> dict[str, Row]:
    """Recompute each example by the slow SQL, from the vintages known at its moment."""
    asked, found = EXAMPLE_SCHEMA.append(pa.field("_number", pa.int64())), {}
    times = {source.name: source.forecast for source in spec.sources if source.forecast}
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        put(connection, "all_demand", pa.Table.from_pylist(list(rows), VINTAGE_SCHEMA))
        lay_history(connection, KEYS)
        lookbacks = {"demand": view_lookback(spec.features.views, "demand")}
        for each in examples:
            delete_future(connection, KEYS, each["prediction_at"], lookbacks)
            put(connection, "_examined", pa.Table.from_pylist([{**each, "_number": 1}], asked))
            recompute_views(connection, spec.features, KEYS, each["prediction_at"], times)
            (found[each["example_id"]],) = evaluate_rows(connection, spec.features).to_arrow_table().to_pylist()
    return found


def expected_of(view: FeatureView, newest: Sequence[Row], asked: Row) -> list[Any]:
    """Give what a view is for an example, by the slow judge."""
    where, moment = CONDITIONS.get(view.name, always), asked[view.moment or "prediction_at"]
    found: list[Any] = []
    for step in view.ahead or (timedelta(0),):
        if view.aggregates:
            bounds = None if moment is None else (moment, moment + step)
        else:
            bounds = None if moment is None else (moment + step - (view.within or HOUR), moment + step)
        held = [] if bounds is None else vintages_between(newest, asked, view.entity, bounds, view.max_age, where)
        if view.latest:
            last = held[-1] if held else None
            found += [None] * 4 if last is None else [
                last["mw"], last["kind"], (asked["prediction_at"] - last["issued_at"]) / HOUR,
                (last["hour"] - last["issued_at"]) / HOUR]  # fmt: skip
        for text in view.aggregates.values():
            function = text.partition("(")[0]
            values = [(row["hour"], True) for row in held] if "*" in text else values_of(held)
            found.append(reduce_facts(function, values, asked["prediction_at"]))
    return found


def differ(found: Any, expected: Any) -> bool:
    return not is_same(found, expected)


@drawn(30)
@given(rows=vintage_rows(NUMBERS), examples=example_rows())
def test_every_value_is_of_the_newest_vintage_known_by_then(
    engine: duckdb.DuckDBPyConnection, demand: UseCaseSpec, rows: list[Row], examples: list[Row]
) -> None:
    stored = features_of(engine, demand, rows, examples)

    assert len(stored) == len(examples)
    for asked, found in zip(examples, stored, strict=True):
        newest = newest_vintages(rows, KEY, SERIES, asked["prediction_at"])
        for view in VIEWS:
            expected = dict(zip(view.feature_names(), expected_of(view, newest, asked), strict=True))
            wrong = {name: (found[name], value) for name, value in expected.items() if differ(found[name], value)}
            assert wrong == {}, view.name


@drawn(10)
@given(rows=vintage_rows(ORDINARY), examples=example_rows())
def test_recomputed_without_the_future_is_what_the_engine_gives(
    engine: duckdb.DuckDBPyConnection, demand: UseCaseSpec, rows: list[Row], examples: list[Row]
) -> None:
    stored = {row["example_id"]: row for row in features_of(engine, demand, rows, examples)}
    again = without_future(demand, rows, examples)

    for name, found in stored.items():
        assert {column for column in found if differ(found[column], again[name][column])} == set(), name


@drawn(10)
@given(rows=vintage_rows(ORDINARY), examples=example_rows(), seed=st.integers(0, 99))
def test_vintages_of_the_future_change_no_value(
    engine: duckdb.DuckDBPyConnection, demand: UseCaseSpec, rows: list[Row], examples: list[Row], seed: int
) -> None:
    if not examples:
        return
    moment = max(each["prediction_at"] for each in examples)
    rng = np.random.default_rng(seed)
    poisoned = [{**row, "mw": float(rng.normal()), "kind": "b"} if row["known_at"] > moment else row for row in rows]

    assert repr(features_of(engine, demand, rows, examples)) == repr(features_of(engine, demand, poisoned, examples))


def test_later_vintage_replaces_the_earlier_from_when_it_is_known(
    engine: duckdb.DuckDBPyConnection, flagship: UseCaseSpec
) -> None:
    spec = with_views(flagship, latest_view("now", ("region",)))
    rows = [vintage(20, 30, 5.0), vintage(26, 30, 7.0, known_h=29)]
    asked = [example(30 - 1.5 + step, example_id=f"e{step}", starts_at=None) for step in (0, 1)]
    view = latest_view("then", ("region",), **{"for": "starts_at"})
    spec = with_views(flagship, view)
    at_30 = BEGINNING + 30 * HOUR
    before, after = features_of(engine, spec, rows, [{**each, "starts_at": at_30} for each in asked])

    assert (before["then_mw"], before["then_age_h"], before["then_lead_h"]) == (5.0, 8.5, 10.0)
    assert (after["then_mw"], after["then_age_h"], after["then_lead_h"]) == (7.0, 3.5, 4.0)


def test_vintage_issued_before_but_known_after_another_does_not_replace_it(
    engine: duckdb.DuckDBPyConnection, flagship: UseCaseSpec
) -> None:
    spec = with_views(flagship, latest_view("now", ("region",)))
    rows = [vintage(26, 30, 7.0), vintage(20, 30, 5.0, known_h=29)]

    (found,) = features_of(engine, spec, rows, [example(30.0)])

    assert (found["now_mw"], found["now_lead_h"]) == (7.0, 4.0)


def test_forecast_too_far_from_the_moment_that_is_asked_for_is_null(
    engine: duckdb.DuckDBPyConnection, flagship: UseCaseSpec
) -> None:
    spec = with_views(flagship, latest_view("now", ("region",)), ahead_view("next", ("region",)))
    (found,) = features_of(engine, spec, [vintage(20, 28, 5.0)], [example(30.0)])

    assert (found["now_mw"], found["now_age_h"]) == (None, None)  # two hours before is not within (28, 30]
    assert (found["next_hours_1d"], found["next_average_1d"]) == (0, None)


def test_vintage_as_old_as_max_age_is_as_if_it_were_not_there(
    engine: duckdb.DuckDBPyConnection, flagship: UseCaseSpec
) -> None:
    spec = with_views(flagship, latest_view("now", ("region",), max_age="8h"))
    rows = [vintage(22, 30, 5.0), vintage(22.5, 29, 6.0)]

    at_eight, younger = features_of(engine, spec, rows, [example(30.0), example(29.75, example_id="f")])

    assert (at_eight["now_mw"], at_eight["now_age_h"]) == (6.0, 7.5)  # of the hour before, issued later
    assert (younger["now_mw"], younger["now_age_h"]) == (6.0, 7.25)


def test_nothing_changes_with_how_many_are_looked_up_at_once(
    engine: duckdb.DuckDBPyConnection, demand: UseCaseSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [vintage(issued, issued + lead, issued / 7 + lead) for issued in range(0, 60, 6) for lead in range(1, 40)]
    examples = [example(24.5 + step / 3, example_id=f"e{step:03}") for step in range(90)]
    together = features_of(engine, demand, rows, examples)
    monkeypatch.setattr(forecasts, "PAIRS_AT_ONCE", 5)

    assert repr(features_of(engine, demand, rows, examples)) == repr(together)
    assert together[0]["of_region_hours_1d"] == 24


def test_final_values_are_those_of_the_newest_vintage_ever_known(
    engine: duckdb.DuckDBPyConnection, flagship: UseCaseSpec
) -> None:
    spec = with_views(flagship, latest_view("next", ("region",), ahead=("3h",)), ahead_view("day", ("region",)))
    rows = [vintage(20, 33, 5.0), vintage(32, 33, 9.0), vintage(32, 34, 1.0)]
    put(engine, "validated_demand", pa.Table.from_pylist(rows, VINTAGE_SCHEMA))
    put(engine, "_made_up", pa.Table.from_pylist([example(30.0)], EXAMPLE_SCHEMA))
    engine.execute("CREATE OR REPLACE TEMP VIEW _asked AS SELECT * FROM _made_up")
    (scope,) = compile_plan(spec)
    loaded = load_scope(engine, scope, None, END)

    honest = {name: column.to_pylist() for group in scope.forecasts for name, column in
              compute_forecasts(group, loaded).items()}  # fmt: skip
    final = {name: column.to_pylist() for group in scope.forecasts for name, column in
             compute_forecasts(group, loaded, final_as_of=datetime(2024, 4, 1, tzinfo=UTC)).items()}  # fmt: skip

    assert (honest["next_mw_3h"], final["next_mw_3h"]) == ([5.0], [9.0])
    assert honest["next_age_h_3h"] == final["next_age_h_3h"] == [10.0]
    assert honest["next_lead_h_3h"] == final["next_lead_h_3h"] == [13.0]
    assert (honest["day_hours_1d"], final["day_hours_1d"]) == ([1], [2])
    assert (honest["day_total_1d"], final["day_total_1d"]) == ([5.0], [10.0])
