"""The deadline of a batch, on nights when clocks change at its very time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from ml_assets.graph.automation.schedules import build_schedules
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.landing import write_whole
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.life.time_machine import LifeClock, clock_injected
from ml_assets_tests.rehearsal import small_spec


@dg.job
def job() -> None:
    """Stand for the jobs of the use case."""


@pytest.fixture
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("home"))) as made:
        yield made


def in_new_york(start: date, at: str) -> UseCaseSpec:
    calendar = {"start": start, "every": "1d", "at": at, "timezone": "America/New_York"}
    return UseCaseSpec.model_validate(small_spec().model_dump(by_alias=True) | {"clock": "wall", "calendar": calendar})


def at_deadline(
    spec: UseCaseSpec, paths: StatePaths, instance: dg.DagsterInstance, tick: datetime
) -> dg.RunRequest | dg.SkipReason:
    deadline, *_ = build_schedules(spec, job, job, paths)
    with clock_injected(LifeClock(tick)):
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=tick)
        found = deadline(context)
    assert isinstance(found, dg.RunRequest | dg.SkipReason)
    return found


def test_deadline_takes_the_batch_of_its_day_where_its_hour_comes_twice(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    spec, paths = in_new_york(date(2024, 11, 3), "01:30"), StatePaths(tmp_path)
    write_whole(paths.landing / spec.name / "2024-11-03" / "weather.csv", b"")
    second = datetime(2024, 11, 3, 6, 30, tzinfo=UTC)  # Dagster's cron means the second 01:30, the calendar the first

    asked = at_deadline(spec, paths, instance, second)

    assert isinstance(asked, dg.RunRequest)
    assert asked.tags[ASSET_PARTITION_RANGE_START_TAG] == "2024-11-03"
    assert asked.tags[ASSET_PARTITION_RANGE_END_TAG] == "2024-11-03"


def test_deadline_runs_no_drop_before_its_batch_where_its_hour_is_left_out(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    spec, paths = in_new_york(date(2024, 3, 10), "02:30"), StatePaths(tmp_path)
    write_whole(paths.landing / spec.name / "2024-03-10" / "weather.csv", b"")
    jump = datetime(2024, 3, 10, 7, 0, tzinfo=UTC)  # 03:00 there, half an hour before the batch

    asked = at_deadline(spec, paths, instance, jump)

    assert isinstance(asked, dg.SkipReason)
