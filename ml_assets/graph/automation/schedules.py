"""Schedules: the deadline of each batch, and periodic retraining."""

import dagster as dg

from ml_assets.graph import clock
from ml_assets.graph.assets.layout import TRIGGER_TAG, WRITE_TAG
from ml_assets.graph.automation.run_requests import REASON_TAG, batch_request, retrain_config
from ml_assets.graph.automation.sensors import Job
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths, state_paths


def build_schedules(
    spec: UseCaseSpec, batch: Job, retrain: Job, paths: StatePaths | None
) -> list[dg.ScheduleDefinition]:
    """Build the deadline, and the periodic retraining where one is declared."""
    periodic = [_periodic_schedule(spec, retrain)] if spec.retraining.periodic else []
    return [_batch_schedule(spec, batch, paths), *periodic]


def _batch_schedule(spec: UseCaseSpec, batch: Job, paths: StatePaths | None) -> dg.ScheduleDefinition:
    calendar = spec.calendar
    is_wall = spec.clock == "wall"

    @dg.schedule(
        name=f"{spec.name}_deadline",
        job=batch,
        cron_schedule=calendar.cron_text(),
        execution_timezone=calendar.cron_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING if is_wall else dg.DefaultScheduleStatus.STOPPED,
        description="At the moment of the batch: runs the drop with what has landed. What is not there is missing "
        "from then on, as its source declares: waited for, with an alert, or gone on without."
        + ("" if is_wall else " Off for this use case, whose history is its present."),
    )
    def deadline(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        from ml_assets.pipeline.ingestion.ready_drops import find_ready_drops

        # where clocks change at the batch, its cron comes up to an hour before it or after it
        drop = calendar.scheduled_drop(context.scheduled_execution_time)
        if not calendar.is_drop(drop) or calendar.batch_at(drop) > clock.now():
            return dg.SkipReason(f"the calendar has no batch on {drop}, or it comes later that day")
        ready = find_ready_drops(
            spec, paths or state_paths(), now=clock.now(), is_patient=False, until=drop, deadline=drop
        )
        if isinstance(ready, str):
            return dg.SkipReason(ready)
        return batch_request(spec, context.instance, ready)

    return deadline


def _periodic_schedule(spec: UseCaseSpec, retrain: Job) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=f"{spec.name}_retrain_periodically",
        job=retrain,
        cron_schedule=spec.retraining.periodic or "",
        execution_timezone=spec.calendar.timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        run_config=retrain_config(spec, Retraining()),
        tags={WRITE_TAG: spec.name, TRIGGER_TAG: "schedule", REASON_TAG: "the periodic schedule"},
        description="Retrains as of the newest drop, whatever the reports say. Off by default.",
    )
