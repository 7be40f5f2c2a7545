"""What the steps of old runs wrote: events and outputs. That a run was and what it materialized stays."""

from datetime import datetime

import dagster as dg
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME

from ml_assets.graph.assets.layout import WRITE_TAG
from ml_assets.pipeline.housekeeping import Removed
from ml_assets.spec.duration import format_duration
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.run_files import remove_run_files


def remove_run_logs(
    spec: UseCaseSpec, paths: StatePaths, instance: dg.DagsterInstance, now: datetime, *, is_dry_run: bool = False
) -> Removed:
    """Remove the events and outputs of runs of a use case that ended before `retention.run_logs`."""
    before = now - spec.retention.run_logs
    tagged = instance.get_runs(dg.RunsFilter(tags={WRITE_TAG: spec.name}, updated_before=before))
    from_pages = instance.get_runs(dg.RunsFilter(job_name=IMPLICIT_ASSET_JOB_NAME, updated_before=before))
    own = [run for run in from_pages if any(key.path[0] == spec.name for key in run.asset_selection or ())]
    ended = {run.run_id for run in (*tagged, *own) if run.is_finished}
    sizes = remove_run_files(paths.dagster_home, sorted(ended), is_dry_run=is_dry_run)
    rule = f"ended more than {format_duration(spec.retention.run_logs)} ago"
    return Removed("logs of runs", len(sizes), sum(sizes), rule)
