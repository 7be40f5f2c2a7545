"""The calendar that the drops of a use case were run with, in a file beside its tables.

A drop is named by a day, and its calendar says which interval that is: the tables of a state hold for one calendar
alone. The file is there from the first run on; a state of an earlier release has none until it is next written to.
"""

from __future__ import annotations

import json
from pathlib import Path

from ml_assets.spec.calendar import Calendar
from ml_assets.spec.calendar_rules import format_step
from ml_assets.stores.landing import write_whole
from ml_assets.stores.state_version import begin_lake

CALENDAR_FILE = "calendar.json"


def calendar_facts(calendar: Calendar) -> dict[str, str]:
    """Give what the interval of every drop follows from; when the calendar ends is no part of it.

    Examples
    --------
    >>> calendar_facts(Calendar(start="2013-01-01", end="2014-01-01", at="04:00", timezone="America/New_York"))
    {'every': '1d', 'at': '04:00', 'timezone': 'America/New_York', 'start': '2013-01-01'}
    """
    times = [at.isoformat() for at in calendar.times]
    return {
        "every": f"cron {calendar.cron}" if calendar.cron else format_step(calendar.every),
        "at": ", ".join(at.removesuffix(":00") if at.count(":") > 1 else at for at in times),
        "timezone": calendar.timezone,
        "start": calendar.start.isoformat(),
    }


def read_calendar(lake: Path) -> dict[str, str] | None:
    """Read the calendar that was recorded in the folder of a lake; None where there is none."""
    path = lake / CALENDAR_FILE
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged: {error}; take it from a backup, or remove it: the next run records the calendar that "
            "is declared then"
        ) from error


def record_calendar(lake: Path, calendar: Calendar) -> None:
    """Record the calendar in the folder of a lake, whole or not at all."""
    begin_lake(lake)
    write_whole(lake / CALENDAR_FILE, json.dumps(calendar_facts(calendar)).encode())
