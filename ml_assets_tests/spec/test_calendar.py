from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ml_assets.spec.calendar import MICROSECOND, Calendar
from ml_assets.spec.drop import day_of_key
from ml_assets.spec.duration import format_duration, parse_duration

NEW_YORK = Calendar(start=date(2013, 1, 1), end=date(2014, 1, 3), at=time(4), timezone="America/New_York")
NIGHT_WITHOUT_TWO = Calendar(start=date(2013, 1, 1), at=time(2, 30), timezone="America/New_York")
WEEKLY = Calendar(start=date(2013, 1, 7), every=timedelta(days=7), at=time(6), timezone="Europe/Berlin")
KOLKATA = Calendar(start=date(2013, 1, 1), at=time(0), timezone="Asia/Kolkata")


def hours(calendar: Calendar, drop: date) -> float:
    begin, end = calendar.drop(drop).start, calendar.drop(drop).end
    return (end - begin) / timedelta(hours=1)


def test_drop_lasts_23_hours_when_clocks_go_forward_and_25_when_back() -> None:
    short = NEW_YORK.drop(date(2013, 3, 10))
    assert (short.start, short.end) == (datetime(2013, 3, 9, 9, tzinfo=UTC), datetime(2013, 3, 10, 8, tzinfo=UTC))
    assert [hours(NEW_YORK, date(2013, 3, day)) for day in (9, 10, 11)] == [24, 23, 24]
    assert [hours(NEW_YORK, date(2013, 11, day)) for day in (2, 3, 4)] == [24, 25, 24]


def test_batch_at_a_time_that_the_clock_skips_runs_once_and_in_order() -> None:
    batches = [NIGHT_WITHOUT_TWO.batch_at(date(2013, 3, day)) for day in (9, 10, 11)]

    assert batches[1] == datetime(2013, 3, 10, 7, 30, tzinfo=UTC)
    assert batches == sorted(set(batches))


def test_batch_at_a_time_that_the_clock_repeats_runs_the_first_time() -> None:
    calendar = Calendar(start=date(2013, 1, 1), at=time(1, 30), timezone="America/New_York")

    assert calendar.batch_at(date(2013, 11, 3)) == datetime(2013, 11, 3, 5, 30, tzinfo=UTC)
    assert calendar.drop_receiving(datetime(2013, 11, 3, 6, 30, tzinfo=UTC)) == date(2013, 11, 4)


def test_weekly_drops_are_seven_days_apart_and_named_by_their_batch() -> None:
    assert WEEKLY.drops_between(date(2013, 3, 20), date(2013, 4, 10)) == [
        date(2013, 3, 25),
        date(2013, 4, 1),
        date(2013, 4, 8),
    ]
    assert hours(WEEKLY, date(2013, 4, 1)) == 7 * 24 - 1  # Berlin went forward on March 31
    assert WEEKLY.drop_receiving(datetime(2013, 3, 26, tzinfo=UTC)) == date(2013, 4, 1)
    assert (WEEKLY.is_drop(date(2013, 3, 25)), WEEKLY.is_drop(date(2013, 3, 26))) == (True, False)
    assert (WEEKLY.next_drop(date(2013, 3, 25)), WEEKLY.previous_drop(date(2013, 3, 25))) == (
        date(2013, 4, 1),
        date(2013, 3, 18),
    )


def test_batch_east_of_greenwich_runs_on_the_utc_day_before() -> None:
    assert KOLKATA.batch_at(date(2013, 7, 1)) == datetime(2013, 6, 30, 18, 30, tzinfo=UTC)
    assert KOLKATA.drop_receiving(datetime(2013, 6, 30, 18, 30, tzinfo=UTC)) == date(2013, 7, 1)
    assert KOLKATA.drop_receiving(datetime(2013, 6, 30, 18, 30, 0, 1, tzinfo=UTC)) == date(2013, 7, 2)


@pytest.mark.parametrize("calendar", [NEW_YORK, NIGHT_WITHOUT_TWO, WEEKLY, KOLKATA])
@given(minutes=st.integers(0, 370 * 24 * 60), off=st.sampled_from([timedelta(0), MICROSECOND, -MICROSECOND]))
def test_moment_is_received_in_the_one_drop_whose_interval_holds_it(
    calendar: Calendar, minutes: int, off: timedelta
) -> None:
    moment = datetime(2013, 1, 7, tzinfo=UTC) + timedelta(minutes=minutes) + off

    drop = calendar.drop_receiving(moment)

    begin, end = calendar.drop(drop).start, calendar.drop(drop).end
    assert begin < moment <= end
    assert (day_of_key(drop) - calendar.start) % calendar.mean_length == timedelta(0)


@pytest.mark.parametrize("calendar", [NEW_YORK, NIGHT_WITHOUT_TWO, WEEKLY, KOLKATA])
def test_intervals_of_a_year_meet_without_gap_or_overlap(calendar: Calendar) -> None:
    drops = calendar.drops_between(calendar.start, date(2013, 12, 31))

    for before, after in pairwise(drops):
        assert calendar.drop(before).end == calendar.drop(after).start
        assert calendar.drop_receiving(calendar.batch_at(before)) == before
        assert calendar.drop_receiving(calendar.batch_at(before) + MICROSECOND) == after


def test_drops_stop_at_the_ends_of_the_calendar() -> None:
    assert NEW_YORK.drops_between(date(2012, 12, 1), date(2013, 1, 2)) == [date(2013, 1, 1), date(2013, 1, 2)]
    assert NEW_YORK.drops_between(date(2014, 1, 2), date(2015, 1, 1)) == [date(2014, 1, 2), date(2014, 1, 3)]
    assert NEW_YORK.drops_between(date(2013, 1, 2), date(2013, 1, 1)) == []
    assert [NEW_YORK.is_drop(day) for day in (date(2012, 12, 31), date(2014, 1, 3), date(2014, 1, 4))] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("text", ["0d", "-1d", "1.5h", "7", "d", "1 month", ""])
def test_length_that_is_no_whole_number_of_a_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: a positive whole number and a unit"):
        parse_duration(text)


@given(seconds=st.integers(1, 10**7))
def test_written_length_reads_back(seconds: int) -> None:
    length = timedelta(seconds=seconds)

    assert parse_duration(format_duration(length)) == length


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ({"every": "5h"}, r"every\n  found 5h; allowed: 15min, 20min, 30min, 1h, .*1d, 7d, weekday, month, quarter"),
        ({"end": date(2012, 12, 31)}, r"end\n  found 2012-12-31; allowed: 2013-01-01 or later"),
        ({"timezone": "Mars/Olympus"}, "found 'Mars/Olympus'; allowed: an IANA time zone"),
    ],
)
def test_calendar_that_cannot_run_is_refused(declared: dict[str, object], found: str) -> None:
    whole = {"start": date(2013, 1, 1), "at": "04:00", "timezone": "UTC", **declared}

    with pytest.raises(ValidationError, match=found):
        Calendar.model_validate(whole)
