from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.features.feature_table import compute_features, iterate_features
from ml_assets.spec.calendar import MICROSECOND, Calendar
from ml_assets.spec.contract import Column, Source
from ml_assets.spec.drop import DropKey
from ml_assets.spec.features import FeatureSpec, FeatureView, RowExpression
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.conftest import drawn
from ml_assets_tests.features.conftest import RealSlice, put
from ml_assets_tests.features.oracle import (
    Row,
    always,
    facts_in_window,
    join_latest,
    join_window,
    latest_fact,
    reduce_facts,
)

pytestmark = pytest.mark.xdist_group("real_slice")  # one worker ingests the 45 drops once

HOUR = timedelta(hours=1)
KEY = ("stop", "leg")
# The clocks of New York go forward in the night to March 10: that drop is 23 hours long.
CALENDAR = Calendar(start=date(2013, 3, 8), at=time(4), timezone="America/New_York")
DROPS = CALENDAR.drops_between(date(2013, 3, 9), date(2013, 3, 12))
BEGINNING = CALENDAR.batch_at(date(2013, 3, 8))
WINDOWS = (timedelta(hours=6), timedelta(days=1), timedelta(days=3))
AGGREGATES = {
    "rows": "count(*)",
    "values": "count(x)",
    "total": "sum(x)",
    "average": "mean(x)",
    "least": "min(x)",
    "most": "max(x)",
    "high_share": "share(x >= 2)",
    "spread": "std(x)",
    "newest": "last(x)",
    "kinds": "distinct(kind)",
    "numbers": "distinct(x)",
    "texts": "count(kind)",
    "quiet_h": "hours_since_last(*)",
    "quiet_x_h": "hours_since_last(x)",
}
FACT_SCHEMA = pa.schema(
    {
        "batch_date": pa.date32(),
        "stop": pa.int64(),
        "leg": pa.string(),
        "carrier": pa.string(),
        "stop_hour": pa.int64(),
        "kind": pa.string(),
        "x": pa.float64(),
        "event_at": pa.timestamp("us", "UTC"),
        "known_at": pa.timestamp("us", "UTC"),
    }
)
EXAMPLE_SCHEMA = pa.schema(
    {
        "batch_date": pa.date32(),
        "example_id": pa.string(),
        "prediction_at": pa.timestamp("us", "UTC"),
        "carrier": pa.string(),
        "hour": pa.int64(),
    }
)


def window_view(name: str, entity: tuple[str, ...], **more: Any) -> FeatureView:
    return FeatureView.model_validate(
        {"name": name, "from": "stops", "entity": entity, "windows": WINDOWS, "aggregates": AGGREGATES, **more}
    )


def latest_view(name: str, entity: tuple[str, ...], **more: Any) -> FeatureView:
    return FeatureView.model_validate(
        {"name": name, "from": "stops", "entity": entity, "latest": ("x", "kind"), "with_age": True, **more}
    )


VIEWS = (
    window_view("by_carrier", ("carrier",)),
    window_view("everywhere", ()),
    window_view("by_pair", ("carrier", "hour"), derive={"hour": "stop_hour % 24"}, where="kind <> 'b'"),
    latest_view("last_of_carrier", ("carrier",), max_age="12h"),
    latest_view("last_of_pair", ("carrier", "hour"), derive={"hour": "stop_hour % 24"}, where="kind <> 'b'"),
    latest_view("last_of_all", (), max_age="1d"),
)
CONDITIONS = {name: (lambda fact: fact["kind"] not in (None, "b")) for name in ("by_pair", "last_of_pair")}


@pytest.fixture(scope="module")
def stops(flagship: UseCaseSpec) -> UseCaseSpec:
    """Declare views over one made-up source whose rows are corrected and whose entities can be null."""
    columns = {name: Column(type="string") for name in ("leg", "carrier", "kind")}
    columns |= {"stop": Column(type="integer"), "stop_hour": Column(type="integer"), "x": Column(type="float")}
    features = FeatureSpec(views=VIEWS, expressions=(RowExpression(name="carrier", sql="carrier"),))
    source = Source(name="stops", key=KEY, columns=columns)
    return flagship.model_copy(update={"calendar": CALENDAR, "sources": (source,), "features": features})


@pytest.fixture(scope="module")
def three_views(stops: UseCaseSpec) -> UseCaseSpec:
    """Declare fewer of them, for laws that compute more than once."""
    views = tuple(view for view in VIEWS if view.name in ("by_pair", "everywhere", "last_of_pair"))
    return stops.model_copy(update={"features": stops.features.model_copy(update={"views": views})})


def moments(first: datetime, last: datetime, step: timedelta = HOUR) -> st.SearchStrategy[datetime]:
    """Draw moments in (first, last] on whole steps, or a microsecond beside one: windows end on both."""
    steps = (last - first) // step
    near = st.builds(lambda count, off: first + count * step + off, st.integers(0, steps), st.sampled_from(OFFSETS))
    return near.filter(lambda moment: first < moment <= last)


OFFSETS = [timedelta(0), timedelta(0), timedelta(0), MICROSECOND, -MICROSECOND]
NUMBERS = st.sampled_from([0.0, 1.0, 2.0, -3.25, 0.1, 7.7, 1e15, -1e15, math.nan, math.inf, -math.inf, None])

# sums of these have other last bits in another order
UNEVEN = st.sampled_from([0.1, 0.7, 1 / 3, -3.3, 1e6 / 7, 7.7])


@st.composite
def fact_rows(
    draw: st.DrawFn,
    key_count: int = 16,
    step: timedelta = HOUR,
    numbers: st.SearchStrategy[float | None] = NUMBERS,
) -> list[Row]:
    """Draw facts of few keys, so that many are corrected; a key comes once a drop, as after ingestion.

    With a longer `step` between their moments, many happen and become known at once.
    """
    end = CALENDAR.batch_at(DROPS[-1])
    facts: dict[tuple[Any, ...], Row] = {}
    for _ in range(draw(st.integers(0, 40))):
        known_at = draw(moments(BEGINNING, end, step))
        number = draw(st.integers(1, key_count))
        fact = {
            "batch_date": CALENDAR.drop_receiving(known_at),
            "stop": number // 2,
            "leg": "ab"[number % 2],
            "carrier": draw(st.sampled_from(["AA", "UA", None])),
            "stop_hour": draw(st.sampled_from([8, 9, None])),
            "kind": draw(st.sampled_from(["a", "b", None])),
            "x": draw(numbers),
            "event_at": known_at + draw(st.integers(-(30 * HOUR // step), 2)) * step,
            "known_at": known_at,
        }
        facts[fact["batch_date"], *(fact[name] for name in KEY)] = fact
    return list(facts.values())


@st.composite
def example_rows(draw: st.DrawFn) -> list[Row]:
    """Draw examples of several moments a drop, and drops without any."""
    examples: list[Row] = []
    for drop in DROPS:
        for _ in range(draw(st.integers(0, 4))):
            examples.append(
                {
                    "batch_date": drop,
                    "example_id": f"e{len(examples):03}",
                    "prediction_at": draw(moments(CALENDAR.drop(drop).start, CALENDAR.drop(drop).end)),
                    "carrier": draw(st.sampled_from(["AA", "UA", "never seen", None])),
                    "hour": draw(st.sampled_from([8, 9, None])),
                }
            )
    return examples


def features_of(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    facts: Sequence[Row],
    examples: Sequence[Row],
    drops: Sequence[DropKey] = DROPS,
) -> pa.Table:
    """Compute the features of the examples of `drops`."""
    asked = [example for example in examples if example["batch_date"] in drops]
    put(connection, "validated_stops", pa.Table.from_pylist(list(facts), FACT_SCHEMA))
    put(connection, "_examples", pa.Table.from_pylist(asked, EXAMPLE_SCHEMA))
    return compute_features(connection, spec, drops)


def number(fact: Row) -> float | None:
    return fact["x"]


def is_high(fact: Row) -> float | None:
    """Compare as DuckDB does, for which NaN is the greatest number."""
    return None if fact["x"] is None else float(math.isnan(fact["x"]) or fact["x"] >= 2)


def with_hour(facts: Sequence[Row]) -> list[Row]:
    return [{**fact, "hour": None if fact["stop_hour"] is None else fact["stop_hour"] % 24} for fact in facts]


MEASURES: dict[str, Any] = {"*": lambda _: True, "x": number, "x >= 2": is_high, "kind": lambda fact: fact["kind"]}


def assert_windows_are_the_oracles(view: FeatureView, facts: Sequence[Row], example: Row, found: Row) -> None:
    """Sums are exact, so all that is a sum or a quotient of sums has the bits of the oracle's."""
    where, names = CONDITIONS.get(view.name, always), iter(view.feature_names())
    for window in WINDOWS:
        for text in AGGREGATES.values():
            function, _, measure = text.rstrip(")").partition("(")
            held = facts_in_window(facts, KEY, example, view.entity, window, MEASURES[measure], where)
            expected = reduce_facts(function, held, example["prediction_at"])
            column = next(names)
            if function == "std" and expected is not None:
                assert found[column] == pytest.approx(expected, rel=1e-9, abs=1e-300), (column, held)
            else:
                assert found[column] == expected, (column, held)


def assert_latest_is_the_oracles(view: FeatureView, facts: Sequence[Row], example: Row, found: Row) -> None:
    newest = latest_fact(facts, KEY, example, view.entity, view.max_age, CONDITIONS.get(view.name, always))
    values = [found[name] for name in view.feature_names()]
    if newest is None:
        assert values == [None, None, None], view.name
        return
    age_h = (example["prediction_at"] - newest["happened_at"]) / HOUR
    assert values[1:] == [newest["kind"], pytest.approx(age_h, rel=1e-12)], view.name
    assert values[0] == newest["x"] or (math.isnan(values[0]) and math.isnan(newest["x"])), view.name


@drawn(24)
@given(facts=fact_rows(), examples=example_rows())
def test_every_value_is_the_oracles(
    engine: duckdb.DuckDBPyConnection, stops: UseCaseSpec, facts: list[Row], examples: list[Row]
) -> None:
    rows = features_of(engine, stops, facts, examples).to_pylist()

    assert [row["example_id"] for row in rows] == [example["example_id"] for example in examples]
    for example, found in zip(examples, rows, strict=True):
        for view in VIEWS:
            judge = assert_windows_are_the_oracles if view.windows else assert_latest_is_the_oracles
            judge(view, with_hour(facts), example, found)


def bits_of(table: pa.Table) -> list[list[Any]]:
    """Give the columns as values that compare by their bits: NaN equals itself, and -0.0 is not 0.0."""
    return [
        [value.hex() if isinstance(value, float) else value for value in column.to_pylist()] for column in table.columns
    ]


@drawn(10)
@given(facts=fact_rows(numbers=UNEVEN), examples=example_rows(), last=st.integers(0, len(DROPS) - 1))
def test_facts_of_later_drops_change_no_bit_of_the_past(
    engine: duckdb.DuckDBPyConnection, three_views: UseCaseSpec, facts: list[Row], examples: list[Row], last: int
) -> None:
    past = DROPS[: last + 1]
    known = [fact for fact in facts if fact["batch_date"] <= past[-1]]

    assert bits_of(features_of(engine, three_views, facts, examples, past)) == bits_of(
        features_of(engine, three_views, known, examples, past)
    )


@drawn(10)
@given(
    facts=fact_rows(key_count=10**6, step=12 * HOUR, numbers=UNEVEN),
    examples=example_rows(),
    shuffled=st.randoms(use_true_random=False),
)
def test_order_of_the_sources_rows_changes_no_bit(
    engine: duckdb.DuckDBPyConnection, three_views: UseCaseSpec, facts: list[Row], examples: list[Row], shuffled: Any
) -> None:
    in_order = features_of(engine, three_views, facts, examples)
    shuffled.shuffle(facts)

    assert bits_of(features_of(engine, three_views, facts, examples)) == bits_of(in_order)


@drawn(8)
@given(facts=fact_rows(numbers=UNEVEN), examples=example_rows())
def test_drops_alone_have_the_bits_of_drops_together(
    engine: duckdb.DuckDBPyConnection, three_views: UseCaseSpec, facts: list[Row], examples: list[Row]
) -> None:
    together = features_of(engine, three_views, facts, examples)
    alone = [features_of(engine, three_views, facts, examples, [drop]) for drop in DROPS]

    assert bits_of(pa.concat_tables(alone, promote_options="permissive")) == bits_of(together)


@drawn(8)
@given(facts=fact_rows(numbers=UNEVEN), examples=example_rows(), at_once=st.integers(1, 6))
def test_parts_have_the_bits_of_the_whole(
    engine: duckdb.DuckDBPyConnection, three_views: UseCaseSpec, facts: list[Row], examples: list[Row], at_once: int
) -> None:
    together = features_of(engine, three_views, facts, examples)

    parts = list(iterate_features(engine, three_views, DROPS, at_once=at_once))

    assert [drop for drops, _ in parts for drop in drops] == list(DROPS)
    assert bits_of(pa.concat_tables([rows for _, rows in parts], promote_options="permissive")) == bits_of(together)


def marked(facts: Sequence[Row]) -> list[Row]:
    """Note with each version when the first of its key was known, as validation does."""
    found = []
    for fact in facts:
        before = [other["known_at"] for other in facts if all(other[name] == fact[name] for name in KEY)]
        first = min(before)
        found.append({**fact, "_first_known_at": first if first < fact["known_at"] else None})
    return found


@drawn(10)
@given(facts=fact_rows(key_count=6, numbers=UNEVEN), examples=example_rows())
def test_drop_needs_no_facts_from_before_its_longest_window(
    engine: duckdb.DuckDBPyConnection, stops: UseCaseSpec, facts: list[Row], examples: list[Row]
) -> None:
    day = timedelta(days=1)
    views = tuple(
        view.model_copy(update={"windows": (timedelta(hours=6), day)})
        for view in VIEWS
        if view.name in ("by_pair", "everywhere")
    )
    spec = stops.model_copy(update={"features": stops.features.model_copy(update={"views": views})})
    together = bits_of(features_of(engine, spec, facts, examples))

    alone = []
    for drop in DROPS:
        needed = CALENDAR.drop_receiving(CALENDAR.drop(drop).start - day)
        asked = [example for example in examples if example["batch_date"] == drop]
        rows = [fact for fact in marked(facts) if needed <= fact["batch_date"] <= drop]
        schema = FACT_SCHEMA.append(pa.field("_first_known_at", pa.timestamp("us", "UTC")))
        put(engine, "validated_stops", pa.Table.from_pylist(rows, schema))
        put(engine, "_examples", pa.Table.from_pylist(asked, EXAMPLE_SCHEMA))
        alone.append(compute_features(engine, spec, [drop]))

    assert bits_of(pa.concat_tables(alone, promote_options="permissive")) == together


def made_up_fact(hours: float, stop: int = 1, **more: Any) -> Row:
    known_at = BEGINNING + hours * HOUR
    fact = {"stop": stop, "leg": "a", "carrier": "AA", "stop_hour": 8, "kind": "a", "x": 1.0}
    times = {"event_at": known_at, "known_at": known_at, "batch_date": CALENDAR.drop_receiving(known_at)}
    return {**fact, **times, **more}


def made_up_example(hours: float, **more: Any) -> Row:
    moment = BEGINNING + hours * HOUR
    named = {"batch_date": CALENDAR.drop_receiving(moment), "example_id": "e", "prediction_at": moment}
    return {**named, "carrier": "AA", "hour": 8, **more}


def one_row(connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, facts: Sequence[Row], example: Row) -> Row:
    (row,) = features_of(connection, spec, facts, [example], [example["batch_date"]]).to_pylist()
    return row


def test_window_is_open_at_its_start_and_closed_at_its_end(
    engine: duckdb.DuckDBPyConnection, stops: UseCaseSpec
) -> None:
    at_start, inside, at_end, after = (
        made_up_fact(30.0, 1),
        made_up_fact(30.0, 2, known_at=BEGINNING + 30 * HOUR + MICROSECOND),
        made_up_fact(36.0, 3),
        made_up_fact(36.0, 4, known_at=BEGINNING + 36 * HOUR + MICROSECOND),
    )

    row = one_row(engine, stops, [at_start, inside, at_end, after], made_up_example(36.0))

    assert (row["by_carrier_rows_6h"], row["by_carrier_rows_1d"]) == (2, 3)


def test_fact_known_after_prediction_time_is_not_joined(engine: duckdb.DuckDBPyConnection, stops: UseCaseSpec) -> None:
    happened_before = made_up_fact(37.0, x=5.0, event_at=BEGINNING + 20 * HOUR)

    row = one_row(engine, stops, [happened_before], made_up_example(36.0))

    assert (row["by_carrier_rows_3d"], row["by_carrier_total_3d"], row["last_of_pair_x"]) == (0, None, None)


def test_huge_value_leaves_no_trace_in_a_window_without_it(
    engine: duckdb.DuckDBPyConnection, stops: UseCaseSpec
) -> None:
    small = [made_up_fact(40.0 + stop / 10, stop, x=0.1) for stop in range(2, 9)]

    row = one_row(engine, stops, [made_up_fact(30.0, 1, x=1e15), *small], made_up_example(44.0))

    assert row["by_carrier_total_6h"] == pytest.approx(0.7, rel=1e-15)
    assert row["by_carrier_total_1d"] == pytest.approx(1e15 + 0.7, rel=1e-15)


def test_correction_is_counted_once_at_its_first_moment_with_its_newest_value(
    engine: duckdb.DuckDBPyConnection, stops: UseCaseSpec
) -> None:
    first, second = made_up_fact(2.0, x=10.0), made_up_fact(40.0, x=4.0)

    before = one_row(engine, stops, [first, second], made_up_example(39.0))
    after = one_row(engine, stops, [first, second], made_up_example(40.0))

    assert [before[name] for name in ("by_carrier_rows_3d", "by_carrier_total_3d")] == [1, 10.0]
    assert [after[name] for name in ("by_carrier_rows_3d", "by_carrier_total_3d")] == [1, 4.0]
    assert after["by_carrier_rows_6h"] == 0  # it became known 38 hours ago, and was corrected since


def test_correction_in_a_later_drop_changes_no_bit_of_a_moment_before_it(
    engine: duckdb.DuckDBPyConnection, stops: UseCaseSpec
) -> None:
    numbers = [0.1, 0.7, 1 / 3] * 3  # three facts further on, their sum has another last bit
    known = [made_up_fact(25.0 + n / 10, 10 + n, carrier="UA", x=number) for n, number in enumerate(numbers)]
    after = [made_up_fact(40.0 + n, n, carrier="AA") for n in range(3)]
    example = made_up_example(30.0, carrier="UA")

    without = one_row(engine, stops, [*known, *after], example)
    corrected = one_row(engine, stops, [*known, *after, made_up_fact(60.0, 0, carrier="AA", x=9.0)], example)

    assert without["by_carrier_total_1d"] == pytest.approx(math.fsum(numbers))
    assert corrected == without


def test_correction_to_another_entity_moves_the_fact(engine: duckdb.DuckDBPyConnection, stops: UseCaseSpec) -> None:
    facts = [made_up_fact(2.0, carrier="AA"), made_up_fact(40.0, carrier="UA")]

    rows = [one_row(engine, stops, facts, made_up_example(41.0, carrier=carrier)) for carrier in ("AA", "UA")]

    assert [row["by_carrier_rows_3d"] for row in rows] == [0, 1]


def test_correction_out_of_the_condition_takes_the_fact_away(
    engine: duckdb.DuckDBPyConnection, stops: UseCaseSpec
) -> None:
    facts = [made_up_fact(2.0, kind="a"), made_up_fact(40.0, kind="b")]

    rows = [one_row(engine, stops, facts, made_up_example(hours)) for hours in (39.0, 41.0)]

    assert [row["by_pair_rows_3d"] for row in rows] == [1, 0]
    assert [row["last_of_pair_x"] for row in rows] == [1.0, None]


def test_latest_fact_as_old_as_max_age_is_null(engine: duckdb.DuckDBPyConnection, stops: UseCaseSpec) -> None:
    fact = made_up_fact(20.0, x=3.0)

    rows = [one_row(engine, stops, [fact], made_up_example(hours)) for hours in (31.75, 32.0)]

    assert [row["last_of_carrier_x"] for row in rows] == [3.0, None]
    assert [row["last_of_carrier_age_h"] for row in rows] == [11.75, None]


def test_late_news_of_an_older_event_does_not_replace_the_newest(
    engine: duckdb.DuckDBPyConnection, stops: UseCaseSpec
) -> None:
    newest, late = made_up_fact(30.0, 1, x=1.0), made_up_fact(31.0, 2, x=2.0, event_at=BEGINNING + 25 * HOUR)

    row = one_row(engine, stops, [newest, late], made_up_example(32.0))

    assert (row["last_of_carrier_x"], row["last_of_carrier_age_h"]) == (1.0, 2.0)


def test_null_entity_matches_nothing_not_even_a_null(engine: duckdb.DuckDBPyConnection, stops: UseCaseSpec) -> None:
    row = one_row(engine, stops, [made_up_fact(30.0, carrier=None)], made_up_example(31.0, carrier=None))

    assert (row["by_carrier_rows_3d"], row["by_carrier_total_3d"], row["last_of_carrier_x"]) == (0, None, None)
    assert row["everywhere_rows_3d"] == 1


EXAMPLE_COUNT = 1_000
# of its own beside those of the flagship, which choose what helps the model
COUNTING = FeatureView.model_validate(
    {
        "name": "counting",
        "from": "flight_outcomes",
        "entity": ["dest"],
        "where": "status <> 'diverted'",
        "windows": ["1d", "7d", "28d"],
        "aggregates": {"rows": "count(*)", "arrivals": "count(arrival_delay_min)", "worst": "max(arrival_delay_min)"},
    }
)


@pytest.fixture(scope="module")
def real_spec(flagship: UseCaseSpec) -> UseCaseSpec:
    features = flagship.features.model_copy(update={"views": (*flagship.features.views, COUNTING)})
    return flagship.model_copy(update={"features": features})


@pytest.fixture(
    scope="module", params=["at the batch", pytest.param("scattered over the drop", marks=pytest.mark.slow)]
)
def asked(request: pytest.FixtureRequest, real_slice: RealSlice) -> tuple[list[DropKey], pa.Table]:
    """Give real examples of 14 drops, predicted at the batch as declared, or at any moment of their drop."""
    drops = list(real_slice.drops[-14:])
    with real_slice.open(["examples"], (drops[0], drops[-1])) as connection:
        rows = connection.sql("SELECT * FROM examples ORDER BY batch_date, example_id").to_arrow_table()
    rng = np.random.default_rng(20130214)
    rows = rows.take(np.sort(rng.choice(rows.num_rows, EXAMPLE_COUNT, replace=False)))
    if request.param != "at the batch":
        intervals = [real_slice.spec.calendar.drop(drop) for drop in rows["batch_date"].to_pylist()]
        shares = rng.random(len(intervals)).tolist()
        anywhere = [each.end - share * (each.end - each.start) for each, share in zip(intervals, shares, strict=True)]
        position = rows.column_names.index("prediction_at")
        rows = rows.set_column(position, "prediction_at", pa.array(anywhere, pa.timestamp("us", "UTC")))
    return drops, rows


def brute_force(connection: duckdb.DuckDBPyConnection, view: FeatureView) -> Iterator[tuple[str, bool, Sequence[Any]]]:
    """Give the name, whether it is a count, and the values of each feature of a view, by joining all with all."""
    facts, names = f"(SELECT * FROM validated_{view.source} WHERE {view.where or 'true'})", iter(view.feature_names())
    if view.latest:
        joined = join_latest(connection, facts, view.entity, view.derive, view.latest, view.max_age)
        for name, column in zip(names, list(zip(*joined, strict=True))[1:], strict=False):
            yield name, False, column
    for window in view.windows:
        rows = join_window(connection, facts, view.entity, view.derive, view.aggregates, window)
        for text, column in zip(view.aggregates.values(), list(zip(*rows, strict=True))[1:], strict=True):
            yield next(names), text.startswith("count"), column


def facts_of(spec: UseCaseSpec) -> list[str]:
    """Name the tables of facts that the views of `spec` read."""
    return sorted({f"validated_{view.source}" for view in spec.features.views})


def test_real_features_are_those_of_a_brute_force_join(
    real_slice: RealSlice, real_spec: UseCaseSpec, asked: tuple[list[DropKey], pa.Table]
) -> None:
    drops, examples = asked
    compared = {"counts": 0, "floats": 0, "nulls": 0}
    with real_slice.open(facts_of(real_spec)) as connection:
        put(connection, "_examples", examples)
        found = compute_features(connection, real_spec, drops)
        put(connection, "asked", examples.append_column("row_number", pa.array(range(examples.num_rows))))
        for view in real_spec.features.views:
            for name, is_count, expected in brute_force(connection, view):
                values = found[name].to_pylist()
                nulls = sum(value is None for value in expected)
                compared["nulls"] += nulls
                compared["counts" if is_count else "floats"] += len(expected) - nulls
                if is_count:
                    assert values == list(expected), name
                else:
                    near = [value if value is None else pytest.approx(value, rel=1e-9) for value in expected]
                    assert values == near, name

    assert found["example_id"].to_pylist() == examples["example_id"].to_pylist()
    features = sum(len(view.feature_names()) for view in real_spec.features.views)
    assert sum(compared.values()) == features * EXAMPLE_COUNT
    assert compared["counts"] >= 6 * EXAMPLE_COUNT
    # Puerto Rico has no airport, some days no flight, and few carriers report anything in the night
    assert compared["nulls"] < 0.05 * features * EXAMPLE_COUNT


def test_real_drops_alone_have_the_bits_of_drops_together(real_slice: RealSlice) -> None:
    drops = list(real_slice.drops[-2:])
    tables = facts_of(real_slice.spec)

    def compute(asked: list[DropKey]) -> pa.Table:
        with real_slice.open([*tables, "examples"], (real_slice.drops[0], asked[-1])) as connection:
            connection.execute(
                "CREATE TEMP TABLE _examples AS SELECT * FROM examples WHERE batch_date >= ? "
                "ORDER BY batch_date, example_id",
                [asked[0]],
            )
            return compute_features(connection, real_slice.spec, asked)

    together, alone = compute(drops), pa.concat_tables([compute([drop]) for drop in drops])

    assert together.num_rows == 1_874
    assert bits_of(together) == bits_of(alone)
