from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from ml_assets.demo.flights import SOURCES, files_of_drop, land_flights, read_feeds
from ml_assets.demo.live_tables import airport_plan_table, airport_report_table
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.declaration import load_use_case
from ml_assets_tests.rehearsal import DEFS_FOLDER

LIVE, AIRPORT = "flight_delays_live", "airport_delay"


@pytest.fixture(scope="module")
def hours() -> Calendar:
    """Give the calendar of the hourly use cases."""
    return load_use_case(DEFS_FOLDER / LIVE).calendar


def moments(path: Path, column: str) -> pd.Series:
    return pd.to_datetime(pd.read_csv(path)[column], utc=True)


@pytest.mark.parametrize("use_case", [LIVE, AIRPORT])
def test_what_lands_is_what_the_use_case_declares(use_case: str) -> None:
    spec = load_use_case(DEFS_FOLDER / use_case)
    feeds = read_feeds(use_case)

    assert {source.name for source in spec.sources} == set(SOURCES[use_case])
    for source in spec.sources:
        if source.name in feeds:
            assert list(feeds[source.name].rows.columns) == list(source.columns), source.name


def test_an_hour_holds_what_was_known_by_then_and_plans_of_flights_two_to_three_hours_ahead(
    tmp_path: Path, hours: Calendar
) -> None:
    land_flights(tmp_path, hours, "2013-07-01T1400Z", "2013-07-01T1400Z", use_case=LIVE)
    folder, batch = tmp_path / "2013-07-01T1400Z", pd.Timestamp("2013-07-01T14:00Z")
    hour = pd.Timedelta(hours=1)

    for file, column, first in (("departures", "departed_at", -1), ("flight_outcomes", "reported_at", -1),
                                ("schedule", "scheduled_departure_at", 2),
                                ("assignments", "scheduled_departure_at", 2)):  # fmt: skip
        found = moments(folder / f"{file}.csv", column)
        assert len(found) >= 30, file
        assert found.gt(batch + first * hour).all(), file
        assert found.le(batch + (first + 1) * hour).all(), file
    assert moments(folder / "weather.csv", "observed_at").eq(batch - hour).all()
    assert sorted(path.stem for path in folder.iterdir()) == sorted(set(SOURCES[LIVE]) - {"planes", "airports"})


@pytest.mark.slow
def test_a_year_of_hours_carries_every_row_once(hours: Calendar) -> None:
    counts = Counter[str]()
    drops = hours.drops_between("2013-01-01T0500Z", "2014-01-03T0400Z")
    for use_case in (LIVE, AIRPORT):
        for drop in drops:
            for source, rows in files_of_drop(drop, hours, use_case):
                counts[f"{use_case}/{source}"] += len(rows)

    assert counts == {
        f"{LIVE}/schedule": 336_776, f"{LIVE}/assignments": 336_776, f"{LIVE}/flight_outcomes": 336_776,
        f"{LIVE}/departures": 328_521, f"{LIVE}/weather": 26_115, f"{LIVE}/planes": 3_322, f"{LIVE}/airports": 1_458,
        f"{AIRPORT}/weather": 26_115, f"{AIRPORT}/flight_outcomes": 336_776, f"{AIRPORT}/departures": 328_521,
        f"{AIRPORT}/airport_plan": 22_094, f"{AIRPORT}/airport_reports": 22_041,
    }  # fmt: skip


def test_an_airports_plan_counts_flights_of_the_three_hours_after_the_batch() -> None:
    at = pd.to_datetime(["2013-07-01T10:00Z", "2013-07-01T10:01Z", "2013-07-01T12:30Z"])
    schedule = pd.DataFrame({"origin": "EWR", "carrier": ["UA", "UA", "B6"], "scheduled_departure_at": at})

    plan = airport_plan_table(schedule).set_index("period_start_at")
    ten, seven = (plan.loc[pd.Timestamp(f"2013-07-01T{hour}:00Z")] for hour in ("10", "07"))

    assert (ten["planned"], ten["planned_1h"], ten["planned_2h"], ten["planned_3h"], ten["carriers"]) == (2, 1, 0, 1, 2)
    assert (seven["planned"], seven["planned_3h"]) == (1, 1)  # 10:00 itself lies in (07:00, 10:00]
    assert len(plan) == 6


def test_an_airports_report_comes_when_the_last_flight_has_left_and_never_before_the_period_ends() -> None:
    at = pd.to_datetime(["2013-07-01T10:30Z", "2013-07-01T12:30Z"])
    departures = pd.DataFrame({
        "origin": "EWR", "scheduled_departure_at": at, "departure_delay_min": [10, 120],
        "departed_at": at + pd.to_timedelta([10, 120], unit="min"),
    })  # fmt: skip

    reports = {row["period_start_at"].hour: row for row in airport_report_table(departures).to_dict("records")}
    both, first = reports[10], reports[8]

    assert (both["departed"], both["departure_delay_mean_min"]) == (2, 65.0)
    assert both["reported_at"] == pd.Timestamp("2013-07-01T14:30Z")
    assert (first["departure_delay_mean_min"], first["reported_at"]) == (10.0, pd.Timestamp("2013-07-01T11:00Z"))


def test_reports_are_the_mean_of_the_departures_of_their_plan() -> None:
    feeds = read_feeds(AIRPORT)
    plan, reports, left = (feeds[name].rows for name in ("airport_plan", "airport_reports", "departures"))
    one = reports[(reports["airport"] == "JFK") & (reports["period_start_at"] == pd.Timestamp("2013-06-24T20:00Z"))]
    begin = pd.Timestamp("2013-06-24T20:00Z")
    is_in = (left["origin"] == "JFK") & left["scheduled_departure_at"].between(
        begin, begin + pd.Timedelta(hours=3), inclusive="right"
    )
    planned = plan[(plan["airport"] == "JFK") & (plan["period_start_at"] == begin)].iloc[0]

    assert int(one.iloc[0]["departed"]) == int(is_in.sum())
    assert int(is_in.sum()) <= int(planned["planned"])
    assert one.iloc[0]["departure_delay_mean_min"] == pytest.approx(
        left.loc[is_in, "departure_delay_min"].mean(), abs=1e-4
    )
