"""Laws of every cadence: each moment in exactly one drop, in order, none empty, whatever the clocks do."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ml_assets.spec.cadence import SKIPPING_ZONES
from ml_assets.spec.calendar import MICROSECOND, Calendar
from ml_assets.spec.drop import DropKey, read_key

LAWS = settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ZONES = sorted(zone for zone in available_timezones() if not zone.startswith(("posix", "right", "Etc", "System")))
PARTS = ["15min", "20min", "30min", "1h", "2h", "3h", "4h", "6h", "8h", "12h"]
CRONS = ["0 * * * *", "15,45 6 * * *", "30 22 * * 1,3", "0 0 1 */2 *", "0 6,18 * * 1-5", "0 2 29 2 *", "30 1-3 * * *"]
starts = st.dates(date(1990, 1, 1), date(2037, 6, 30))
times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    """Draw a calendar of any cadence, in any zone."""
    start, zone, at = draw(starts), draw(st.sampled_from(ZONES)), draw(times)
    kind = draw(st.sampled_from(["part", "days", "several", "named", "cron"]))
    if kind == "cron":
        return Calendar(start=start, cron=draw(st.sampled_from(CRONS)), timezone=zone)
    if kind == "part":
        return Calendar.model_validate(
            {"start": start, "every": draw(st.sampled_from(PARTS)), "at": at, "timezone": zone}
        )
    if kind == "several":
        hours = draw(st.sets(st.integers(0, 23), min_size=2, max_size=6))
        every = draw(st.sampled_from(["1d", "7d", "weekday"]))
        several = [time(hour, at.minute) for hour in hours]
        return Calendar.model_validate({"start": start, "every": every, "at": several, "timezone": zone})
    if kind == "named":
        every = draw(st.sampled_from(["weekday", "month", "quarter"]))
        day = start.replace(day=min(start.day, 28)) if every != "weekday" and (start + timedelta(1)).day > 1 else start
        return Calendar.model_validate({"start": day, "every": every, "at": at, "timezone": zone})
    return Calendar.model_validate({"start": start, "every": draw(st.sampled_from(["1d", "7d"])), "at": at,
                                    "timezone": zone})  # fmt: skip


@cache
def clock_change(zone: str, near: date) -> datetime:
    """Give the moment of the change of clocks that comes next in a zone, or noon where none comes for a year."""
    at, clock = datetime(near.year, near.month, near.day, 12, tzinfo=UTC), ZoneInfo(zone)
    hours = [at + timedelta(hours=6 * number) for number in range(4 * 366)]
    return next(
        (
            after
            for before, after in pairwise(hours)
            if before.astimezone(clock).utcoffset() != after.astimezone(clock).utcoffset()
        ),
        at,
    )


moments = st.tuples(st.integers(-200, 200), st.sampled_from([timedelta(), MICROSECOND, -MICROSECOND]))


@pytest.mark.slow
@LAWS
@given(calendar=calendars(), away=moments)
@example(Calendar(start=date(2011, 12, 1), at=time(4), timezone="Pacific/Apia"), (0, timedelta()))
@example(Calendar(start=date(2013, 10, 30), every="1h", timezone="America/New_York"), (4, timedelta()))
def test_every_moment_near_a_clock_change_is_in_exactly_one_drop(
    calendar: Calendar, away: tuple[int, timedelta]
) -> None:
    moment = clock_change(calendar.timezone, calendar.start) + timedelta(minutes=15 * away[0]) + away[1]

    key = calendar.drop_receiving(moment)

    before, after = calendar.drop(calendar.previous_drop(key)), calendar.drop(calendar.next_drop(key))
    assert moment in calendar.drop(key)
    assert moment not in before
    assert moment not in after
    assert before.key < key < after.key
    assert before.end == calendar.drop(key).start
    assert calendar.drop(key).end == after.start


@pytest.mark.slow
@LAWS
@given(calendar=calendars())
def test_no_drop_around_a_clock_change_is_empty_by_construction_and_keys_sort_as_moments(calendar: Calendar) -> None:
    key = calendar.drop_receiving(clock_change(calendar.timezone, calendar.start) - timedelta(days=2))
    keys = [key]
    while len(keys) < 60:
        keys.append(calendar.next_drop(keys[-1]))

    ends = [calendar.batch_at(each) for each in keys]

    assert all(later > earlier for earlier, later in pairwise(ends))
    assert keys == sorted(keys)
    assert len(set(map(str, keys))) == len(keys)
    assert [read_key(str(each)) for each in keys] == keys
    assert [calendar.drop_receiving(end) for end in ends] == keys


@pytest.mark.slow
@LAWS
@given(calendar=calendars(), steps=st.integers(-400, 400))
def test_steps_between_drops_undo_a_shift(calendar: Calendar, steps: int) -> None:
    key = calendar.drop_receiving(datetime(2001, 5, 6, 7, tzinfo=UTC) + timedelta(days=calendar.start.year))

    there = calendar.shift(key, steps)

    assert calendar.steps(key, there) == steps
    assert calendar.shift(there, -steps) == key


@pytest.mark.slow
@LAWS
@given(calendar=calendars(), length=st.integers(1, 90).map(lambda days: timedelta(days=days)))
def test_a_window_holds_as_many_drops_as_the_calendar_counts_in_it(calendar: Calendar, length: timedelta) -> None:
    last = calendar.shift(calendar.first_drop, 500)

    first = calendar.window_start(last, length)

    assert first <= last
    assert calendar.steps(first, last) + 1 == calendar.drops_in(length)
    assert calendar.drops_waited(length) * calendar.shortest_length >= length


@pytest.mark.slow
@LAWS
@given(calendar=calendars(), days=st.integers(0, 40))
def test_drops_of_days_are_those_between_first_and_last_and_the_first_is_on_or_after_start(
    calendar: Calendar, days: int
) -> None:
    end = calendar.start + timedelta(days=days)
    if calendar.first_drop > key_of(calendar, end):
        return
    ended = calendar.model_copy(update={"end": end})
    listed = [key for day in range(days + 1) for key in ended.drops_of_day(calendar.start + timedelta(days=day))]

    assert ended.last_drop is not None
    assert listed == [key for key in ended.drops_between(ended.first_drop, ended.last_drop)
                      if local_day(ended, key) <= end]  # fmt: skip
    assert all(ended.is_drop(key) for key in listed)
    assert not ended.is_drop(ended.previous_drop(ended.first_drop))
    assert day_of_first(calendar) >= calendar.start


def key_of(calendar: Calendar, day: date) -> DropKey:
    return calendar.drop_receiving(
        datetime.combine(day, time(23, 59), tzinfo=ZoneInfo(calendar.timezone)).astimezone(UTC)
    )


def local_day(calendar: Calendar, key: DropKey) -> date:
    return key if isinstance(key, date) else calendar.day_of(calendar.batch_at(key))


def day_of_first(calendar: Calendar) -> date:
    return local_day(calendar, calendar.first_drop)


def test_hours_of_the_day_when_clocks_go_back_are_25_with_names_that_differ() -> None:
    calendar = Calendar(start=date(2013, 11, 1), every="1h", timezone="America/New_York")

    keys = calendar.drops_of_day(date(2013, 11, 3))

    assert (len(keys), keys[0], keys[1], keys[2], keys[-1]) == (
        25, "2013-11-03T0400Z", "2013-11-03T0500Z", "2013-11-03T0600Z", "2013-11-04T0400Z",
    )  # fmt: skip
    assert {calendar.drop(key).end - calendar.drop(key).start for key in keys} == {timedelta(hours=1)}


def test_months_end_on_their_own_last_day_where_the_first_does() -> None:
    calendar = Calendar(start=date(2024, 1, 31), end=date(2024, 6, 30), every="month", at=time(6), timezone="UTC")

    assert [str(key) for key in calendar.drops_between(calendar.first_drop, date(2025, 1, 1))] == [
        "2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31", "2024-06-30",
    ]  # fmt: skip
    assert calendar.drops_in(timedelta(days=90)) == 3
    assert calendar.window_start(date(2024, 5, 31), timedelta(days=90)) == date(2024, 3, 31)


def test_weekdays_leave_the_weekend_to_monday() -> None:
    calendar = Calendar(start=date(2024, 5, 3), every="weekday", at=time(6), timezone="Europe/Berlin")

    assert calendar.next_drop(date(2024, 5, 3)) == date(2024, 5, 6)
    assert calendar.drop(date(2024, 5, 6)).start == datetime(2024, 5, 3, 4, tzinfo=UTC)
    assert not calendar.is_drop(date(2024, 5, 4))
    assert calendar.drops_in(timedelta(days=7)) == 5


def test_several_times_a_day_keep_their_time_on_the_wall() -> None:
    calendar = Calendar.model_validate(
        {"start": "2013-03-09", "at": ["18:00", "06:00"], "timezone": "America/New_York"}
    )

    keys = calendar.drops_between(calendar.first_drop, "2013-03-10T1800")

    assert keys == ["2013-03-09T0600", "2013-03-09T1800", "2013-03-10T0600", "2013-03-10T1800"]
    assert [calendar.batch_at(key).hour for key in keys] == [11, 23, 10, 22]


def test_a_listed_time_that_clocks_leave_out_has_no_batch_that_day() -> None:
    calendar = Calendar(start=date(2013, 3, 9), cron="30 2,14 * * *", timezone="America/New_York")

    assert calendar.drops_of_day(date(2013, 3, 10)) == ["2013-03-10T1430"]


def test_a_day_that_a_zone_left_out_has_no_drop() -> None:
    calendar = Calendar(start=date(2011, 12, 1), at=time(4), timezone="Pacific/Apia")

    assert calendar.next_drop(date(2011, 12, 29)) == date(2011, 12, 31)


@pytest.mark.slow
def test_zones_that_left_out_a_day_since_1970_are_those_known() -> None:
    found: set[str] = set()
    for name in available_timezones():
        zone = ZoneInfo(name)
        noons = [datetime(1970, 1, 1, 12, tzinfo=UTC) + timedelta(days=number) for number in range(0, 365 * 70, 1)]
        offsets = [noon.astimezone(zone).utcoffset() or timedelta() for noon in noons[::7]]
        if any(after - before >= timedelta(hours=23) for before, after in pairwise(offsets)):
            found.add(name)

    assert found == SKIPPING_ZONES


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ({"every": "month", "start": date(2024, 1, 30)}, "start\n  found 2024-01-30, whose day not every month has"),
        ({"every": "1h", "at": ["06:00", "07:00"]}, "at\n  found several times with every: 1h"),
        ({"at": ["06:00", "06:30"]}, "as many minutes past their hour"),
        ({"at": ["06:00", "06:00"]}, "different times of day"),
        ({"at": None}, "at\n  missing; allowed: a time of day"),
        ({"cron": "0 6 * *", "at": None}, "cron\n  found '0 6 \\* \\*', 4 fields; allowed: minute, hour"),
        ({"cron": "0 24 * * *", "at": None}, "found '24' as the hour; allowed: from 0 to 23"),
        ({"cron": "0 6 31 2 *", "at": None}, "names no day of the calendar"),
        ({"cron": "0 6 * * *"}, "at\n  found beside cron: 0 6 \\* \\* \\*"),
        ({"every": "fortnight"}, "found 'fortnight'; allowed: a positive whole number"),
    ],
)
def test_cadence_that_names_no_sound_drops_is_refused(declared: dict[str, object], found: str) -> None:
    whole = {"start": date(2013, 1, 1), "at": "04:00", "timezone": "UTC", **declared}

    with pytest.raises(ValidationError, match=found):
        Calendar.model_validate({key: value for key, value in whole.items() if value is not None})


def test_mean_lengths_are_those_of_four_years() -> None:
    month = Calendar(start=date(2024, 1, 1), every="month", at=time(6), timezone="UTC")

    assert math.isclose(month.mean_length / timedelta(days=1), 1461 / 48)
    assert month.shortest_length == timedelta(days=28)
