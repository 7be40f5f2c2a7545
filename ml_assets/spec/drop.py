"""What one batch receives: a drop, with the key that tables and partitions name it by.

A key is opaque outside the calendar: it can be compared, printed and looked up. How many drops lie between two keys,
which drop comes next, and which lies two weeks before are questions to the calendar (`Calendar.shift`, `earlier`,
`window_start`, `steps`), because only it knows how long a drop is.

A day of evaluation (the block of a bootstrap, a row of a daily mean) is no drop, and stays a `date`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TypeAlias

DropKey: TypeAlias = date
"""The local date of the batch: what the column `batch_date` holds, and what the partition is called."""


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
    >>> from datetime import UTC
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
    """Give a number that rises with the key, one a day: to draw along, to seed a generator, to sort downwards by."""
    return key.toordinal()


def nearest_key(keys: Iterable[DropKey], wanted: DropKey) -> DropKey:
    """Give the key that is nearest to `wanted`, the earlier of two; raises ValueError where there is none.

    >>> str(nearest_key([date(2026, 1, 1), date(2026, 1, 3)], date(2026, 1, 2)))
    '2026-01-01'
    """
    return min(sorted(keys), key=lambda key: abs(key - wanted))
