from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ml_assets.features.revisions import (
    VintageCounts,
    count_vintages,
    find_final_values,
    lay_revisions,
    measure_revisions,
)
from ml_assets.spec.contract import Column, Source
from ml_assets.spec.forecasts import ForecastTimes
from ml_assets_tests.features.conftest import put

HOUR = timedelta(hours=1)
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
SCHEMA = pa.schema(
    {name: pa.timestamp("us", "UTC") for name in ("hour", "issued_at", "event_at", "known_at")}
    | {"region": pa.string(), "mw": pa.float64(), "fixed": pa.float64(), "batch_date": pa.date32()}
)
SOURCE = Source(
    name="demand",
    key=("region", "hour", "issued_at"),
    columns={"region": Column(type="string"), "mw": Column(type="float"), "fixed": Column(type="float")}
    | {name: Column(type="timestamp") for name in ("hour", "issued_at")},
    forecast=ForecastTimes.model_validate({"issued_at": "issued_at", "for": "hour"}),
)


def vintage(region: str, hour: int, lead: int, mw: float | None, late: float = 0.5) -> dict[str, Any]:
    moment = BEGIN + hour * HOUR
    issued = moment - lead * HOUR
    known = issued + late * HOUR
    return {"region": region, "hour": moment, "issued_at": issued, "event_at": issued, "known_at": known, "mw": mw,
            "fixed": 0.0, "batch_date": known.date()}  # fmt: skip


def lay(connection: duckdb.DuckDBPyConnection, rows: list[dict[str, Any]]) -> None:
    put(connection, "validated_demand", pa.Table.from_pylist(rows, SCHEMA))
    lay_revisions(connection, SOURCE, ["mw", "fixed"])


def test_vintages_are_held_against_the_last_of_their_moment(engine: duckdb.DuckDBPyConnection) -> None:
    rows = [vintage("n", hour, 24, 10.0 * hour + 3) for hour in range(1, 5)]
    rows += [vintage("n", hour, 5, 10.0 * hour - 1) for hour in range(1, 5)]
    rows += [vintage("n", hour, 1, 10.0 * hour) for hour in range(1, 5)]
    rows += [vintage("s", 9, 2, 7.0), vintage("n", 1, 5, None, late=1.5)]  # alone; and a correction to null

    lay(engine, rows)
    bands = [band for band in measure_revisions(engine, ["mw", "fixed"]) if band.column == "mw"]

    assert count_vintages(engine) == VintageCounts(13, 5, 1, 5.0, 0.5)
    assert [(band.from_h, band.to_h, band.n, band.mean_abs) for band in bands] == [(3, 6, 3, 1.0), (24, 48, 4, 3.0)]
    assert bands[1].rms == 3.0
    assert bands[1].spread == pytest.approx(12.9099, rel=1e-4)


def test_forecast_that_is_never_revised_is_suspected_and_one_that_hardly_varies_is_not(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    never = [vintage("n", hour, lead, float(hour % 7)) for hour in range(60) for lead in (48, 12, 0)]
    lay(engine, never)
    (found,) = find_final_values(engine, ["mw", "fixed"])  # `fixed` is 0 always: nothing to tell

    assert (found.kind, found.column, found.value, found.n, found.is_alarm) == ("final", "mw", 1.0, 60, True)
    assert "48 h ahead" in found.says

    revised = [{**row, "mw": row["mw"] + (place % 3 == 0) * 0.2} for place, row in enumerate(never)]
    lay(engine, revised)
    (found,) = find_final_values(engine, ["mw", "fixed"])
    assert (found.value < 0.99, found.is_alarm) == (True, False)


def test_too_few_moments_and_moments_with_one_vintage_say_nothing(engine: duckdb.DuckDBPyConnection) -> None:
    lay(engine, [vintage("n", hour, lead, float(hour)) for hour in range(29) for lead in (48, 0)])
    assert find_final_values(engine, ["mw"]) == []

    lay(engine, [vintage("n", hour, 48, float(hour)) for hour in range(90)])
    assert find_final_values(engine, ["mw"]) == []
    assert count_vintages(engine).single == 90


def test_lead_after_the_moment_counts_as_none(engine: duckdb.DuckDBPyConnection) -> None:
    lay(engine, [vintage("n", 1, -2, 5.0), vintage("n", 1, -3, 6.0)])

    (band, _) = measure_revisions(engine, ["mw", "fixed"])

    assert (band.from_h, band.n, band.mean_abs) == (0, 1, 1.0)
