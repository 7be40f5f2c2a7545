from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from ml_assets.graph.definitions.resources import StateResource
from ml_assets.stores.lake import Lake

FAULT = "ML_ASSETS_TEST_FAULT"  # what a job that is rebuilt by name is to do
NAMES = ["received", "scored"]


@dg.asset
def received(store: StateResource) -> None:
    store.of("stops").lake.append("received", pa.table({"n": [1]}))


@dg.asset(deps=[received], check_specs=[dg.AssetCheckSpec("sound", asset="scored", blocking=True)])
def scored(store: StateResource) -> dg.MaterializeResult:
    lake = store.of("stops").lake
    lake.append("scored", pa.table({"n": [lake.version("received")]}))
    if os.environ[FAULT] == "raises":
        raise OSError("disk full")
    passed = os.environ[FAULT] != "refused"
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=passed, check_name="sound")])


def make_job() -> dg.JobDefinition:
    resources = {"store": StateResource()}
    job = dg.define_asset_job("night", [received, scored], executor_def=dg.in_process_executor)
    return dg.Definitions([received, scored], jobs=[job], resources=resources).resolve_job_def("night")


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))
    monkeypatch.setenv(FAULT, "")
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance:
        yield instance


def run(instance: dg.DagsterInstance, resumed: str = "") -> dg.JobExecutionResult:
    options = dg.ReexecutionOptions.from_failure(resumed, instance) if resumed else None
    with dg.execute_job(dg.reconstructable(make_job), instance=instance, reexecution_options=options) as result:
        return result


def seen(tmp_path: Path) -> dict[str, int | None]:
    """Give what a reader sees."""
    return Lake(tmp_path / "lake" / "stops").versions(NAMES)


def test_run_that_ended_is_seen_by_all(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert run(instance).success

    assert None not in seen(tmp_path).values()


def test_of_a_run_whose_step_raised_nothing_is_seen(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(instance)
    before = seen(tmp_path)
    monkeypatch.setenv(FAULT, "raises")
    ended = run(instance)

    assert not ended.success
    assert seen(tmp_path) == before
    said = [entry.user_message for entry in instance.all_logs(ended.run_id)]
    assert "nothing that this run wrote is seen by others: not all of its steps have ended" in said


def test_what_a_blocking_check_refused_is_seen(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FAULT, "refused")

    assert not run(instance).success
    assert None not in seen(tmp_path).values()


def test_run_resumed_from_its_failure_takes_over_what_was_written(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FAULT, "raises")
    failed = run(instance)
    monkeypatch.setenv(FAULT, "")

    assert run(instance, resumed=failed.run_id).success
    assert None not in seen(tmp_path).values()


def test_run_resumed_after_another_one_is_refused(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FAULT, "raises")
    failed = run(instance)
    monkeypatch.setenv(FAULT, "")
    run(instance)
    before = seen(tmp_path)
    resumed = run(instance, resumed=failed.run_id)

    assert not resumed.success
    causes = [event.step_failure_data.error for event in resumed.all_events if event.is_step_failure]
    assert any("what it wrote was undone" in str(error) for error in causes)
    assert seen(tmp_path) == before


def test_run_that_cannot_be_committed_fails_and_says_so(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Lake) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Lake, "commit", refuse)

    ended = run(instance)

    assert not ended.success
    (failure,) = [event for event in ended.all_events if event.is_run_failure]
    assert failure.job_failure_data.error is not None
    assert "could not be committed, and nobody sees it: OSError: [Errno 28]" in failure.job_failure_data.error.message
    assert seen(tmp_path) == dict.fromkeys(NAMES)
    monkeypatch.undo()
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))
    monkeypatch.setenv(FAULT, "")
    assert run(instance).success
    assert None not in seen(tmp_path).values()
