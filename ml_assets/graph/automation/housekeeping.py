"""The daily job that removes what a use case keeps no longer."""

import dagster as dg

from ml_assets.graph import clock
from ml_assets.graph.assets.layout import WRITE_TAG, pool_of
from ml_assets.graph.definitions.resources import StateResource
from ml_assets.graph.runs.run_logs import remove_run_logs
from ml_assets.spec.use_case import UseCaseSpec


def build_housekeeping(spec: UseCaseSpec) -> dg.ScheduleDefinition:
    """Build the job and its schedule: half a day away from the batch."""

    @dg.op(name=f"{spec.name}__housekeep", pool=pool_of(spec))
    def housekeep_op(context: dg.OpExecutionContext, store: StateResource) -> None:
        from ml_assets.pipeline.housekeeping import housekeep

        state, now = store.of(spec.name), clock.now()
        removed = [*housekeep(spec, state, now), remove_run_logs(spec, state.paths, context.instance, now)]
        for each in removed:
            context.log.info(f"{each.what}: {each.files} files, {each.bytes:,} bytes; {each.rule}")

    @dg.job(
        name=f"{spec.name}_housekeep",
        tags={WRITE_TAG: spec.name},
        description="Removes old versions of tables, models that were never promoted and logs of runs, as `retention` "
        "declares.",
    )
    def housekeep_job() -> None:
        housekeep_op()

    at = spec.calendar.times[0]
    return dg.ScheduleDefinition(
        name=f"{spec.name}_housekeep_daily",
        job=housekeep_job,
        cron_schedule=f"{at.minute} {(at.hour + 12) % 24} * * *",
        execution_timezone=spec.calendar.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
