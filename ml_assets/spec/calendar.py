"""When batches run, and which moments belong to which drop."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.drop import Drop, DropKey

_DURATION = re.compile(r"^\s*(\d+)\s*(s|m|min|h|d|w)\s*$")
_UNIT_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
MICROSECOND = timedelta(microseconds=1)


_LONGEST = 36_525 * _UNIT_SECONDS["d"]  # a hundred years: beyond, there are no dates to reckon with


def parse_duration(value: Any) -> timedelta:
    """Read `90min`, `6h`, `7d` or `2w` as a length of time.

    Raises
    ------
    ValueError
        If the text is not a positive whole number followed by s, min, h, d or w.

    Examples
    --------
    >>> parse_duration("6h")
    datetime.timedelta(seconds=21600)
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(str(value))
    if match is None or int(match[1]) == 0:
        raise ValueError(f"found {value!r}; allowed: a positive whole number and a unit of s, min, h, d, w, as in 7d")
    seconds = int(match[1]) * _UNIT_SECONDS[match[2]]
    if seconds > _LONGEST:
        raise ValueError(f"found {value!r}; allowed: at most {_LONGEST // _UNIT_SECONDS['d']}d")
    return timedelta(seconds=seconds)


def format_duration(length: timedelta) -> str:
    """Write a length of time in its largest whole unit, as declarations do.

    Examples
    --------
    >>> format_duration(timedelta(days=7))
    '7d'
    """
    seconds = int(length.total_seconds())
    for unit in ("d", "h", "min"):
        if seconds % _UNIT_SECONDS[unit] == 0:
            return f"{seconds // _UNIT_SECONDS[unit]}{unit}"
    return f"{seconds}s"


def length_of(value: object) -> timedelta | None:
    """Read a duration of a declaration that may not be sound; None where it is none."""
    try:
        return parse_duration(value)
    except ValueError:
        return None


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)]


_TIMES: dict[str, Any] = {"every": parse_duration, "start": date.fromisoformat, "end": date.fromisoformat}


def _read_as(kind: Any, value: object) -> Any:
    """Read a value that may not be sound; None where it is not."""
    if not isinstance(value, str):
        return value
    try:
        return kind(value)
    except ValueError:
        return None


def check_zone(name: str) -> str:
    """Check that `name` is a time zone this machine knows, and give it back.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"found {name!r}; allowed: an IANA time zone such as America/New_York") from error
    return name


class Calendar(Declared):
    """The batches of a use case: one every `every` days at local time `at`, from `start` to `end`.

    A batch, its drop and its partition share one name, the local date of the batch.
    Drop D is what was received in (batch D-1, batch D].
    """

    start: date
    end: date | None = None
    every: Duration = timedelta(days=1)
    at: time
    timezone: Annotated[str, AfterValidator(check_zone)]

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find a step that no partition can be named by, and an end before the start."""
        every, start, end = (_read_as(kind, declared.get(key)) for key, kind in _TIMES.items())
        if isinstance(every, timedelta) and every not in (timedelta(days=1), timedelta(days=7)):
            yield ("every",), f"found {format_duration(every)}; allowed: 1d or 7d"
        if isinstance(start, date) and isinstance(end, date) and end < start:
            yield ("end",), f"found {end}; allowed: {start} or later"

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def batch_at(self, drop: DropKey) -> datetime:
        """Give the moment of the batch of `drop`, in UTC.

        Examples
        --------
        >>> calendar = Calendar(start="2013-01-01", at="04:00", timezone="America/New_York")
        >>> calendar.batch_at(date(2013, 7, 1)).isoformat()
        '2013-07-01T08:00:00+00:00'
        """
        return datetime.combine(drop, self.at, tzinfo=self._zone).astimezone(UTC)

    def day_of(self, moment: datetime) -> date:
        """Give the local day of a moment: what a drop is named by whose batch runs then.

        Examples
        --------
        >>> calendar = Calendar(start="2013-01-01", at="01:30", timezone="America/New_York")
        >>> calendar.day_of(datetime(2013, 11, 3, 6, 30, tzinfo=UTC))  # 01:30 again, an hour after the batch
        datetime.date(2013, 11, 3)
        """
        return moment.astimezone(self._zone).date()

    def drop(self, key: DropKey) -> Drop:
        """Give the drop of a key: what was received in (previous batch, batch].

        Examples
        --------
        >>> calendar = Calendar(start="2013-01-01", at="04:00", timezone="America/New_York")
        >>> drop = calendar.drop(date(2013, 7, 1))
        >>> drop.start.isoformat(), drop.end.isoformat()
        ('2013-06-30T08:00:00+00:00', '2013-07-01T08:00:00+00:00')
        """
        return Drop(self.batch_at(key), self.batch_at(self.shift(key, -1)), key)

    def shift(self, drop: DropKey, steps: int) -> DropKey:
        """Give the drop `steps` drops later, or earlier where negative, whether or not the calendar runs then.

        Examples
        --------
        >>> weekly = Calendar(start="2022-01-09", every="7d", at="06:00", timezone="Asia/Kolkata")
        >>> str(weekly.shift(date(2022, 1, 9), 2)), str(weekly.shift(date(2022, 1, 9), -1))
        ('2022-01-23', '2022-01-02')
        """
        return drop + steps * self.every

    def next_drop(self, drop: DropKey) -> DropKey:
        """Give the drop after `drop`, whether or not the calendar still runs."""
        return self.shift(drop, 1)

    def previous_drop(self, drop: DropKey) -> DropKey:
        """Give the drop before `drop`, whether or not the calendar had begun."""
        return self.shift(drop, -1)

    def earlier(self, drop: DropKey, length: timedelta) -> DropKey:
        """Give the key that lies `length` before `drop`: a bound to compare drops with, not always a drop itself."""
        return drop - length

    def window_start(self, drop: DropKey, length: timedelta) -> DropKey:
        """Give the first drop of the window of `length` that ends with `drop`; it holds one drop at least.

        Examples
        --------
        >>> daily = Calendar(start="2013-01-01", at="04:00", timezone="America/New_York")
        >>> str(daily.window_start(date(2013, 1, 14), timedelta(days=7)))
        '2013-01-08'
        """
        return self.shift(drop - max(length, self.every), 1)

    def drops_in(self, length: timedelta) -> int:
        """Give how many whole drops fall into a length of time, at least one."""
        return max(1, length // self.every)

    def drops_waited(self, length: timedelta) -> int:
        """Give after how many drops a length of time is over: zero for no time at all."""
        return -(-length // self.every)

    def duration_of(self, drops: int) -> timedelta:
        """Give the time that so many drops take, as declarations count it."""
        return drops * self.every

    def has_clock_change(self, drop: DropKey) -> bool:
        """Say whether the clocks of the zone change in `drop`, which makes it an hour longer or shorter."""
        return self.batch_at(drop) - self.batch_at(self.previous_drop(drop)) != self.every

    def cron(self, after: timedelta = timedelta(0)) -> str:
        """Give the batches, or moments as long after them, as a cron expression in the calendar's zone.

        Examples
        --------
        >>> weekly = Calendar(start="2022-01-09", every="7d", at="23:30", timezone="Asia/Kolkata")
        >>> weekly.cron(), weekly.cron(timedelta(hours=1))
        ('30 23 * * 0', '30 0 * * 1')
        """
        at = datetime.combine(self.start, self.at) + after
        days = "*" if self.every == timedelta(days=1) else str(at.isoweekday() % 7)
        return f"{at.minute} {at.hour} * * {days}"

    def steps(self, first: DropKey, last: DropKey) -> int:
        """Give how many drops `last` comes after `first`; negative where it comes before."""
        return (last - first) // self.every

    def span(self, first: DropKey, last: DropKey) -> timedelta:
        """Give the time from `first` to `last`, as declarations count it."""
        return last - first

    def is_drop(self, day: date) -> bool:
        """Say whether a batch runs on `day`."""
        return day >= self.start and (self.end is None or day <= self.end) and not (day - self.start) % self.every

    def nearest_drop(self, day: date) -> DropKey:
        """Give the drop that is nearest to `day`.

        Examples
        --------
        >>> calendar = Calendar(start="2022-01-09", end="2022-02-06", every="7d", at="06:00", timezone="Asia/Kolkata")
        >>> [str(calendar.nearest_drop(date(year, 1, 22))) for year in (2021, 2022, 2023)]
        ['2022-01-09', '2022-01-23', '2022-02-06']
        """
        last = None if self.end is None else (self.end - self.start) // self.every
        steps = max(0, round((day - self.start) / self.every))
        return self.start + (steps if last is None else min(steps, last)) * self.every

    def drops_between(self, first: DropKey, last: DropKey) -> list[DropKey]:
        """List the drops from `first` to `last`, both included, in order."""
        steps = max(0, -((self.start - first) // self.every))
        day = self.start + steps * self.every
        drops: list[DropKey] = []
        while day <= last and (self.end is None or day <= self.end):
            drops.append(day)
            day += self.every
        return drops

    def drop_receiving(self, moment: datetime) -> DropKey:
        """Name the drop whose interval holds `moment`.

        Examples
        --------
        >>> calendar = Calendar(start="2013-01-01", at="04:00", timezone="America/New_York")
        >>> calendar.drop_receiving(calendar.batch_at(date(2013, 3, 10)))
        datetime.date(2013, 3, 10)
        >>> calendar.drop_receiving(calendar.batch_at(date(2013, 3, 10)) + MICROSECOND)
        datetime.date(2013, 3, 11)
        """
        day = self.start + ((self.day_of(moment) - self.start) // self.every) * self.every
        while self.batch_at(day) < moment:
            day += self.every
        while self.batch_at(day - self.every) >= moment:
            day -= self.every
        return day


def cut_drops(drops: Iterable[DropKey], rows: Mapping[DropKey, int], at_once: int) -> Iterator[list[DropKey]]:
    """Cut drops into parts of whole drops with at most `at_once` rows together; one with more is a part of its own.

    >>> one, two, three = (date(2013, 1, day) for day in (1, 2, 3))
    >>> [len(part) for part in cut_drops([one, two, three], {one: 40, two: 50, three: 60}, at_once=100)]
    [2, 1]
    """
    part: list[DropKey] = []
    held = 0
    for drop in drops:
        if part and held + rows.get(drop, 0) > at_once:
            yield part
            part, held = [], 0
        part.append(drop)
        held += rows.get(drop, 0)
    if part:
        yield part
