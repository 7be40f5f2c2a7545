"""Which drops a calendar has: whole days, equal parts of a day, or times of day on days that a rule picks.

In: where batches begin, and how they follow each other. Out: the key and the moment of any drop, and how many lie
between two. The calendar picks one of the three by what is declared.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Protocol
from zoneinfo import ZoneInfo

from ml_assets.spec.drop import GRID_FORMAT, WALL_FORMAT, DropKey

DAY = timedelta(days=1)
# zones that once left out a whole day of the calendar, which a batch cannot run on; a test looks for others
SKIPPING_ZONES = frozenset({
    "Kwajalein", "Pacific/Apia", "Pacific/Enderbury", "Pacific/Fakaofo", "Pacific/Kanton", "Pacific/Kiritimati",
    "Pacific/Kwajalein",
})  # fmt: skip


class Cadence(Protocol):
    """How the drops of a calendar follow each other; keys may lie before its first drop, and be no drops.

    Attributes
    ----------
    mean
        How long a drop is, on average.
    shortest
        How long its shortest drop is, clock changes aside.
    is_regular
        Every drop is as long, clock changes aside.
    """

    @property
    def mean(self) -> timedelta:
        """Give how long a drop is, on average."""
        ...

    @property
    def shortest(self) -> timedelta:
        """Give how long the shortest drop is, clock changes aside."""
        ...

    @property
    def is_regular(self) -> bool:
        """Whether every drop is as long, clock changes aside."""
        ...

    def is_named(self, key: DropKey) -> bool:
        """Say whether a batch has this key."""
        ...

    def batch_at(self, key: DropKey) -> datetime:
        """Give the moment of a batch, in UTC."""
        ...

    def receiving(self, moment: datetime) -> DropKey:
        """Name the first batch that does not come before `moment`."""
        ...

    def shift(self, key: DropKey, steps: int) -> DropKey:
        """Give the key so many drops later, or earlier where negative."""
        ...

    def steps(self, first: DropKey, last: DropKey) -> int:
        """Give how many drops lie between two keys."""
        ...

    def earlier(self, key: DropKey, length: timedelta) -> DropKey:
        """Give the key that lies `length` before, a drop or none."""
        ...


@dataclass(frozen=True)
class WholeDays:
    """A batch every so many days at one time of day; a key is the local date of its batch."""

    start: date
    every: timedelta
    at: time
    zone: ZoneInfo
    is_regular: bool = True

    @property
    def mean(self) -> timedelta:
        """Give the length of a drop."""
        return self.every

    @property
    def shortest(self) -> timedelta:
        """Give the length of a drop."""
        return self.every

    def is_named(self, key: DropKey) -> bool:
        """Say whether a batch has this key."""
        return isinstance(key, date) and not (key - self.start) % self.every

    def batch_at(self, key: DropKey) -> datetime:
        """Give the moment of a batch, in UTC: where clocks go back, the first of two."""
        return datetime.combine(_as_date(key), self.at, tzinfo=self.zone).astimezone(UTC)

    def receiving(self, moment: datetime) -> DropKey:
        """Name the first batch that does not come before `moment`."""
        day = moment.astimezone(self.zone).date()
        key = self.start + ((day - self.start) // self.every) * self.every
        while self.batch_at(key) < moment:
            key += self.every
        while self.batch_at(key - self.every) >= moment:
            key -= self.every
        return key

    def shift(self, key: DropKey, steps: int) -> DropKey:
        """Give the key so many drops later, or earlier where negative."""
        return _as_date(key) + steps * self.every

    def steps(self, first: DropKey, last: DropKey) -> int:
        """Give how many whole drops lie between two keys."""
        return (_as_date(last) - _as_date(first)) // self.every

    def earlier(self, key: DropKey, length: timedelta) -> DropKey:
        """Give the key that lies `length` before, a drop or none."""
        return _as_date(key) - length


@dataclass(frozen=True)
class Grid:
    """A batch every so many minutes or hours of elapsed time; a key is the moment of its batch, in UTC.

    Clock changes move none of its batches. Every drop is as long as every other.
    """

    anchor: datetime  # the first batch, in UTC
    every: timedelta
    is_regular: bool = True

    @property
    def mean(self) -> timedelta:
        """Give the length of a drop."""
        return self.every

    @property
    def shortest(self) -> timedelta:
        """Give the length of a drop."""
        return self.every

    def is_named(self, key: DropKey) -> bool:
        """Say whether a batch has this key."""
        return isinstance(key, str) and key.endswith("Z") and not (self.batch_at(key) - self.anchor) % self.every

    def batch_at(self, key: DropKey) -> datetime:
        """Give the moment of a batch, in UTC."""
        return _grid_moment(str(key))

    def receiving(self, moment: datetime) -> DropKey:
        """Name the first batch that does not come before `moment`."""
        return _grid_key(self.anchor - (self.anchor - moment) // self.every * self.every)

    def shift(self, key: DropKey, steps: int) -> DropKey:
        """Give the key so many drops later, or earlier where negative."""
        return _grid_key(self.batch_at(key) + steps * self.every)

    def steps(self, first: DropKey, last: DropKey) -> int:
        """Give how many whole drops lie between two keys."""
        return (self.batch_at(last) - self.batch_at(first)) // self.every

    def earlier(self, key: DropKey, length: timedelta) -> DropKey:
        """Give the key that lies `length` before, a drop or none."""
        return _grid_key(self.batch_at(key) - length)


@dataclass(frozen=True)
class WallClock:
    """Batches at times of day, on the clock of a zone, of the days that a rule picks.

    A key is the local date of the batch where a day has one, and the local date and time where it has several. Of a
    time that comes twice, as clocks go back, the first is meant. A time that clocks leave out: where it is the only one
    of its day, the batch runs as much later as they are set forward; else that batch does not take place. Days that a
    zone left out have none.
    """

    zone: ZoneInfo
    is_day: Callable[[date], bool]
    times: tuple[time, ...]
    is_regular: bool = False
    _years: dict[int, tuple[list[datetime], list[DropKey]]] = field(
        default_factory=dict[int, tuple[list[datetime], list[DropKey]]], compare=False, repr=False
    )

    @property
    def mean(self) -> timedelta:
        """Give the length of a drop, on average over four years."""
        return _lengths_of(self)[0]

    @property
    def shortest(self) -> timedelta:
        """Give how long the shortest drop of four years is, by the clock on the wall."""
        return _lengths_of(self)[1]

    def is_named(self, key: DropKey) -> bool:
        """Say whether a batch has this key."""
        if isinstance(key, date) != self._is_daily:
            return False
        keys = self._year(int(str(key)[:4]))[1]
        place = bisect_left(keys, key)
        return place < len(keys) and keys[place] == key

    def batch_at(self, key: DropKey) -> datetime:
        """Give the moment of a batch, in UTC; of a key that is no drop, the moment it names."""
        wall = datetime.combine(key, self.times[0]) if isinstance(key, date) else _wall_of(key)
        return wall.replace(tzinfo=self.zone).astimezone(UTC)

    def receiving(self, moment: datetime) -> DropKey:
        """Name the first batch that does not come before `moment`."""
        year = moment.astimezone(self.zone).year
        for each in range(year, date.max.year):
            moments, keys = self._year(each)
            place = bisect_left(moments, moment)
            if place < len(keys):
                return keys[place]
        raise OverflowError(f"no batch comes after {moment}")

    def shift(self, key: DropKey, steps: int) -> DropKey:
        """Give the key so many drops later, or earlier where negative; from a key that is no drop, the one before."""
        year = int(str(key)[:4])
        place = bisect_right(self._year(year)[1], key) - 1 + steps
        while place < 0:
            year -= 1
            place += len(self._year(year)[1])
        while place >= len(self._year(year)[1]):
            place -= len(self._year(year)[1])
            year += 1
        return self._year(year)[1][place]

    def steps(self, first: DropKey, last: DropKey) -> int:
        """Give how many drops come after `first`, up to `last`; negative where it lies before."""
        if last < first:
            return -self.steps(last, first)
        begin, end = int(str(first)[:4]), int(str(last)[:4])
        whole = sum(len(self._year(year)[1]) for year in range(begin, end))
        return whole + bisect_right(self._year(end)[1], last) - bisect_right(self._year(begin)[1], first)

    def earlier(self, key: DropKey, length: timedelta) -> DropKey:
        """Give the key that lies `length` before, a drop or none."""
        wall = datetime.combine(key, time()) if isinstance(key, date) else _wall_of(key)
        return self._key(wall - length)

    @property
    def _is_daily(self) -> bool:
        return len(self.times) == 1

    def _key(self, wall: datetime) -> DropKey:
        return wall.date() if self._is_daily else wall.strftime(WALL_FORMAT)

    def _year(self, year: int) -> tuple[list[datetime], list[DropKey]]:
        """List moments and keys of the batches of a year, in order; none outside of the years that there are."""
        if not date.min.year < year < date.max.year:
            if year in (date.min.year, date.max.year):
                return [], []
            raise OverflowError(f"no batch runs in the year {year}")
        if year not in self._years:
            begin = date(year, 1, 1)
            days = [begin + number * DAY for number in range((date(year + 1, 1, 1) - begin).days)]
            walls = [datetime.combine(day, at) for day in filter(self.is_day, days) for at in self.times]
            moments = [wall.replace(tzinfo=self.zone).astimezone(UTC) for wall in walls]
            pairs = [(moment, self._key(wall)) for moment, wall in zip(moments, walls, strict=True)
                     if self._takes_place(moment, wall)]  # fmt: skip
            self._years[year] = [moment for moment, _ in pairs], [key for _, key in pairs]
        return self._years[year]

    def _takes_place(self, moment: datetime, wall: datetime) -> bool:
        local = moment.astimezone(self.zone).replace(tzinfo=None)
        return local.date() == wall.date() if self._is_daily else local == wall


@lru_cache(maxsize=64)
def _lengths_of(clock: WallClock) -> tuple[timedelta, timedelta]:
    """Give the mean and the shortest length of a drop of four years, by the clock on the wall."""
    days = [day for number in range(1461) if clock.is_day(day := date(2021, 1, 1) + number * DAY)]
    walls = [datetime.combine(day, at) for day in days for at in clock.times]
    mean = 1461 * DAY / max(1, len(walls))
    return mean, min((after - before for before, after in pairwise(walls)), default=mean)


def _as_date(key: DropKey) -> date:
    if not isinstance(key, date):
        raise TypeError(f"found the drop {key!r}; allowed: a date, as this calendar names its drops")
    return key


def _wall_of(key: DropKey) -> datetime:
    return datetime.strptime(str(key), WALL_FORMAT)  # noqa: DTZ007 - the clock on the wall, whose zone the caller knows


@lru_cache(maxsize=1 << 17)
def _grid_moment(key: str) -> datetime:
    return datetime.strptime(key, GRID_FORMAT).replace(tzinfo=UTC)


def _grid_key(moment: datetime) -> DropKey:
    at = moment.astimezone(UTC)
    return f"{at.year:04}-{at.month:02}-{at.day:02}T{at.hour:02}{at.minute:02}Z"  # a tenth of what strftime takes
