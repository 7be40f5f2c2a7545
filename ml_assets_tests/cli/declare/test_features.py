from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.cli import console as terminal
from ml_assets.pipeline.features.versions import declared_set
from ml_assets.spec.tables.features import CLOSED_DROPS
from ml_assets.stores.lake import Lake
from ml_assets_tests.rehearsal import flagship

DROPS = [date(2013, 1, day) for day in (1, 2)]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))
    return Lake(tmp_path / "lake" / "flight_delays")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["features", "flight_delays", *arguments], terminal_width=200)
    assert result.exit_code == 0, result.output
    return result.stdout


def listed() -> dict[str, dict[str, Any]]:
    return {row["feature"]: row for row in json.loads(run("--json"))}


@pytest.mark.usefixtures("lake")
def test_features_say_where_they_come_from_and_have_no_version_before_they_were_computed() -> None:
    found = listed()

    assert len(found) == len(flagship().features.feature_names())
    feature = found["carrier_late_share_7d"]
    assert (feature["from"], feature["over"], feature["value"]) == (
        "flight_outcomes by carrier", "7d", "mean(arrival_delay_min >= 15)",
    )  # fmt: skip
    assert (feature["version"], feature["first_drop"]) == (None, None)
    assert (feature["unit"], feature["owner"]) == ("share", "team:flight-operations")
    assert feature["raw_columns"] == [
        "flight_outcomes.arrival_delay_min", "flight_outcomes.carrier", "flight_outcomes.reported_at",
        "schedule.carrier",
    ]  # fmt: skip
    assert found["weather_wind_speed_mph"]["over"] == "6h"
    assert found["carrier_late_share_1d"]["read_by"] == ["feature carrier_trend"]
    assert found["departure_hour"]["read_by"] == [
        "feature hour_x_origin_late_share", "candidate group_history", "slices of the performance report",
    ]  # fmt: skip


def test_features_say_their_version_and_since_when_drops_hold_it(lake: Lake) -> None:
    with duckdb.connect() as connection:
        number = declared_set(connection, lake, flagship())
    lake.replace_drops(CLOSED_DROPS.name, pa.table({"batch_date": DROPS, "_feature_set": [0, number]}), DROPS)

    feature = listed()["carrier_late_share_7d"]

    assert (feature["version"], feature["first_drop"]) == (1, "2013-01-02")
    assert "  version     1, in drops since 2013-01-02\n" in run("carrier_late_share_7d")


@pytest.mark.usefixtures("lake")
def test_one_feature_is_told_whole_with_its_way_back_to_raw_columns() -> None:
    assert run("weather_wind_speed_mph").splitlines() == [
        "weather_wind_speed_mph",
        "  The last observation at the airport of departure.",
        "  value       latest wind_speed_mph over 6h, of weather by origin",
        "  unit        mph",
        "  null        no fact of its origin younger than 6h, or one without wind_speed_mph",
        "  owner       team:flight-operations",
        "  version     not computed",
        f"  definition  {listed()['weather_wind_speed_mph']['definition']}",
        "  made of",
        "    validated/weather.wind_speed_mph",
        "      raw/weather.wind_speed_mph  float [mph]",
        "    validated/weather.origin",
        "      raw/weather.origin  string",
        "    validated/weather.known_at",
        "      raw/weather.observed_at  timestamp",
        "    validated/weather.event_at",
        "      raw/weather.observed_at  timestamp",
        "    features/examples.origin",
        "      validated/schedule.origin",
        "        raw/schedule.origin  string: IATA code of the airport of departure",
        "    features/examples.prediction_at",
    ]
    assert json.loads(run("weather_wind_speed_mph", "--json")) == listed()["weather_wind_speed_mph"]


@pytest.mark.usefixtures("lake")
def test_feature_that_is_not_there_is_named_with_the_nearest() -> None:
    result = CliRunner().invoke(app, ["features", "flight_delays", "carrier_late_share_9d"], terminal_width=200)

    assert result.exit_code == 1
    assert result.stderr.replace("\n", "") == (
        "error flight_delays has no feature 'carrier_late_share_9d'; allowed: one of `ml-assets features "
        "flight_delays`; nearest: carrier_late_share_7d"
    )


@pytest.mark.usefixtures("lake")
def test_names_of_features_stay_whole_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.console, "_width", 80)

    lines = run().splitlines()

    assert all(any(f" {name} " in line for line in lines) for name in flagship().features.feature_names())
    assert max(len(line) for line in lines if "│" in line) <= 80


def test_page_of_the_catalogue_is_what_the_declaration_says() -> None:
    page = Path(__file__).parents[3] / "docs" / "features.md"

    assert page.read_text(encoding="utf-8") == run("--markdown"), (
        "write it again: ml-assets features flight_delays --markdown > docs/features.md"
    )
