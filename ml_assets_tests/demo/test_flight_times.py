from __future__ import annotations

import pandas as pd
import pytest

from ml_assets.demo.flight_times import clock_disagreements, minutes_after_midnight, utc_of_local, with_moments

MOMENTS = ["scheduled_departure_at", "departed_at", "scheduled_arrival_at", "arrived_at"]


def moments_of(timed: pd.DataFrame, day: str, carrier: str, flight: int) -> list[str]:
    """Show scheduled and actual departure, scheduled and actual arrival as UTC day and clock."""
    month, day_of_month = (int(part) for part in day.split("-"))
    wanted = {"month": month, "day": day_of_month, "carrier": carrier, "flight": flight}
    rows = timed[(timed[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    assert len(rows) == 1
    return [rows[name].iloc[0].strftime("%m-%d %H:%M") for name in MOMENTS]


def test_departure_clock_2400_is_the_midnight_that_ends_the_day(timed: pd.DataFrame) -> None:
    rows = timed[(timed["dep_time"] == 2400) & (timed["month"] == 10)]
    new_york = rows["departed_at"].dt.tz_convert("America/New_York")

    assert minutes_after_midnight(pd.Series([0, 2359, 2400])).tolist() == [0, 1439, 1440]
    assert (timed["dep_time"] == 2400).sum() == 29
    assert set(new_york.dt.strftime("%H:%M")) == {"00:00"}
    assert (new_york.dt.day - rows["day"]).tolist() == [1] * len(rows)


def test_arrival_clock_2400_is_the_midnight_that_ends_the_day(timed: pd.DataFrame) -> None:
    # JFK to RDU: due 23:37, arrived 24:00, both on the evening of January 1 in North Carolina.
    assert moments_of(timed, "01-01", "B6", 1109) == ["01-02 02:55", "01-02 03:09", "01-02 04:37", "01-02 05:00"]


def test_overnight_flight_arrives_on_the_next_local_day(timed: pd.DataFrame) -> None:
    # JFK to SJU: leaves at 23:59 New York time, due at 04:42 the next morning in San Juan.
    assert moments_of(timed, "01-02", "B6", 707) == ["01-03 04:59", "01-03 05:42", "01-03 08:42", "01-03 09:18"]


def test_flight_due_before_midnight_that_comes_late_arrives_on_the_next_local_day(timed: pd.DataFrame) -> None:
    # EWR to PHL: due at 22:24, 96 minutes late.
    assert moments_of(timed, "01-13", "EV", 4619) == ["01-14 02:29", "01-14 03:43", "01-14 03:24", "01-14 05:00"]


def test_arrival_in_the_hour_that_spring_skips_is_read_on_the_clock_before_the_change(timed: pd.DataFrame) -> None:
    # JFK to PBI: the package's arrival clock says 02:03, which did not exist that night.
    assert moments_of(timed, "03-09", "B6", 35) == ["03-10 02:45", "03-10 04:06", "03-10 05:34", "03-10 07:03"]


def test_spring_change_moves_new_york_and_not_phoenix_or_honolulu(timed: pd.DataFrame) -> None:
    # EWR to PHX at 06:19 daylight time; JFK to HNL at 09:00 standard and, a day later, 10:00 daylight time.
    assert moments_of(timed, "03-10", "UA", 1236)[::2] == ["03-10 10:19", "03-10 16:03"]
    assert moments_of(timed, "03-09", "HA", 51)[::2] == ["03-09 14:00", "03-10 01:40"]
    assert moments_of(timed, "03-10", "HA", 51)[::2] == ["03-10 14:00", "03-11 01:30"]


def test_autumn_change_moves_new_york_and_not_puerto_rico(timed: pd.DataFrame) -> None:
    # JFK to SJU at 06:00 New York time on both days; due 09:43, and after the change 10:43, in San Juan.
    assert moments_of(timed, "11-02", "B6", 1403)[::2] == ["11-02 10:00", "11-02 13:43"]
    assert moments_of(timed, "11-03", "B6", 1403)[::2] == ["11-03 11:00", "11-03 14:43"]


def test_flight_in_the_air_during_the_autumn_change_lands_on_daylight_time_in_the_west(timed: pd.DataFrame) -> None:
    # JFK to LAX, due 00:40 on November 3, when Los Angeles has not changed its clocks yet.
    assert moments_of(timed, "11-02", "AA", 185) == ["11-03 01:40", "11-03 01:39", "11-03 07:40", "11-03 07:43"]


def test_time_that_autumn_repeats_is_its_first_occurrence() -> None:
    local = pd.Series(pd.to_datetime(["2013-11-03 00:59", "2013-11-03 01:30", "2013-11-03 02:00"]))

    moments = utc_of_local(local, pd.Series(["America/New_York"] * 3))

    assert moments.dt.strftime("%H:%M").tolist() == ["04:59", "05:30", "07:00"]


def test_one_flight_a_year_disagrees_with_the_clocks_of_the_package(timed: pd.DataFrame) -> None:
    found = clock_disagreements(timed)

    assert found[["carrier", "flight", "arr_time"]].to_numpy().tolist() == [["B6", 35, 203]]
    assert found[["departure_off_min", "arrival_off_min"]].to_numpy().tolist() == [[0, 60]]


def test_clock_that_is_a_minute_off_is_listed(timed: pd.DataFrame) -> None:
    first = timed.head(3)
    shifted = first.assign(dep_time=first["dep_time"] + [1, 0, 0], arr_time=first["arr_time"] - [0, 0, 1])

    found = clock_disagreements(shifted)

    assert found["departure_off_min"].tolist() == [-1, 0]
    assert found["arrival_off_min"].tolist() == [0, 1]


def test_every_completed_flight_takes_longer_than_its_time_in_the_air(timed: pd.DataFrame) -> None:
    elapsed_min = (timed["arrived_at"] - timed["departed_at"]).dt.total_seconds() / 60
    block_min = (timed["scheduled_arrival_at"] - timed["scheduled_departure_at"]).dt.total_seconds() / 60

    assert elapsed_min.count() == 327_346
    assert (elapsed_min - timed["air_time"]).min() == 5
    assert (block_min.min(), block_min.max()) == (50, 700)


def test_destination_without_a_zone_is_refused_by_name(timed: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="without a time zone: IAH, MIA;"):
        with_moments(timed.head(3), {"BQN": "America/Puerto_Rico"})


def test_moments_of_a_few_day_flights_equal_those_of_the_whole_year(timed: pd.DataFrame) -> None:
    package = timed.head(3).drop(columns=["zone", *MOMENTS])
    zones = {"IAH": "America/Chicago", "MIA": "America/New_York"}

    pd.testing.assert_frame_equal(with_moments(package, zones)[MOMENTS], timed.head(3)[MOMENTS])
