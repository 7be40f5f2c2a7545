"""Which cadence a calendar declares, and its first and last drop.

Worked out once each: loops over drops ask for them at every step.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from ml_assets.spec.cadence import DAY, SKIPPING_ZONES, Cadence, Grid, WallClock, WholeDays
from ml_assets.spec.calendar_rules import day_rule
from ml_assets.spec.cron import parse_cron
from ml_assets.spec.drop import DropKey


@lru_cache(maxsize=256)
def cadence_of(start: date, every: timedelta | str, cron: str | None, times: tuple[time, ...], name: str) -> Cadence:
    """Give how the drops of a calendar follow each other, by what it declares; `name` is of its time zone."""
    zone = ZoneInfo(name)
    if cron is not None:
        return WallClock(zone, parse_cron(cron).has_day, times)
    if isinstance(every, timedelta) and every < DAY:
        return Grid(datetime.combine(start, times[0], tzinfo=zone).astimezone(UTC), every)
    if isinstance(every, timedelta) and len(times) == 1 and name not in SKIPPING_ZONES:
        return WholeDays(start, every, times[0], zone)
    return WallClock(zone, day_rule(every, start), times)


@lru_cache(maxsize=256)
def first_drop_of(start: date, every: timedelta | str, cron: str | None, times: tuple[time, ...], name: str) -> DropKey:
    """Give the first drop of a calendar: of whole days its start, else the first batch from then on."""
    cadence, zone = cadence_of(start, every, cron, times, name), ZoneInfo(name)
    if isinstance(cadence, WholeDays):
        return start
    at = times[0] if isinstance(cadence, Grid) else time()
    return cadence.receiving(datetime.combine(start, at, tzinfo=zone).astimezone(UTC))


@lru_cache(maxsize=256)
def last_drop_of(end: date, cadence: Cadence, name: str) -> DropKey:
    """Give the last drop of a calendar whose drops are no whole days: the last batch on the day `end`."""
    after = cadence.receiving(datetime.combine(end + DAY, time(), tzinfo=ZoneInfo(name)).astimezone(UTC))
    return cadence.shift(after, -1)
