from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ml_assets.features.examples import validate_examples
from ml_assets.spec.calendar import MICROSECOND, Calendar
from ml_assets_tests.features.conftest import put

CALENDAR = Calendar(start=date(2013, 1, 1), at=time(4), timezone="America/New_York")
FIRST, SECOND = date(2013, 1, 2), date(2013, 1, 3)
BATCH_AT = datetime(2013, 1, 2, 9, tzinfo=UTC)
MOMENT = pa.timestamp("us", "UTC")


def settle(
    connection: duckdb.DuckDBPyConnection,
    drawn: list[dict[str, Any]],
    labels: dict[str, datetime] | None = None,
    earlier: dict[str, date] | None = None,
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Settle drawn rows; give (id, prediction_at) of the accepted and (id, reason) of the others."""
    schema = {"batch_date": pa.date32(), "example_id": pa.string(), "carrier": pa.string()}
    if any("prediction_at" in row for row in drawn):
        schema["prediction_at"] = MOMENT
    put(connection, "_drawn", pa.Table.from_pylist(drawn, pa.schema(schema)))
    known = {"example_id": list(labels or {}), "known_at": pa.array((labels or {}).values(), MOMENT)}
    put(connection, "_labels", pa.table(known, pa.schema({"example_id": pa.string(), "known_at": MOMENT})))
    before = [{"example_id": name, "batch_date": day} for name, day in (earlier or {}).items()]
    put(
        connection,
        "_earlier",
        pa.Table.from_pylist(before, pa.schema({"example_id": pa.string(), "batch_date": pa.date32()})),
    )
    settled = validate_examples(connection, CALENDAR, [FIRST, SECOND])
    return (
        settled.accepted.project("example_id, prediction_at").fetchall(),
        settled.quarantined.project("example_id, reason").fetchall(),
    )


def row(example_id: str | None, drop: date = FIRST, **more: Any) -> dict[str, Any]:
    return {"batch_date": drop, "example_id": example_id, "carrier": "AA", **more}


def test_prediction_time_is_the_batch_unless_declared(engine: duckdb.DuckDBPyConnection) -> None:
    accepted, quarantined = settle(engine, [row("b", SECOND), row("a")])

    assert accepted == [("a", BATCH_AT), ("b", BATCH_AT + timedelta(days=1))]
    assert quarantined == []


def test_declared_prediction_time_must_lie_in_its_drop(engine: duckdb.DuckDBPyConnection) -> None:
    opens_at = BATCH_AT - timedelta(days=1)
    drawn = [
        row("at the opening", prediction_at=opens_at),
        row("just inside", prediction_at=opens_at + MICROSECOND),
        row("at the batch", prediction_at=BATCH_AT),
        row("after the batch", prediction_at=BATCH_AT + MICROSECOND),
        row("unknown", prediction_at=None),
    ]

    accepted, quarantined = settle(engine, drawn)

    assert accepted == [("at the batch", BATCH_AT), ("just inside", opens_at + MICROSECOND)]
    assert sorted(quarantined) == [
        (name, "prediction_outside_drop") for name in ("after the batch", "at the opening", "unknown")
    ]


def test_row_without_an_id_is_no_example(engine: duckdb.DuckDBPyConnection) -> None:
    assert settle(engine, [row(None), row(None)]) == ([], [(None, "missing_example_id")] * 2)


def test_second_row_of_an_id_in_a_drop_is_quarantined(engine: duckdb.DuckDBPyConnection) -> None:
    later = row("a", prediction_at=BATCH_AT)
    sooner = row("a", prediction_at=BATCH_AT - timedelta(hours=1))

    accepted, quarantined = settle(engine, [later, sooner])

    assert accepted == [("a", BATCH_AT - timedelta(hours=1))]
    assert quarantined == [("a", "example_twice_in_drop")]


def test_example_of_an_earlier_drop_is_not_predicted_again(engine: duckdb.DuckDBPyConnection) -> None:
    drawn = [row("in this range"), row("in this range", SECOND), row("long ago", SECOND)]

    accepted, quarantined = settle(engine, drawn, earlier={"long ago": date(2012, 12, 1)})

    assert accepted == [("in this range", BATCH_AT)]
    assert sorted(quarantined) == [("in this range", "example_seen_before"), ("long ago", "example_seen_before")]


def test_example_whose_outcome_is_already_known_is_quarantined(engine: duckdb.DuckDBPyConnection) -> None:
    drawn = [row("known before"), row("known then"), row("known after"), row("never known")]
    labels = {
        "known before": BATCH_AT - timedelta(days=3),
        "known then": BATCH_AT,
        "known after": BATCH_AT + MICROSECOND,
    }

    accepted, quarantined = settle(engine, drawn, labels)

    assert [name for name, _ in accepted] == ["known after", "never known"]
    assert quarantined == [("known before", "outcome_already_known"), ("known then", "outcome_already_known")]


def test_every_drawn_row_is_accepted_or_quarantined_with_its_columns(engine: duckdb.DuckDBPyConnection) -> None:
    put(engine, "_drawn", pa.table({"batch_date": [FIRST] * 3, "example_id": [7, 7, 8], "seats": [1, 2, 3]}))
    put(engine, "_labels", pa.table({"example_id": ["9"], "known_at": pa.array([BATCH_AT], MOMENT)}))
    put(engine, "_earlier", pa.table({"example_id": ["9"], "batch_date": [FIRST]}))

    settled = validate_examples(engine, CALENDAR, [FIRST])

    assert settled.accepted.columns == ["batch_date", "example_id", "prediction_at", "seats"]
    assert settled.accepted.project("example_id").fetchall() == [("7",), ("8",)]
    assert settled.quarantined.aggregate("count(*)").fetchall() == [(1,)]


def test_select_without_example_id_is_refused_by_name(engine: duckdb.DuckDBPyConnection) -> None:
    put(engine, "_drawn", pa.table({"batch_date": [FIRST], "flight": ["a"]}))

    with pytest.raises(ValueError, match="found columns flight; required: example_id"):
        validate_examples(engine, CALENDAR, [FIRST])
