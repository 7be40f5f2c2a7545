from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from ml_assets.features.lookback import view_lookback
from ml_assets.graph.assets.layout import history_mapping, partitions_of
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.rehearsal import flagship


def with_calendar(clock: str = "data", **calendar: object) -> UseCaseSpec:
    declared = {"at": "04:00", "timezone": "America/New_York", **calendar}
    return flagship().model_copy(update={"clock": clock, "calendar": Calendar.model_validate(declared)})


def test_partitions_of_a_daily_calendar_are_its_drops_with_both_ends() -> None:
    spec = with_calendar(start="2013-01-01", end="2014-01-03")

    keys = partitions_of(spec).get_partition_keys()

    assert keys == [str(drop) for drop in spec.calendar.drops_between(date(2013, 1, 1), date(2015, 1, 1))]
    assert (keys[0], keys[-1], len(keys)) == ("2013-01-01", "2014-01-03", 368)


@pytest.mark.parametrize("start", ["2013-01-06", "2013-01-07", "2013-01-09", "2013-01-12"])
def test_partitions_of_a_weekly_calendar_fall_on_the_weekday_it_began(start: str) -> None:
    spec = with_calendar(start=start, end="2013-03-31", every="7d")

    keys = partitions_of(spec).get_partition_keys()

    assert keys == [str(drop) for drop in spec.calendar.drops_between(date(2013, 1, 1), date(2013, 12, 31))]
    assert keys[0] == start


def test_last_weekly_drop_on_the_end_of_the_calendar_has_a_partition() -> None:
    spec = with_calendar(start="2013-01-07", end="2013-01-21", every="7d")

    assert partitions_of(spec).get_partition_keys() == ["2013-01-07", "2013-01-14", "2013-01-21"]


@pytest.mark.parametrize(
    ("clock", "every", "end", "newest"),
    [
        ("wall", "1d", None, "2026-03-10"),
        ("wall", "1d", "2026-12-31", "2026-03-10"),
        ("wall", "1d", "2026-03-08", "2026-03-08"),
        ("data", "1d", None, "2026-03-09"),
        ("wall", "7d", None, "2026-03-09"),
    ],
)
def test_partition_of_the_day_exists_on_that_day_by_the_wall_clock(
    clock: str, every: str, end: str | None, newest: str
) -> None:
    partitions = partitions_of(with_calendar(clock, start="2026-02-02", every=every, end=end))

    tuesday = datetime(2026, 3, 10, 9, tzinfo=UTC)  # the ninth is a Monday
    with partition_loading_context(effective_dt=tuesday):
        assert partitions.get_last_partition_key() == newest


def test_feature_drop_reads_the_drops_its_longest_window_reaches() -> None:
    spec = with_calendar(start="2013-01-01", end="2013-12-31")
    partitions = partitions_of(spec)
    outcomes = view_lookback(spec.features.views, "flight_outcomes")
    mapping = history_mapping(outcomes, spec.calendar)

    subset = partitions.subset_with_partition_keys(["2013-03-01"])
    upstream = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, partitions, partitions)

    assert outcomes == timedelta(days=28)
    keys = sorted(upstream.partitions_subset.get_partition_keys())
    assert (keys[0], keys[-1], len(keys)) == ("2013-01-31", "2013-03-01", 30)  # (t - 28 d, t] and the batch before it


def test_history_without_bound_begins_with_the_calendar() -> None:
    spec = with_calendar(start="2013-01-01", end="2013-12-31")
    partitions = partitions_of(spec)
    assert view_lookback(spec.features.views, "airports") is None

    mapping = history_mapping(view_lookback(spec.features.views, "airports"), spec.calendar)
    subset = partitions.subset_with_partition_keys(["2013-01-03"])
    upstream = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, partitions, partitions)

    assert isinstance(mapping, dg.TimeWindowPartitionMapping)
    assert sorted(upstream.partitions_subset.get_partition_keys()) == ["2013-01-01", "2013-01-02", "2013-01-03"]


def test_history_of_weekly_drops_is_found_in_few_steps_of_the_calendar(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = with_calendar(start="2006-01-01", end="2026-12-31", every="7d")
    partitions, steps = partitions_of(spec), 0
    back = dg.TimeWindowPartitionsDefinition.get_prev_partition_window

    def counted(*asked: Any, **named: Any) -> Any:
        nonlocal steps
        steps += 1
        return back(*asked, **named)

    monkeypatch.setattr(dg.TimeWindowPartitionsDefinition, "get_prev_partition_window", counted)
    subset = partitions.subset_with_partition_keys(["2025-12-28"])
    upstream = history_mapping(None, spec.calendar).get_upstream_mapped_partitions_result_for_partitions(
        subset, partitions, partitions
    )

    assert min(upstream.partitions_subset.get_partition_keys()) == "2006-01-01"
    assert steps < 2_000  # of 0.1 ms each, in every batch


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Tokyo", "Australia/Sydney", "America/New_York", "UTC"])
@pytest.mark.parametrize("every", ["1d", "7d"])
def test_drop_of_a_batch_has_its_partition_at_the_moment_of_the_batch_in_every_zone(zone: str, every: str) -> None:
    spec = with_calendar("wall", start="2026-02-02", every=every, at="04:00", timezone=zone)
    drop = date(2026, 3, 9)

    with partition_loading_context(effective_dt=spec.calendar.batch_at(drop)):
        keys = partitions_of(spec).get_partition_keys()

    assert keys[-1] == str(drop)


@pytest.mark.parametrize("timezone", ["America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
@pytest.mark.parametrize(
    ("every", "at"),
    [
        ("1h", "00:00"), ("20min", "00:10"), ("8h", "05:00"), ("1d", ["06:00", "18:00"]), ("weekday", "06:00"),
        ("month", "02:30"), ("quarter", "02:30"),
    ],
)  # fmt: skip
def test_partitions_of_every_cadence_are_its_drops_over_both_clock_changes(
    every: str, at: str | list[str], timezone: str
) -> None:
    spec = with_calendar(start="2013-01-31", end="2013-11-30", every=every, at=at, timezone=timezone)
    last = spec.calendar.last_drop

    keys = partitions_of(spec).get_partition_keys()

    assert last is not None
    assert keys == [str(drop) for drop in spec.calendar.drops_between(spec.calendar.first_drop, last)]


def test_partition_of_a_time_that_clocks_leave_out_is_no_drop() -> None:
    spec = with_calendar(start="2013-03-09", end="2013-03-11", at=["02:30", "14:30"])

    strays = [key for key in partitions_of(spec).get_partition_keys() if not spec.calendar.is_drop(key)]

    assert strays == ["2013-03-10T0300"]
