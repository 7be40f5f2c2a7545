"""What a calendar may declare, which days it means, and the cron expressions that say the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from ml_assets.spec.cadence import DAY
from ml_assets.spec.cron import FOUR_YEARS, Cron, parse_cron
from ml_assets.spec.declared import Fault
from ml_assets.spec.duration import format_duration, parse_duration
from ml_assets.spec.raw_yaml import list_of

NAMED_STEPS = ("weekday", "month", "quarter")
_MONTHS = {"month": 1, "quarter": 3}
_DAYS = (DAY, 7 * DAY)
_PARTS = tuple(timedelta(minutes=part) for part in (15, 20, 30, 60, 120, 180, 240, 360, 480, 720))
_ALLOWED = f"{', '.join(map(format_duration, (*_PARTS, *_DAYS)))}, {', '.join(NAMED_STEPS)}"
LAST_OF_ANY_MONTH = 28
FOUR_MONTHS = timedelta(days=121, hours=18)  # of a year of 365.25 days


def read_step(value: Any) -> Any:
    """Read what lies between batches: a length of time, or the name of a step."""
    return value if value in NAMED_STEPS else parse_duration(value)


def format_step(every: timedelta | str) -> str:
    """Write what lies between batches as declarations do.

    >>> format_step(timedelta(hours=1)), format_step("month")
    ('1h', 'month')
    """
    return every if isinstance(every, str) else format_duration(every)


Step = Annotated[timedelta | str, BeforeValidator(read_step), PlainSerializer(format_step, return_type=str)]


def _read_as(kind: Any, value: object) -> Any:
    """Read a value that may not be sound; None where it is not."""
    if not isinstance(value, str):
        return value
    try:
        return kind(value)
    except ValueError:
        return None


def faults_of_calendar(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find a step that no partition can be named by, times that contradict it, and an end before the start."""
    every, start, end = (
        _read_as(kind, declared.get(key))
        for key, kind in (("every", read_step), ("start", date.fromisoformat), ("end", date.fromisoformat))
    )
    if isinstance(every, timedelta) and every not in (*_PARTS, *_DAYS):
        yield ("every",), f"found {format_duration(every)}; allowed: {_ALLOWED}"
    if isinstance(start, date) and isinstance(end, date) and end < start:
        yield ("end",), f"found {end}; allowed: {start} or later"
    if every in _MONTHS and isinstance(start, date) and start.day > LAST_OF_ANY_MONTH and not _is_last(start):
        yield (
            ("start",),
            f"found {start}, whose day not every month has; allowed: day 1 to {LAST_OF_ANY_MONTH}, or the last day "
            "of a month, which stands for the last of each",
        )
    yield from _faults_of_times(declared, every)
    yield from _faults_of_cron(declared)


def _is_last(day: date) -> bool:
    return (day + DAY).day == 1


def _faults_of_times(declared: Mapping[str, Any], every: object) -> Iterator[Fault]:
    at = declared.get("at")
    if at is None:
        if "cron" not in declared and not (isinstance(every, timedelta) and every < DAY):
            yield ("at",), 'missing; allowed: a time of day, as in "04:00", or a list of them'
        return
    texts = list_of(at) or [at]
    if odd := [each for each in texts if not isinstance(each, str | time)]:
        yield ("at",), f'found {odd[0]!r}; allowed: a time of day in quotes, as in "04:00", or a list of them'
        return
    listed = [each for each in map(_time_of, texts) if each is not None]
    if len(texts) > 1 and isinstance(every, timedelta) and every < DAY:
        yield ("at",), f"found several times with every: {format_duration(every)}; allowed: the time of the first batch"
    elif len(texts) > 1 and not (listed and len(set(listed)) == len(list_of(at))):
        yield ("at",), f'found {texts!r}; allowed: different times of day, as in ["06:00", "18:00"]'
    elif len({each.minute for each in listed}) > 1:
        yield ("at",), f"found {texts!r}; allowed: times that are as many minutes past their hour"
    elif any(each.second or each.microsecond or each.tzinfo for each in listed) and len(texts) > 1:
        yield ("at",), f"found {texts!r}; allowed: times to the minute, on the clock of `timezone`"


def _time_of(value: object) -> time | None:
    if isinstance(value, time):
        return value
    found = _read_as(time.fromisoformat, value)
    return found if isinstance(found, time) else None


def _faults_of_cron(declared: Mapping[str, Any]) -> Iterator[Fault]:
    cron = declared.get("cron")
    if cron is None:
        return
    for key in ("every", "at"):
        if key in declared:
            yield (key,), f"found beside cron: {cron}; allowed: one of the two, for a cron says both days and times"
    try:
        parse_cron(str(cron))
    except ValueError as error:
        yield ("cron",), str(error)


def declared_key_type(declared: Mapping[str, Any]) -> str:
    """Give the SQL type of the keys that a calendar has which may not be sound.

    >>> declared_key_type({"every": "1h"}), declared_key_type({"at": ["06:00", "18:00"]}), declared_key_type({})
    ('VARCHAR', 'VARCHAR', 'DATE')
    """
    every = _read_as(read_step, declared.get("every"))
    cron = _read_as(parse_cron, declared.get("cron"))
    is_part = isinstance(every, timedelta) and every < DAY
    has_several = len(list_of(declared.get("at"))) > 1 or (isinstance(cron, Cron) and len(cron.times) > 1)
    return "VARCHAR" if is_part or has_several else "DATE"


def step_length(declared: Mapping[str, Any]) -> timedelta | None:
    """Give the mean length of a drop by a calendar that may not be sound; None where it says no length.

    >>> step_length({"every": "1h"}), step_length({"every": "month"})
    (datetime.timedelta(seconds=3600), datetime.timedelta(days=30, seconds=37800))
    """
    cron = _read_as(parse_cron, declared.get("cron"))
    if isinstance(cron, Cron):
        days = sum(cron.has_day(day) for day in FOUR_YEARS)
        return len(FOUR_YEARS) * DAY / (days * len(cron.times))
    every = _read_as(read_step, declared.get("every", DAY))
    several = max(1, len(list_of(declared.get("at"))))
    if isinstance(every, str):
        return {"weekday": 7 * DAY / 5, "month": FOUR_MONTHS / 4, "quarter": 3 * FOUR_MONTHS / 4}[every] / several
    return every / several if isinstance(every, timedelta) else None


def calendar_is_sound(declared: Mapping[str, Any]) -> bool:
    """Say whether a calendar has a step that it may have; of others it is said where it is declared."""
    every = _read_as(read_step, declared.get("every", DAY))
    return "cron" in declared or isinstance(every, str) or every in (*_PARTS, *_DAYS)


def whole_days(length: timedelta) -> timedelta:
    """Round a length up to days, as declarations write it; one shorter than a day stays as it is.

    >>> whole_days(timedelta(days=91, hours=6)), whole_days(timedelta(hours=6))
    (datetime.timedelta(days=92), datetime.timedelta(seconds=21600))
    """
    return length if length < DAY else -(-length // DAY) * DAY


def is_step_regular(declared: Mapping[str, Any]) -> bool:
    """Say whether all drops are as long, by a calendar that may not be sound."""
    is_named = declared.get("every") in NAMED_STEPS
    return "cron" not in declared and not is_named and len(list_of(declared.get("at"))) < 2


def units_in(length: timedelta, declared: Mapping[str, Any]) -> int:
    """Give how many days of evaluation lie in a length of time: drops, where these are longer than days.

    >>> units_in(timedelta(days=7), {"every": "1h"}), units_in(timedelta(days=28), {"every": "7d"})
    (7, 4)
    >>> units_in(timedelta(days=91), {"every": "month"})
    3
    """
    unit = max(DAY, step_length(declared) or DAY)
    return max(1, length // unit if is_step_regular(declared) else round(length / unit))


def day_rule(every: timedelta | str, start: date) -> Callable[[date], bool]:
    """Give which days have a batch, of a step of whole days, weekdays, months or quarters.

    >>> is_day = day_rule("month", date(2024, 1, 31))
    >>> [str(day) for day in (date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 31)) if is_day(day)]
    ['2024-02-29', '2024-03-31']
    """
    if every == "weekday":
        return lambda day: day.isoweekday() <= 5
    if isinstance(every, timedelta):
        return lambda day: not (day - start) % every
    months = _MONTHS[every]

    def is_day(day: date) -> bool:
        is_named = _is_last(day) if start.day > LAST_OF_ANY_MONTH else day.day == start.day
        return is_named and not (day.month - start.month) % months

    return is_day


def cron_of_grid(first: datetime, every: timedelta) -> str:
    """Write a batch every part of a day, of which one is at `first`, in UTC, as a cron expression.

    >>> from datetime import UTC
    >>> cron_of_grid(datetime(2013, 1, 1, 5, 10, tzinfo=UTC), timedelta(minutes=20))
    '10,30,50 * * * *'
    >>> cron_of_grid(datetime(2013, 1, 1, 5, tzinfo=UTC), timedelta(hours=8))
    '0 5,13,21 * * *'
    """
    minutes = every // timedelta(minutes=1)
    if minutes < 60:
        return f"{_listed((first.minute + part) % 60 for part in range(0, 60, minutes))} * * * *"
    hours = "*" if minutes == 60 else _listed((first.hour + part) % 24 for part in range(0, 24, minutes // 60))
    return f"{first.minute} {hours} * * *"


def cron_of_days(days: str | tuple[timedelta | str, date], times: tuple[time, ...], after: timedelta) -> str:
    """Write times on the days of a cron expression, or of a step from a start on, `after` in whole hours later.

    What would lie after midnight comes in the last hour of its day.

    >>> cron_of_days(("quarter", date(2024, 3, 31)), (time(23, 30),), timedelta(0))
    '30 23 L 3,6,9,12 *'
    >>> cron_of_days("0 6,18 * * 1-5", (time(6), time(18)), timedelta(hours=1))
    '0 7,19 * * 1-5'
    """
    more = after // timedelta(hours=1)
    hours = _listed(min(at.hour + more, 23) for at in times)
    return f"{_listed(at.minute for at in times)} {hours} {_days_of_cron(days)}"


def _days_of_cron(days: str | tuple[timedelta | str, date]) -> str:
    if isinstance(days, str):
        return " ".join(days.split()[2:])
    every, start = days
    if isinstance(every, timedelta):
        return "* * *" if every == DAY else f"* * {start.isoweekday() % 7}"
    if every == "weekday":
        return "* * 1-5"
    months = "*" if every == "month" else _listed(each for each in range(1, 13) if not (each - start.month) % 3)
    return f"{'L' if start.day > LAST_OF_ANY_MONTH else start.day} {months} *"


def _listed(numbers: Iterable[int]) -> str:
    return ",".join(map(str, sorted(set(numbers))))
