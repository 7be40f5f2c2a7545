from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from ml_assets.demo.flight_tables import flight_table
from ml_assets.demo.flights import files_of_drop, land_flights, read_feeds
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.drop import day_of_key

IDENTITY = "flight_id,carrier,flight_number,origin,dest,scheduled_departure_at,scheduled_arrival_at"
HEADERS = {
    "schedule": f"{IDENTITY},distance_mi",
    "flight_outcomes": f"{IDENTITY},tail_number,departed_at,arrived_at,departure_delay_min,arrival_delay_min,"
    "air_time_min,status,reported_at",
    "weather": "origin,observed_at,temp_f,dewpoint_f,humidity_pct,wind_dir_deg,wind_speed_mph,wind_gust_mph,precip_in,"
    "pressure_hpa,visibility_mi",
    "planes": "tail_number,manufactured_year,type,manufacturer,model,engines,seats,speed_mph,engine",
    "airports": "airport,name,lat,lon,altitude_ft,utc_offset_h,dst,timezone",
}
SPRING, DAY_AFTER = date(2013, 3, 10), date(2013, 3, 11)


def bytes_by_name(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")


def moments_in(path: Path, column: str) -> pd.Series:
    return pd.to_datetime(pd.read_csv(path)[column], format="%Y-%m-%dT%H:%M:%SZ", utc=True)


def test_landing_twice_leaves_the_same_bytes_and_no_other_file(tmp_path: Path, calendar: Calendar) -> None:
    land_flights(tmp_path, calendar, SPRING, SPRING)
    first = bytes_by_name(tmp_path)
    land_flights(tmp_path, calendar, SPRING, SPRING)

    assert bytes_by_name(tmp_path) == first
    assert sorted(first) == [f"2013-03-10/{source}.csv" for source in ("flight_outcomes", "schedule", "weather")]


def test_two_days_in_one_range_equal_two_days_landed_alone_in_any_order(tmp_path: Path, calendar: Calendar) -> None:
    together = land_flights(tmp_path / "range", calendar, SPRING, DAY_AFTER)
    later = land_flights(tmp_path / "alone", calendar, DAY_AFTER, DAY_AFTER)
    earlier = land_flights(tmp_path / "alone", calendar, SPRING, SPRING)

    assert bytes_by_name(tmp_path / "range") == bytes_by_name(tmp_path / "alone")
    assert together == {source: earlier[source] + later[source] for source in HEADERS}


def test_rows_of_a_drop_lie_in_its_interval_of_23_hours(tmp_path: Path, calendar: Calendar) -> None:
    land_flights(tmp_path, calendar, SPRING, SPRING)
    begin, end = (pd.Timestamp(moment) for moment in ("2013-03-09T09:00Z", "2013-03-10T08:00Z"))
    reported = moments_in(tmp_path / "2013-03-10/flight_outcomes.csv", "reported_at")
    known = moments_in(tmp_path / "2013-03-10/weather.csv", "observed_at") + pd.Timedelta(hours=1)
    planned = moments_in(tmp_path / "2013-03-10/schedule.csv", "scheduled_departure_at")

    assert reported.gt(begin).all()
    assert reported.le(end).all()
    assert sorted(set(known)) == list(pd.date_range("2013-03-09T10:00Z", end, freq="h"))
    assert planned.gt(end).all()
    assert planned.le(end + pd.Timedelta(days=1)).all()
    assert (len(reported), len(known), len(planned)) == (769, 69, 908)


def test_first_drop_carries_the_reference_files_and_no_outcome_yet(tmp_path: Path, calendar: Calendar) -> None:
    seen: list[tuple[date, dict[str, int]]] = []
    land_flights(tmp_path, calendar, calendar.start, date(2013, 1, 2), on_drop=lambda *drop: seen.append(drop))
    folder = tmp_path / "2013-01-01"

    assert {path.stem: lines_of(path)[0] for path in folder.iterdir()} == HEADERS
    assert seen[0][1] == {"planes": 3322, "airports": 1458, "weather": 9, "flight_outcomes": 0, "schedule": 842}
    assert lines_of(folder / "flight_outcomes.csv")[1:] == [""]
    assert [(drop, sorted(counts)) for drop, counts in seen[1:]] == [
        (date(2013, 1, 2), ["flight_outcomes", "schedule", "weather"])
    ]


def test_fields_are_written_as_the_package_has_them(tmp_path: Path, calendar: Calendar) -> None:
    land_flights(tmp_path, calendar, date(2013, 1, 1), date(2013, 1, 3))
    outcomes = lines_of(tmp_path / "2013-01-02/flight_outcomes.csv")

    assert outcomes[1] == (
        "2013-01-01-B6-125-JFK,B6,125,JFK,FLL,2013-01-01T11:00:00Z,2013-01-01T14:01:00Z,N618JB,,,,,,cancelled,"
        "2013-01-01T11:00:00Z"
    )
    assert outcomes[2] == (
        "2013-01-01-B6-1806-JFK,B6,1806,JFK,BOS,2013-01-01T10:59:00Z,2013-01-01T12:06:00Z,N708JB,2013-01-01T10:59:00Z,"
        "2013-01-01T12:02:00Z,0,-4,44,completed,2013-01-01T12:02:00Z"
    )
    assert (
        "2013-01-01-EV-3806-EWR,EV,3806,EWR,STL,2013-01-01T19:59:00Z,2013-01-01T22:47:00Z,N17108,2013-01-01T20:28:00Z,"
        ",29,,,diverted,2013-01-02T22:47:00Z"
    ) in lines_of(tmp_path / "2013-01-03/flight_outcomes.csv")
    assert lines_of(tmp_path / "2013-01-01/weather.csv")[1] == (
        "EWR,2013-01-01T06:00:00Z,39.02,26.06,59.37,270,10.357019999999999,,0,1012,10"
    )


def test_wrong_wind_speed_of_february_is_landed_unchanged(tmp_path: Path, calendar: Calendar) -> None:
    land_flights(tmp_path, calendar, date(2013, 2, 12), date(2013, 2, 12))

    assert ("EWR,2013-02-12T08:00:00Z,39.02,26.96,61.63,260,1048.36058,,0,1008.3,10") in lines_of(
        tmp_path / "2013-02-12/weather.csv"
    )


def test_year_of_drops_carries_every_row_once_and_publishers_stop_with_their_data(calendar: Calendar) -> None:
    drops = calendar.drops_between(date(2013, 1, 1), date(2014, 1, 3))
    sent = [(source, drop, rows) for drop in drops for source, rows in files_of_drop(drop, calendar)]
    counts = {source: sum(len(rows) for name, _, rows in sent if name == source) for source in HEADERS}
    days = {source: [drop for name, drop, _ in sent if name == source] for source in HEADERS}
    outcomes = pd.concat([rows.assign(drop=day_of_key(drop)) for name, drop, rows in sent if name == "flight_outcomes"])
    begin, end = ({drop: getattr(calendar.drop(drop), side) for drop in drops} for side in ("start", "end"))

    assert counts == {
        "schedule": 336_776,
        "flight_outcomes": 336_776,
        "weather": 26_115,
        "planes": 3_322,
        "airports": 1_458,
    }
    assert days["schedule"] == days["weather"] == drops[:365]
    assert days["flight_outcomes"] == drops
    assert days["planes"] == days["airports"] == [date(2013, 1, 1)]
    assert outcomes["status"].value_counts().to_dict() == {"completed": 327_346, "cancelled": 8_255, "diverted": 1_175}
    assert outcomes["flight_id"].is_unique
    assert outcomes["reported_at"].gt(outcomes["drop"].map(begin)).all()
    assert outcomes["reported_at"].le(outcomes["drop"].map(end)).all()


def test_outcome_is_reported_no_earlier_than_it_was_known() -> None:
    outcomes = read_feeds()["flight_outcomes"].rows
    by_status = dict(list(outcomes.groupby("status")))
    completed, cancelled, diverted = (by_status[name] for name in ("completed", "cancelled", "diverted"))

    assert completed["reported_at"].equals(completed["arrived_at"].rename("reported_at"))
    assert (cancelled["reported_at"] == cancelled["scheduled_departure_at"]).all()
    assert (diverted["reported_at"] - diverted["scheduled_arrival_at"]).unique().tolist() == [pd.Timedelta(hours=24)]
    assert (diverted["departed_at"] < diverted["reported_at"]).all()
    assert cancelled[["departed_at", "arrived_at", "air_time_min"]].isna().all(axis=None)
    assert outcomes.loc[outcomes["tail_number"].isna(), "status"].value_counts().to_dict() == {"cancelled": 2_512}


def test_two_flights_of_one_identity_are_refused(timed: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="flight_id is not unique: 2013-01-01-UA-1545-EWR"):
        flight_table(timed.iloc[[0, 1, 0]].reset_index(drop=True))


def test_failed_write_leaves_the_file_that_was_there_and_nothing_else(
    tmp_path: Path, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_flights(tmp_path, calendar, SPRING, SPRING)
    before = bytes_by_name(tmp_path)
    unwritable = pd.DataFrame({"origin": ["EWR", "\ud800"]})
    monkeypatch.setattr("ml_assets.demo.flights.files_of_drop", lambda *_: [("weather", unwritable)])

    with pytest.raises(UnicodeEncodeError):
        land_flights(tmp_path, calendar, SPRING, SPRING)

    assert bytes_by_name(tmp_path) == before
