"""Sensors that start runs: when drops have landed, and when a decision asks for a retraining.

They are thin: what is due is read from tables and the landing folder, what to do is decided in decisions/. Each can
be evaluated again without harm, since a sensor's cursor is written only after its runs were launched.
"""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from ml_assets.decisions.attempts import next_attempt
from ml_assets.decisions.retraining import TRIGGERS, Trigger
from ml_assets.graph import clock
from ml_assets.graph.assets.layout import TRIGGER_TAG, WRITE_TAG
from ml_assets.graph.automation.run_requests import (
    DROP_TAG,
    REASON_TAG,
    batch_request,
    ended_attempts,
    is_under_way,
    retrain_config,
    run_key,
)
from ml_assets.graph.definitions.jobs import retrain_job_name
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.drop import LATEST, read_key
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths, state_paths

Job = dg.JobDefinition | UnresolvedAssetJobDefinition


def build_run_sensors(
    spec: UseCaseSpec, batch: Job, retrain: Job, paths: StatePaths | None
) -> list[dg.SensorDefinition]:
    """Build the landing sensor and a retraining sensor a trigger. `paths` of None is asked for when a sensor ticks."""
    return [_landing_sensor(spec, batch, paths), *(_retrain_sensor(spec, retrain, each, paths) for each in TRIGGERS)]


def _landing_sensor(spec: UseCaseSpec, batch: Job, paths: StatePaths | None) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{spec.name}_landing",
        job=batch,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Takes the next drops once every file that is due has landed and has stopped changing. The cursor "
        "may name the last drop to take, as a replay does, which lands whole files; empty takes all.",
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        from ml_assets.pipeline.ingestion.ready_drops import find_ready_drops

        until = read_key(context.cursor) if context.cursor else None
        at, now = paths or state_paths(), clock.now()
        ready = find_ready_drops(spec, at, now=now, is_patient=until is None, until=until)
        if isinstance(ready, str):
            return dg.SkipReason(ready)
        return batch_request(spec, context.instance, ready)

    return landing


def _retrain_sensor(spec: UseCaseSpec, retrain: Job, trigger: Trigger, paths: StatePaths | None) -> dg.SensorDefinition:
    said = {
        "drift": "features that the champion leans on have drifted",
        "performance": "the champion has lost too much of its gain over the baseline",
        "staleness": "the champion's training data are too old, or no champion serves yet",
    }[trigger]

    @dg.sensor(
        name=f"{spec.name}_retrain_on_{trigger}",
        job=retrain,
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Starts a retraining when the newest decision asks for one because {said}. The decision, its "
        "cooldown and what blocks it are in the asset decisions; the gate still rules. The cursor may name the drop "
        "whose decision is the newest, as a replay does, which takes each drop on its own day.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        from ml_assets.pipeline.monitoring.newest_decision import newest_decision

        until = read_key(context.cursor) if context.cursor else LATEST
        newest = newest_decision(spec, paths or state_paths(), until)
        if newest is None:
            return dg.SkipReason("no drop was decided yet")
        said = f"{newest['batch_date']}: {newest['action']}: {newest['reason']}"
        if newest["action"] != "retrain" or newest["trigger"] != trigger:
            return dg.SkipReason(f"no retraining for {trigger}. {said}")
        if newest["is_judged"]:
            return dg.SkipReason(f"{said}; a candidate as of this drop was judged already")
        drop, job = str(newest["batch_date"]), retrain_job_name(spec.name)
        key = f"retrain:{drop}"
        # failures of other drops count as well: a fault that stays must not cost a retraining in every drop
        ended = ended_attempts(context.instance, dg.RunsFilter(job_name=job))
        refused = is_under_way(context.instance, job) or next_attempt(ended, clock.now(), is_endless=True)
        if refused:
            return dg.SkipReason(f"{said}; {job}: {refused}")
        return dg.RunRequest(
            run_key=run_key(context.instance, key),
            run_config=retrain_config(spec, Retraining(as_of=drop)),
            tags={
                WRITE_TAG: spec.name, DROP_TAG: key, "ml_assets/as_of": drop, TRIGGER_TAG: trigger,
                REASON_TAG: newest["reason"], "ml_assets/monitor": newest["monitor"] or "",
                "ml_assets/measurement": _number(newest["measurement"]),
                "ml_assets/threshold": _number(newest["threshold"]),
            },
        )  # fmt: skip

    return sensor


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
