"""What automation asks for while runs go on, were cancelled, failed or lost their process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from ml_assets.decisions.attempts import next_attempt
from ml_assets.graph.automation.failures import failed_runs
from ml_assets.graph.automation.run_requests import DROP_TAG, batch_request, ended_attempts, run_key
from ml_assets.graph.automation.sensors import build_run_sensors
from ml_assets.graph.definitions.jobs import retrain_job_name
from ml_assets.graph.runs.lost_runs import PROCESS_TAG, end_lost_runs
from ml_assets.pipeline.ingestion.ready_drops import ReadyRange
from ml_assets.stores.processes import this_process
from ml_assets_tests.rehearsal import small_spec

SPEC = small_spec()
BATCH = f"{SPEC.name}_batch"
READY = ReadyRange(date(2013, 1, 1), date(2013, 1, 2), "2013-01-01..2013-01-02:abc", "drops have landed")
WIDER = ReadyRange(date(2013, 1, 1), date(2013, 1, 3), "2013-01-01..2013-01-03:def", "drops have landed")


@dg.job(name=BATCH)
def batch() -> None:
    """Stand for the batch of the use case: only the records of its runs matter here."""


@dg.job(name=retrain_job_name(SPEC.name))
def retrain() -> None:
    """Stand for the retraining of the use case."""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def record(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, key: str = READY.key, **tags: str) -> str:
    """Record a run of the batch that has come to `status`."""
    made = instance.create_run_for_job(batch, status=dg.DagsterRunStatus.STARTED, tags={DROP_TAG: key, **tags})
    if status == dg.DagsterRunStatus.FAILURE:
        instance.report_run_failed(made, "failed")
    elif status == dg.DagsterRunStatus.CANCELED:
        instance.report_run_canceled(made, "cancelled")
    return made.run_id


def asked(instance: dg.DagsterInstance, ready: ReadyRange = READY) -> dg.RunRequest | str:
    found = batch_request(SPEC, instance, ready)
    return found if isinstance(found, dg.RunRequest) else found.skip_message or ""


def test_range_is_not_asked_for_while_another_run_of_the_batch_goes_on(instance: dg.DagsterInstance) -> None:
    record(instance, dg.DagsterRunStatus.STARTED)

    assert "a run of it is queued or goes on" in str(asked(instance, WIDER))


def test_failed_batch_is_tried_again_after_a_pause_and_not_at_once(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(instance, dg.DagsterRunStatus.FAILURE)
    assert "failed once; tried again from" in str(asked(instance))

    monkeypatch.setattr("ml_assets.decisions.attempts.PAUSES", (timedelta(0),))
    again = asked(instance)

    assert isinstance(again, dg.RunRequest)
    assert again.run_key == f"{READY.key}:1"


@pytest.mark.parametrize("times", [1, 3])
def test_cancelled_batch_is_asked_for_under_a_new_key_after_its_pause(
    times: int, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(times):
        record(instance, dg.DagsterRunStatus.CANCELED)
    monkeypatch.setattr("ml_assets.decisions.attempts.PAUSES", (timedelta(0),) * 3)

    again = asked(instance)

    assert isinstance(again, dg.RunRequest)
    assert again.run_key == f"{READY.key}:{times}"


def test_cancelled_run_is_an_incident(instance: dg.DagsterInstance) -> None:
    run_id = record(instance, dg.DagsterRunStatus.CANCELED)

    (found,) = failed_runs(SPEC, instance)

    assert found.message.startswith(f"run {run_id[:8]} of {BATCH} was cancelled")


def test_failure_of_automation_is_told_beside_one_of_a_person_whichever_came_first(
    instance: dg.DagsterInstance,
) -> None:
    for tags in ({"ml_assets/reason": "drop 2024-01-02 has landed"}, {}):
        instance.create_run_for_job(batch, status=dg.DagsterRunStatus.FAILURE, tags=tags)

    found = failed_runs(SPEC, instance)

    assert {each.monitor for each in found} == {f"run/{BATCH}", f"run/{BATCH}/by_hand"}
    instance.create_run_for_job(batch, status=dg.DagsterRunStatus.SUCCESS)
    assert failed_runs(SPEC, instance) == []


def test_attempts_begin_anew_after_a_success_and_keys_do_not(instance: dg.DagsterInstance) -> None:
    record(instance, dg.DagsterRunStatus.FAILURE)
    done = instance.create_run_for_job(batch, status=dg.DagsterRunStatus.SUCCESS, tags={DROP_TAG: READY.key})

    assert ended_attempts(instance, dg.RunsFilter(job_name=BATCH)) == []
    assert run_key(instance, READY.key) == f"{READY.key}:2"
    assert done.status == dg.DagsterRunStatus.SUCCESS


def test_run_whose_process_was_killed_is_failed_and_holds_no_place(instance: dg.DagsterInstance) -> None:
    told = "import sys; from ml_assets.stores.processes import this_process; print(this_process(), flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{told}; sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        lost = record(instance, dg.DagsterRunStatus.STARTED, **{PROCESS_TAG: name})
        assert end_lost_runs(instance) == []
        process.kill()

    assert end_lost_runs(instance) == [lost]

    found = instance.get_run_by_id(lost)
    assert found is not None
    assert found.status == dg.DagsterRunStatus.FAILURE


def test_runs_of_living_processes_other_machines_and_unknown_ones_are_left_alone(instance: dg.DagsterInstance) -> None:
    record(instance, dg.DagsterRunStatus.STARTED, **{PROCESS_TAG: this_process()})
    record(instance, dg.DagsterRunStatus.STARTED, **{PROCESS_TAG: "another-machine:1:2"})
    record(instance, dg.DagsterRunStatus.STARTED)

    assert end_lost_runs(instance) == []


def test_pauses_grow_and_a_batch_is_left_to_a_person_in_the_end() -> None:
    failed = datetime(2026, 1, 1, tzinfo=UTC)
    waits = [timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6)]

    for times, wait in enumerate(waits, 1):
        assert next_attempt([failed] * times, failed + wait - timedelta(seconds=1)) is not None
        assert next_attempt([failed] * times, failed + wait) is None
    assert "until somebody mends" in str(next_attempt([failed] * 5, failed + timedelta(days=365)))
    assert next_attempt([failed] * 9, failed + timedelta(hours=23), is_endless=True) is not None
    assert next_attempt([failed] * 9, failed + timedelta(days=1), is_endless=True) is None


DECISION = {
    "batch_date": date(2013, 1, 9), "action": "retrain", "trigger": "drift", "reason": "2 features have drifted",
    "monitor": "training/distance_mi", "measurement": 7.5, "threshold": 4.2, "is_judged": False,
}  # fmt: skip


def retraining_asked(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, **decided: object
) -> list[str] | str:
    """Tick the sensor of drift with the newest decision, and give the keys it asks with, or why it asks for nothing."""
    newest = {**DECISION, **decided}
    monkeypatch.setattr("ml_assets.pipeline.monitoring.newest_decision.newest_decision", lambda *_: newest)
    sensors = {sensor.name: sensor for sensor in build_run_sensors(SPEC, batch, retrain, None)}
    with dg.build_sensor_context(instance) as context:
        tick = sensors[f"{SPEC.name}_retrain_on_drift"].evaluate_tick(context)
    return [str(request.run_key) for request in tick.run_requests or []] or str(tick.skip_message)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_no_second_retraining_is_asked_for_while_one_waits_or_goes_on(
    status: dg.DagsterRunStatus, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert retraining_asked(instance, monkeypatch) == ["retrain:2013-01-09:0"]
    instance.create_run_for_job(retrain, status=status, tags={DROP_TAG: "retrain:2013-01-08"})

    assert "a run of it is queued or goes on" in retraining_asked(instance, monkeypatch)


def test_failed_retrainings_of_earlier_drops_count_and_then_one_a_day_is_tried(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        made = instance.create_run_for_job(
            retrain, status=dg.DagsterRunStatus.STARTED, tags={DROP_TAG: f"retrain:2013-01-0{number + 1}"}
        )
        instance.report_run_failed(made, "failed")

    assert "failed 5 times; tried again from" in retraining_asked(instance, monkeypatch)
    tomorrow = datetime.now(UTC) + timedelta(days=1, minutes=1)  # noqa: TID251 - runs are dated by the wall
    monkeypatch.setattr("ml_assets.graph.clock.now", lambda: tomorrow)
    assert retraining_asked(instance, monkeypatch) == ["retrain:2013-01-09:0"]


@pytest.mark.parametrize(
    ("decided", "why"),
    [({"action": "nothing"}, "no retraining for drift"), ({"trigger": "staleness"}, "no retraining for drift"),
     ({"is_judged": True}, "a candidate as of this drop was judged already")],
)  # fmt: skip
def test_sensor_says_why_it_asks_for_no_retraining(
    decided: dict[str, object], why: str, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert why in retraining_asked(instance, monkeypatch, **decided)
