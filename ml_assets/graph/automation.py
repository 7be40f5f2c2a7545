"""Sensors and schedules: what starts runs by itself, and who hears of it.

They are thin: what is due is read from tables and the landing folder, what to do is decided in decisions/. Each can
be evaluated again without harm, since a sensor's cursor is written only after its runs were launched.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from ml_assets.decisions.retraining import TRIGGERS, Trigger
from ml_assets.graph.alerting import send_alerts, settle_alerts, settle_broken
from ml_assets.graph.due import Due, drops_to_take, newest_decision
from ml_assets.graph.layout import WRITE_TAG
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths, state_paths

Job = dg.JobDefinition | UnresolvedAssetJobDefinition

DROP_TAG = "ml_assets/drop"
REASON_TAG = "ml_assets/reason"
_SETTLE_SECONDS = 3.0  # a landed file that changed less than this ago may still be written
_ATTEMPTS = 3  # of one drop with one content: a fault that repeats needs a person


def build_automation(
    spec: UseCaseSpec, batch: Job,
    retrain: Job, checks: Sequence[dg.AssetCheckKey],
    paths: StatePaths | None,
) -> tuple[list[dg.SensorDefinition], list[dg.ScheduleDefinition]]:  # fmt: skip
    """Build the sensors and schedules of a use case."""
    where = _Where(paths)
    retraining = [_retrain_sensor(spec, retrain, trigger, where) for trigger in TRIGGERS]
    schedules = [_batch_schedule(spec, batch, where)]
    if spec.retraining.periodic:
        schedules.append(_periodic_schedule(spec, retrain))
    return [_landing_sensor(spec, batch, where), *retraining, _alert_sensor(spec, checks, where)], schedules


class _Where:
    """Where state lives: asked when a sensor ticks, never at load time."""

    def __init__(self, paths: StatePaths | None) -> None:
        self._paths = paths

    def __call__(self) -> StatePaths:
        return self._paths or state_paths()


def range_tags(first: date, last: date) -> dict[str, str]:
    """Give the tags that make a run of a range of drops."""
    return {ASSET_PARTITION_RANGE_START_TAG: first.isoformat(), ASSET_PARTITION_RANGE_END_TAG: last.isoformat()}


def _landing_sensor(spec: UseCaseSpec, batch: Job, where: _Where) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{spec.name}_landing",
        job=batch,
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Takes the next drops once every file that is due has landed and has stopped changing. The cursor "
        "may name the last drop to take, as a replay does, which lands whole files; empty takes all.",
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        until = date.fromisoformat(context.cursor) if context.cursor else None
        due = drops_to_take(spec, where(), settle_seconds=0 if until else _SETTLE_SECONDS, until=until)
        if isinstance(due, str):
            return dg.SkipReason(due)
        return _batch_request(spec, context.instance, due)

    return landing


def _batch_request(spec: UseCaseSpec, instance: dg.DagsterInstance, due: Due) -> dg.RunRequest | dg.SkipReason:
    tags = {WRITE_TAG: spec.name, DROP_TAG: due.key, **range_tags(due.first, due.last)}
    failed = _failures(spec, instance, due.key)
    if isinstance(failed, str):
        return dg.SkipReason(
            f"drops {due.first} to {due.last} as they landed: {failed}; to try once more: `ml-assets batch {spec.name} "
            f"--from {due.first} --to {due.last}`"
        )
    return dg.RunRequest(run_key=f"{due.key}:{failed}", tags={**tags, REASON_TAG: due.reason})


_OPEN = [
    dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
]  # fmt: skip


def _failures(spec: UseCaseSpec, instance: dg.DagsterInstance, key: str) -> int | str:
    """Count the runs of this work that failed, or say why there is no other attempt now."""
    tags = {DROP_TAG: key, WRITE_TAG: spec.name}
    if instance.get_runs_count(dg.RunsFilter(tags=tags, statuses=_OPEN)):
        return "queued or running"
    failed = instance.get_runs_count(dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.FAILURE]))
    return failed if failed < _ATTEMPTS else f"failed {failed} times, mend the cause"


def _retrain_sensor(spec: UseCaseSpec, retrain: Job, trigger: Trigger, where: _Where) -> dg.SensorDefinition:
    said = {
        "drift": "features that the champion leans on have drifted",
        "performance": "the champion has lost too much of its gain over the heuristic",
        "staleness": "the champion's training data are too old, or no champion serves yet",
    }[trigger]

    @dg.sensor(
        name=f"{spec.name}_retrain_on_{trigger}",
        job=retrain,
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Starts a retraining when the newest decision asks for one because {said}. The decision, its "
        "cooldown and what blocks it are in the asset decisions; the gate still rules.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        newest = newest_decision(spec, where())
        if newest is None:
            return dg.SkipReason("no drop was decided yet")
        said = f"{newest['batch_date']}: {newest['action']}: {newest['reason']}"
        if newest["action"] != "retrain" or newest["trigger"] != trigger:
            return dg.SkipReason(said)
        if newest["is_judged"]:
            return dg.SkipReason(f"{said}; a candidate as of this drop was judged already")
        drop = newest["batch_date"].isoformat()
        key = f"retrain:{drop}"
        failed = _failures(spec, context.instance, key)
        if isinstance(failed, str):
            return dg.SkipReason(f"{said}; {failed}")
        return dg.RunRequest(
            run_key=f"{key}:{failed}",
            run_config=retrain_config(spec, Retraining(as_of=drop)),
            tags={
                WRITE_TAG: spec.name, DROP_TAG: key, "ml_assets/as_of": drop, "ml_assets/trigger": trigger,
                REASON_TAG: newest["reason"], "ml_assets/monitor": newest["monitor"] or "",
                "ml_assets/measurement": _number(newest["measurement"]),
                "ml_assets/threshold": _number(newest["threshold"]),
            },
        )  # fmt: skip

    return sensor


def _alert_sensor(spec: UseCaseSpec, checks: Sequence[dg.AssetCheckKey], where: _Where) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{spec.name}_alerts",
        target=None,
        minimum_interval_seconds=10,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Opens and closes incidents by what the tables, the checks and the runs say, and sends one message "
        "for each to the URLs of ML_ASSETS_ALERT_URLS. It starts no run.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        paths, now = where(), datetime.now(UTC)
        changes = settle_alerts(spec, paths, context.instance, checks, now)
        sent = send_alerts(paths, now)
        opened = sum(len(change.opened) for change in changes)
        closed = sum(len(change.closed) for change in changes)
        fate = (
            "no URL is set: read them with `ml-assets alerts`"
            if sent is None
            else f"{sent.sent} sent, {sent.pending} wait"
        )
        return dg.SkipReason(f"{opened} incidents opened, {closed} closed; {fate}")

    return alerts


def broken_alert_sensor(name: str, mistakes: Sequence[str]) -> dg.SensorDefinition:
    """Build the alert sensor of a use case that cannot be built."""

    @dg.sensor(
        name=f"{re.sub(r'[^A-Za-z0-9_]', '_', name)}_alerts",  # a folder may be named as no use case can be
        target=None,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Tells that the declaration of {name} cannot be used.",
    )
    def alerts() -> dg.SkipReason:
        paths, now = state_paths(), datetime.now(UTC)
        settle_broken(name, mistakes, paths, now)
        send_alerts(paths, now)
        return dg.SkipReason(f"{len(mistakes)} mistakes in the declaration of {name}")

    return alerts


@dataclass(frozen=True)
class Retraining:
    """What to train: as of which drop (empty is the newest), and what a person may say about it.

    `rung` fixes the rung, `tune` searches for parameters first, `gate` is as_declared, enabled, dry_run or disabled,
    `mix_features` allows drops of older feature versions.
    """

    as_of: str = ""
    rung: str = ""
    gate: str = "as_declared"
    mix_features: bool = False
    tune: bool = False


def retrain_config(spec: UseCaseSpec, asked: Retraining) -> dict[str, Any]:
    """Give the run configuration of a retraining."""
    draw = {"as_of": asked.as_of, "mix_features": asked.mix_features}
    return {
        "ops": {
            f"{spec.name}__training__training_set": {"config": draw},
            f"{spec.name}__models__candidate_model": {"config": {"rung": asked.rung, "tune": asked.tune}},
            f"{spec.name}__models__evaluation": {"config": {"gate": asked.gate}},
        }
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _batch_schedule(spec: UseCaseSpec, batch: Job, where: _Where) -> dg.ScheduleDefinition:
    calendar = spec.calendar
    days = "*" if calendar.every == timedelta(days=1) else str(calendar.start.isoweekday() % 7)
    is_wall = spec.clock == "wall"

    @dg.schedule(
        name=f"{spec.name}_deadline",
        job=batch,
        cron_schedule=f"{calendar.at.minute} {calendar.at.hour} * * {days}",
        execution_timezone=calendar.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if is_wall else dg.DefaultScheduleStatus.STOPPED,
        description="At the moment of the batch: runs the drop with what has landed. What is not there is missing "
        "from then on, as its source declares: waited for, with an alert, or gone on without."
        + ("" if is_wall else " Off for this use case, whose history is its present."),
    )
    def deadline(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        moment: datetime = context.scheduled_execution_time
        drop = calendar.drop_receiving(moment)
        if not calendar.is_drop(drop):
            return dg.SkipReason(f"{drop} is no drop of the calendar")
        due = drops_to_take(spec, where(), settle_seconds=0, until=drop, deadline=drop)
        if isinstance(due, str):
            return dg.SkipReason(due)
        return _batch_request(spec, context.instance, due)

    return deadline


def _periodic_schedule(spec: UseCaseSpec, retrain: Job) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=f"{spec.name}_retrain_periodically",
        job=retrain,
        cron_schedule=spec.retraining.periodic or "",
        execution_timezone=spec.calendar.timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        run_config=retrain_config(spec, Retraining()),
        tags={WRITE_TAG: spec.name, REASON_TAG: "the periodic schedule"},
        description="Retrains as of the newest drop, whatever the reports say. Off by default.",
    )
