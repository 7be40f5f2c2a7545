"""Cron expressions of five fields: which days and times they name.

Only expressions that name the same times on each of their days are read, because a drop is named by its time. Fields
hold `*`, numbers, ranges, steps and lists: `0 6,18 * * 1-5`. As in cron, a day is named by its day of the month or by
its weekday where both fields are restricted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from functools import lru_cache

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("weekday", 0, 7))


@dataclass(frozen=True)
class Cron:
    """What a cron expression names; weekdays are 0 to 6 from Sunday on."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    @property
    def times(self) -> tuple[time, ...]:
        """Give the times of a day, in order."""
        return tuple(time(hour, minute) for hour in sorted(self.hours) for minute in sorted(self.minutes))

    def has_day(self, day: date) -> bool:
        """Say whether it names a day."""
        is_of_month, is_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        any_day, any_weekday = len(self.days) == 31, len(self.weekdays) == 7
        either = is_of_month and is_weekday if any_day or any_weekday else is_of_month or is_weekday
        return day.month in self.months and either


@lru_cache(maxsize=256)
def parse_cron(text: str) -> Cron:
    """Read a cron expression.

    Raises
    ------
    ValueError
        If it has not five fields, or a field holds what is not read.

    Examples
    --------
    >>> cron = parse_cron("0 6,18 * * 1-5")
    >>> [str(at) for at in cron.times], cron.has_day(date(2013, 7, 1)), cron.has_day(date(2013, 7, 6))
    (['06:00:00', '18:00:00'], True, False)
    """
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(
            f"found {text!r}, {len(parts)} fields; allowed: minute, hour, day of the month, month, weekday"
        )
    found = [_numbers(part, *field) for part, field in zip(parts, _FIELDS, strict=True)]
    weekdays = frozenset(number % 7 for number in found[4])
    cron = Cron(found[0], found[1], found[2], found[3], weekdays)
    if not any(cron.has_day(day) for day in FOUR_YEARS):
        raise ValueError(f"found {text!r}, which names no day of the calendar; allowed: one that does")
    return cron


FOUR_YEARS = [date.fromordinal(number) for number in range(date(2021, 1, 1).toordinal(), date(2025, 1, 1).toordinal())]


def _numbers(part: str, name: str, least: int, most: int) -> frozenset[int]:
    found: set[int] = set()
    for each in part.split(","):
        span, _, step = each.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            first, last = str(least), str(most)
        elif not dash:
            last = str(most) if step else first
        if not (first.isdecimal() and last.isdecimal() and (step or "1").isdecimal() and int(step or "1")):
            raise ValueError(
                f"found {part!r} as the {name}; allowed: *, numbers, ranges as 1-5, steps as */2, and lists"
            )
        if not least <= int(first) <= int(last) <= most:
            raise ValueError(f"found {part!r} as the {name}; allowed: from {least} to {most}, in order")
        found |= set(range(int(first), int(last) + 1, int(step or "1")))
    return frozenset(found)
