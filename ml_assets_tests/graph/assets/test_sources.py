from __future__ import annotations

from datetime import date
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from ml_assets.demo.flights import land_flights
from ml_assets.graph.definitions.use_case import build_use_case
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.rehearsal import checks_of, flagship

# great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_.*' is deprecated:DeprecationWarning")

FIRST, LAST = date(2013, 2, 11), date(2013, 2, 13)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, dg.AssetCheckEvaluation]]:
    """Judge three real days by the whole contract: one holds the gust of 1048 mph, one schedule lost its rows."""
    root = tmp_path_factory.mktemp("judged")
    spec, landing = flagship(), StatePaths(root).landing / "flight_delays"
    land_flights(landing, spec.calendar, FIRST, LAST)
    schedule = landing / str(LAST) / "schedule.csv"
    schedule.write_text(schedule.read_text().partition("\n")[0] + "\n")
    selected = [
        dg.AssetKey(["flight_delays", layer, source])
        for source in ("weather", "schedule")
        for layer in ("raw", "validated", "quarantine")
    ]
    tags = {ASSET_PARTITION_RANGE_START_TAG: str(FIRST), ASSET_PARTITION_RANGE_END_TAG: str(LAST)}
    with dg.DagsterInstance.ephemeral() as instance:
        result = build_use_case(spec, root).resolve_job_def("flight_delays_batch").execute_in_process(
            instance=instance, tags=tags, asset_selection=selected,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )  # fmt: skip
    return Lake(StatePaths(root).lake / "flight_delays"), checks_of(result)


def rows(lake: Lake, table: str, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        lake.relation(connection, table).create_view("t")
        return connection.sql(query).fetchall()


def test_wind_of_1048_mph_is_quarantined_with_its_reason_and_line(
    judged: tuple[Lake, dict[str, dg.AssetCheckEvaluation]],
) -> None:
    lake, checks = judged
    query = "SELECT batch_date, origin, round(wind_speed_mph), reason FROM t"

    assert rows(lake, "quarantine_weather", query) == [(date(2013, 2, 12), "EWR", 1048, "wind_speed_out_of_range")]
    assert rows(lake, "validated_weather", "SELECT count(*) FROM t WHERE wind_speed_mph > 150") == [(0,)]
    landed, kept = (rows(lake, f"{layer}_weather", "SELECT count(*) FROM t")[0][0] for layer in ("raw", "validated"))
    assert landed == 3 * 24 * 3
    assert kept == landed - 1
    found = checks["weather:contract"].metadata["rows failing a rule"].value
    assert checks["weather:contract"].passed
    assert isinstance(found, dict)
    assert found["wind_speed_out_of_range (error)"] == 1


def test_schedule_without_rows_is_refused_and_the_days_around_it_stand(
    judged: tuple[Lake, dict[str, dg.AssetCheckEvaluation]],
) -> None:
    lake, checks = judged
    contract = checks["schedule:contract"]

    assert (contract.passed, contract.severity) == (False, dg.AssetCheckSeverity.WARN)
    described = (contract.description or "").split("; ")
    assert described[0] == f"1 of 3 received drops refused: {LAST}"
    assert "schedule_rows_implausible (error) not judged in 2 of them" in described
    refused = rows(
        lake, "contract_schedule", "SELECT batch_date, reason, is_refused FROM t WHERE is_refused ORDER BY ALL"
    )
    assert refused == [(LAST, "schedule_rows_implausible", True), (LAST, "schedule_volume", True)]
    days = rows(lake, "validated_schedule", "SELECT DISTINCT batch_date FROM t ORDER BY 1")
    assert days == [(FIRST,), (date(2013, 2, 12),)]
