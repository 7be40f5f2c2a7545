"""When batches run, and which moments belong to which drop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator

from ml_assets.spec.cadence import DAY, Cadence, Grid, WholeDays
from ml_assets.spec.calendar_bounds import cadence_of, first_drop_of, last_drop_of
from ml_assets.spec.calendar_rules import Step, cron_of_days, cron_of_grid, faults_of_calendar, format_step
from ml_assets.spec.cron import parse_cron
from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.drop import GRID_FORMAT, WALL_FORMAT, Drop, DropKey, day_of_key
from ml_assets.spec.raw_yaml import list_of

MICROSECOND = timedelta(microseconds=1)


def _read_times(value: Any) -> Any:
    return tuple(map(_read_time, list_of(value))) if list_of(value) else _read_time(value)


def _read_time(value: Any) -> Any:
    try:
        return time.fromisoformat(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f'found {value!r}; allowed: a time of day, as in "04:00"') from error


Times = Annotated[time | tuple[time, ...], BeforeValidator(_read_times)]


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
    """The batches of a use case, from the first on or after `start` to the last on or before `end`.

    `every` is a length: whole days at the local time `at`, or a part of a day, counted in elapsed time from `at` on
    `start` on. Or it is `weekday`, Monday to Friday; `month` or `quarter`, on the day of the month that `start` has.
    `at` may name several times of a day. `cron` says instead of both which days and times are meant.

    A batch, its drop and its partition share one name, a key: see `spec/drop.py`.
    Drop D is what was received in (batch D-1, batch D].
    """

    start: date
    end: date | None = None
    every: Step = DAY
    at: Times | None = None
    cron: str | None = None
    timezone: Annotated[str, AfterValidator(check_zone)]

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find a step that no partition can be named by, times that contradict it, and an end before the start."""
        yield from faults_of_calendar(declared)

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def _cadence(self) -> Cadence:
        return cadence_of(self.start, self.every, self.cron, self.times, self.timezone)

    @property
    def times(self) -> tuple[time, ...]:
        """Give the times of day of its batches, in order; of parts of a day, the time of the first batch."""
        if self.cron is not None:
            return parse_cron(self.cron).times
        return tuple(sorted(self.at)) if isinstance(self.at, tuple) else (self.at or time(),)

    @property
    def has_dates(self) -> bool:
        """Whether its keys are dates: at most one batch runs a day."""
        return isinstance(self.first_drop, date)

    @property
    def key_type(self) -> str:
        """Give the SQL type of the columns that hold its keys."""
        return "DATE" if self.has_dates else "VARCHAR"

    @property
    def key_format(self) -> str:
        """Give how its keys are written, as `strftime` has it."""
        return "%Y-%m-%d" if self.has_dates else GRID_FORMAT if self.is_grid else WALL_FORMAT

    @property
    def is_whole_days(self) -> bool:
        """Whether its batches are whole days apart: clock changes make a drop an hour longer or shorter."""
        return isinstance(self._cadence, WholeDays)

    @property
    def is_grid(self) -> bool:
        """Whether its batches are equal parts of a day apart, in elapsed time."""
        return isinstance(self._cadence, Grid)

    @property
    def mean_length(self) -> timedelta:
        """Give how long a drop is, on average."""
        return self._cadence.mean

    @property
    def shortest_length(self) -> timedelta:
        """Give how long the shortest drop is, clock changes aside."""
        return self._cadence.shortest

    @property
    def step_text(self) -> str:
        """Write how often batches run, as it is declared."""
        if self.cron is not None:
            return f"cron {self.cron}"
        several = f" at {', '.join(f'{at:%H:%M}' for at in self.times)}" if len(self.times) > 1 else ""
        return format_step(self.every) + several

    @property
    def first_drop(self) -> DropKey:
        """Give the first drop."""
        return first_drop_of(self.start, self.every, self.cron, self.times, self.timezone)

    @property
    def last_drop(self) -> DropKey | None:
        """Give the last drop; None where batches go on."""
        if self.end is None or self.is_whole_days:
            return self.end
        return last_drop_of(self.end, self._cadence, self.timezone)

    def batch_at(self, drop: DropKey) -> datetime:
        """Give the moment of the batch of `drop`, in UTC.

        Examples
        --------
        >>> calendar = Calendar(start="2013-01-01", at="04:00", timezone="America/New_York")
        >>> calendar.batch_at(date(2013, 7, 1)).isoformat()
        '2013-07-01T08:00:00+00:00'
        """
        return self._cadence.batch_at(drop)

    def day_of(self, moment: datetime) -> date:
        """Give the local day of a moment.

        Examples
        --------
        >>> calendar = Calendar(start="2013-01-01", at="01:30", timezone="America/New_York")
        >>> calendar.day_of(datetime(2013, 11, 3, 6, 30, tzinfo=UTC))  # 01:30 again, an hour after the batch
        datetime.date(2013, 11, 3)
        """
        return moment.astimezone(self._zone).date()

    def scheduled_drop(self, moment: datetime) -> DropKey:
        """Give the drop that a schedule means which comes up at `moment`: that of the day, or that of the moment."""
        if not self.has_dates:
            return self._cadence.receiving(moment)
        return self.day_of(moment)

    def drops_of_day(self, day: date) -> list[DropKey]:
        """List the drops whose batch runs on a local day, in order."""
        if self.has_dates:
            return [day] if self.is_drop(day) else []
        begin, end = (datetime.combine(each, time(), tzinfo=self._zone).astimezone(UTC) for each in (day, day + DAY))
        first, after = self._cadence.receiving(begin), self._cadence.receiving(end)
        return [drop for drop in self.drops_between(first, after) if drop < after]

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
        return self._cadence.shift(drop, steps)

    @property
    def drops_a_day(self) -> int:
        """Give how many drops a day has; 1 where drops are days or longer."""
        if self.is_whole_days:
            return 1
        return DAY // self.mean_length if self.is_grid else 1 if self.has_dates else len(self.times)

    def same_time_before(self, drop: DropKey, days: int = 1) -> DropKey:
        """Give the drop of the same time of day so many days before; so many drops, where these are days or longer."""
        return self.shift(drop, -days * self.drops_a_day)

    def next_drop(self, drop: DropKey) -> DropKey:
        """Give the drop after `drop`, whether or not the calendar still runs."""
        return self.shift(drop, 1)

    def previous_drop(self, drop: DropKey) -> DropKey:
        """Give the drop before `drop`, whether or not the calendar had begun."""
        return self.shift(drop, -1)

    def earlier(self, drop: DropKey, length: timedelta) -> DropKey:
        """Give the key that lies `length` before `drop`: a bound to compare drops with, not always a drop itself."""
        return self._cadence.earlier(drop, length)

    def window_start(self, drop: DropKey, length: timedelta) -> DropKey:
        """Give the first drop of the window of `length` that ends with `drop`; it holds one drop at least.

        Examples
        --------
        >>> daily = Calendar(start="2013-01-01", at="04:00", timezone="America/New_York")
        >>> str(daily.window_start(date(2013, 1, 14), timedelta(days=7)))
        '2013-01-08'
        """
        if self.is_whole_days:
            return self.shift(self.earlier(drop, max(length, self.mean_length)), 1)
        return self.shift(drop, 1 - self.drops_in(length))

    def drops_in(self, length: timedelta) -> int:
        """Give how many drops fall into a length of time, at least one; of months and the like, on average."""
        if self._cadence.is_regular:
            return max(1, length // self._cadence.mean)
        return max(1, round(length / self._cadence.mean))

    def days_in(self, length: timedelta) -> int:
        """Give how many days of evaluation fall into a length of time: its drops, where these are days or longer."""
        return self.drops_in(length) if self.has_dates else max(1, length // DAY)

    def days_since_start(self, drop: DropKey) -> int:
        """Give the number of the day of evaluation that a drop lies in: of the drop, where drops are no shorter."""
        if self.has_dates:
            return self.steps(self.first_drop, drop)
        return (day_of_key(drop) - day_of_key(self.first_drop)).days

    def days_waited(self, length: timedelta) -> int:
        """Give after how many days of evaluation a length of time is over, whenever in a day it begins."""
        return self.drops_waited(length) if self.has_dates else -(-length // DAY) + 1

    def drops_waited(self, length: timedelta) -> int:
        """Give after how many drops a length of time is over, at most: zero for no time at all."""
        return -(-length // self.shortest_length)

    def duration_of(self, drops: int) -> timedelta:
        """Give the time that so many drops take, as declarations count it."""
        return drops * self._cadence.mean

    def has_clock_change(self, drop: DropKey) -> bool:
        """Say whether the clocks of the zone change in `drop`; a drop of whole days is then longer or shorter."""
        ends = (self.batch_at(drop), self.batch_at(self.previous_drop(drop)))
        if self.is_whole_days:
            return ends[0] - ends[1] != self.mean_length
        before, after = (each.astimezone(self._zone).utcoffset() for each in ends)
        return before != after

    @property
    def cron_zone(self) -> str:
        """Name the zone of the cron expression: parts of a day are counted in UTC."""
        return "UTC" if self.is_grid else self.timezone

    def cron_text(self, after: timedelta = timedelta(0)) -> str:
        """Give the batches, or moments as long after them, as a cron expression in `cron_zone`.

        Where several times a day or days of a month are meant, what lies after midnight is put at the end of the day.

        Examples
        --------
        >>> weekly = Calendar(start="2022-01-09", every="7d", at="23:30", timezone="Asia/Kolkata")
        >>> weekly.cron_text(), weekly.cron_text(timedelta(hours=1))
        ('30 23 * * 0', '30 0 * * 1')
        """
        if self.is_grid and isinstance(self.every, timedelta):
            return cron_of_grid(self.batch_at(self.first_drop) + after, self.every)
        if self.is_whole_days and isinstance(self.every, timedelta):
            at = datetime.combine(self.start, self.times[0]) + after
            days = "*" if self.every == DAY else str(at.isoweekday() % 7)
            return f"{at.minute} {at.hour} * * {days}"
        return cron_of_days(self.cron or (self.every, self.start), self.times, after)

    @property
    def partition_cron(self) -> str:
        """Give the cron expression of the partitions in `cron_zone`: what is named by a date begins at midnight."""
        cron = self.cron_text()
        return f"0 0 {cron.split(maxsplit=2)[2]}" if self.has_dates else cron

    def steps(self, first: DropKey, last: DropKey) -> int:
        """Give how many drops `last` comes after `first`; negative where it comes before."""
        return self._cadence.steps(first, last)

    def span(self, first: DropKey, last: DropKey) -> timedelta:
        """Give the time from `first` to `last`, as declarations count it."""
        if isinstance(first, date) and isinstance(last, date):
            return last - first
        return self.batch_at(last) - self.batch_at(first)

    def is_drop(self, key: DropKey) -> bool:
        """Say whether a batch has this key."""
        if isinstance(key, date) != self.has_dates or not self._cadence.is_named(key):
            return False
        return key >= self.first_drop and (self.last_drop is None or key <= self.last_drop)

    def nearest_drop(self, key: DropKey) -> DropKey:
        """Give the drop that is nearest to a key, which may be of another kind.

        Examples
        --------
        >>> calendar = Calendar(start="2022-01-09", end="2022-02-06", every="7d", at="06:00", timezone="Asia/Kolkata")
        >>> [str(calendar.nearest_drop(date(year, 1, 22))) for year in (2021, 2022, 2023)]
        ['2022-01-09', '2022-01-23', '2022-02-06']
        """
        moment = self._moment_of(key)
        after = self._cadence.receiving(moment)
        before = self.previous_drop(after)
        found = after if self.batch_at(after) - moment < moment - self.batch_at(before) else before
        last = found if self.last_drop is None else min(found, self.last_drop)
        return max(self.first_drop, last)

    def _moment_of(self, key: DropKey) -> datetime:
        if self.has_dates == isinstance(key, date) and (self.has_dates or str(key).endswith("Z") == self.is_grid):
            return self.batch_at(key)
        text = str(key)
        wall = datetime.fromisoformat(text if "T" not in text else f"{text[:13]}:{text[13:]}")
        return wall if wall.tzinfo else wall.replace(tzinfo=self._zone).astimezone(UTC)

    def drops_between(self, first: DropKey, last: DropKey) -> list[DropKey]:
        """List the drops from `first` to `last`, both included, in order."""
        begin = max(first, self.first_drop)
        drop = self._cadence.receiving(self.batch_at(begin))
        drops: list[DropKey] = []
        while drop <= last and (self.last_drop is None or drop <= self.last_drop):
            drops.append(drop)
            drop = self.shift(drop, 1)
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
        return self._cadence.receiving(moment)


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
