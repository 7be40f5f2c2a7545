"""Names of drops as people write them."""

from __future__ import annotations

from datetime import date

from ml_assets.spec.calendar import Calendar
from ml_assets.spec.drop import DropKey, plain_key, read_key


def named_drop(calendar: Calendar, text: str, *, is_first: bool = False) -> DropKey:
    """Read the drop that a text names; where a day has several, a date names its last, or its first.

    Whether the calendar has it is not asked.

    Raises
    ------
    ValueError
        If the text names neither a day nor a moment.

    Examples
    --------
    >>> hourly = Calendar(start="2013-07-01", every="1h", timezone="America/New_York")
    >>> [named_drop(hourly, text) for text in ("2013-07-02", "2013-07-02 08:00Z")]
    ['2013-07-03T0300Z', '2013-07-02T0800Z']
    >>> named_drop(hourly, "2013-07-02", is_first=True)
    '2013-07-02T0400Z'
    """
    key = read_key(plain_key(text))
    of_day = [] if calendar.has_dates or not isinstance(key, date) else calendar.drops_of_day(key)
    return of_day[0 if is_first else -1] if of_day else key
