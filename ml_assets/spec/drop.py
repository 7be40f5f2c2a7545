"""What one batch receives: a drop, with the key that tables and partitions name it by.

A key is opaque outside the calendar: it can be compared, printed, looked up and written into SQL. How many drops lie
between two keys, which drop comes next, and which lies two weeks before are questions to the calendar
(`Calendar.shift`, `earlier`, `window_start`, `steps`), because only it knows how long a drop is.

One use case has keys of one kind. Where at most one batch runs a day, a key is the local date of the batch. Where
several do, it is text: `2013-07-01T0800Z`, the moment of the batch in UTC, where batches are equally far apart, and
`2013-07-01T0600`, the time on the calendar's clock, where they run at declared times of day. Text sorts in the order
of the batches, is unambiguous when clocks go back, and is the same in a table, a folder, a partition and a command.

A day of evaluation (the block of a bootstrap, a row of a daily mean) is no drop, and stays a `date`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2})(\d{2})(Z?)")
_WRITTEN_OTHERWISE = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}):?(\d{2})(?::?00)?(Z|\+00:?00)?")
DAY_OF_KEY = "left(batch_date::VARCHAR, 10)::DATE"  # in SQL, the day of a key
MOMENT_OF_KEY = (  # in SQL, about the moment of a key: of a date, when it begins
    "(strptime(rpad(replace(batch_date::VARCHAR, 'Z', ''), 15, 'T0000'), '%Y-%m-%dT%H%M') AT TIME ZONE 'UTC')"
)
_DATE = len("2013-07-01")
GRID_FORMAT = "%Y-%m-%dT%H%MZ"
WALL_FORMAT = "%Y-%m-%dT%H%M"


class DropKey(Protocol):
    """What names a drop: what the column `batch_date` holds, and what the partition is called.

    A `date` or a text, of one kind in a use case; `str` of it is the name that people read and write.
    """

    def __lt__(self, other: Any, /) -> bool: ...
    def __le__(self, other: Any, /) -> bool: ...
    def __gt__(self, other: Any, /) -> bool: ...
    def __ge__(self, other: Any, /) -> bool: ...
    def __hash__(self) -> int: ...


class _Bound:
    """Compares as later than every key, or as earlier than every one."""

    def __init__(self, *, is_late: bool) -> None:
        self._is_late = is_late

    def __lt__(self, other: Any, /) -> bool:
        return not self._is_late and other is not self

    def __gt__(self, other: Any, /) -> bool:
        return self._is_late and other is not self

    def __le__(self, other: Any, /) -> bool:
        return not self > other

    def __ge__(self, other: Any, /) -> bool:
        return not self < other

    __hash__ = object.__hash__


LATEST: DropKey = _Bound(is_late=True)  # later than every drop: no bound
EARLIEST: DropKey = _Bound(is_late=False)


def read_key(text: str) -> DropKey:
    """Read the name of a drop, as `str` writes a key; whether a calendar has it, the calendar knows.

    Raises
    ------
    ValueError
        If the text names neither a day nor a moment, to the minute.

    Examples
    --------
    >>> read_key("2013-07-01"), read_key("2013-07-01T0800Z")
    (datetime.date(2013, 7, 1), '2013-07-01T0800Z')
    """
    found = _MOMENT.fullmatch(text)
    if found is None:
        day = date.fromisoformat(text)
        if day.isoformat() != text:
            raise ValueError(f"found {text!r}; allowed: a date such as {day}")
        return day
    datetime.fromisoformat(f"{found[1]}T{found[2]}:{found[3]}")
    return text


def is_key(text: str) -> bool:
    """Say whether a text is the name of a drop, and no other moment.

    >>> is_key("2013-07-01T0800Z"), is_key("2013-07-01T08:00:00.000+00:00")
    (True, False)
    """
    try:
        read_key(text)
    except ValueError:
        return False
    return True


def key_of_moment(text: str) -> DropKey:
    """Read the drop that an incident begins with: its key, or the day of the moment that it holds instead.

    >>> key_of_moment("2013-07-01T0800Z"), key_of_moment("2013-07-01T08:00:00.000+00:00")
    ('2013-07-01T0800Z', datetime.date(2013, 7, 1))
    """
    try:
        return read_key(text)
    except ValueError:
        return date.fromisoformat(text[:10])


def plain_key(text: str) -> str:
    """Give the name of a drop that a person wrote with a colon, a space or seconds the form that keys have.

    >>> plain_key("2013-07-01 08:00Z"), plain_key("2013-07-01T06:00"), plain_key("2013-07-01")
    ('2013-07-01T0800Z', '2013-07-01T0600', '2013-07-01')
    """
    found = _WRITTEN_OTHERWISE.fullmatch(text.strip())
    return text if found is None else f"{found[1]}T{found[2]}{found[3]}{'Z' if found[4] else ''}"


def key_type(key: DropKey) -> str:
    """Give the SQL type of the columns that hold such keys."""
    return "DATE" if isinstance(key, date) else "VARCHAR"


def key_sql(key: DropKey) -> str:
    """Write a key, or the name of one, as a SQL literal.

    >>> key_sql(date(2013, 7, 1)), key_sql("2013-07-01T0800Z")
    ("DATE '2013-07-01'", "'2013-07-01T0800Z'")
    """
    return f"DATE '{key}'" if len(str(key)) == _DATE else f"'{key}'"


def keys_sql(keys: Iterable[DropKey]) -> str:
    """Write keys as a list of SQL literals."""
    return ", ".join(key_sql(key) for key in keys)


def day_of_key(key: DropKey) -> date:
    """Give the day that a key names: of a text, the day it begins with.

    >>> day_of_key(date(2013, 7, 1)), day_of_key("2013-07-01T2300Z")
    (datetime.date(2013, 7, 1), datetime.date(2013, 7, 1))
    """
    return key if isinstance(key, date) else date.fromisoformat(str(key)[:10])


def days_later(key: DropKey, length: timedelta) -> DropKey:
    """Give the date that lies `length` after one, where there is no calendar; raises TypeError of another key."""
    if not isinstance(key, date):
        raise TypeError(f"found the drop {key!r}; allowed: a date, where no calendar is given")
    return key + length


def years_around(first: DropKey, last: DropKey) -> range:
    """Give the years of two drops, with the one before and the one after."""
    return range(day_of_key(first).year - 1, day_of_key(last).year + 2)


@dataclass(frozen=True, order=True, slots=True)
class Drop:
    """What was received in (start, end]; drops compare by when they end.

    Attributes
    ----------
    end
        The moment of its batch, in UTC.
    start
        The moment of the batch before, in UTC.
    key
        What it is named by.

    Examples
    --------
    >>> noon, night = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    >>> drop = Drop(night, noon, date(2026, 1, 2))
    >>> noon in drop, night in drop
    (False, True)
    """

    end: datetime
    start: datetime = field(compare=False)
    key: DropKey = field(compare=False)

    def __contains__(self, moment: datetime) -> bool:
        """Whether what became known at `moment` is received in this drop."""
        return self.start < moment <= self.end


def number_of(key: DropKey) -> int:
    """Give a number that rises with the key: to draw along, to seed a generator, to sort downwards by.

    One a day where keys are dates, and one a minute where they are moments.
    """
    if isinstance(key, date):
        return key.toordinal()
    moment = datetime.strptime(str(key).removesuffix("Z"), WALL_FORMAT).replace(tzinfo=UTC)
    return int(moment.timestamp()) // 60


def nearest_key(keys: Iterable[DropKey], wanted: DropKey) -> DropKey:
    """Give the key that is nearest to `wanted`, the earlier of two; raises ValueError where there is none.

    >>> str(nearest_key([date(2026, 1, 1), date(2026, 1, 3)], date(2026, 1, 2)))
    '2026-01-01'
    """
    keys = sorted(keys)
    if len({isinstance(key, date) for key in [*keys, wanted]}) > 1:
        return min(keys, key=lambda key: abs(day_of_key(key).toordinal() - day_of_key(wanted).toordinal()))
    number = number_of(wanted)
    return min(keys, key=lambda key: abs(number_of(key) - number))
