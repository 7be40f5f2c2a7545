"""What the steps of old runs wrote: events and outputs. That a run was and what it materialized stays."""

import shutil
from datetime import datetime

import dagster as dg
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME

from ml_assets.graph.assets.layout import WRITE_TAG
from ml_assets.pipeline.housekeeping import Removed
from ml_assets.spec.calendar import format_duration
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths


def remove_run_logs(
    spec: UseCaseSpec, paths: StatePaths, instance: dg.DagsterInstance, now: datetime, *, is_dry_run: bool = False
) -> Removed:
    """Remove the events and outputs of runs of a use case that ended before `retention.run_logs`."""
    before = now - spec.retention.run_logs
    tagged = instance.get_runs(dg.RunsFilter(tags={WRITE_TAG: spec.name}, updated_before=before))
    from_pages = instance.get_runs(dg.RunsFilter(job_name=IMPLICIT_ASSET_JOB_NAME, updated_before=before))
    own = [run for run in from_pages if any(key.path[0] == spec.name for key in run.asset_selection or ())]
    sizes: list[int] = []
    for run in {run.run_id: run for run in (*tagged, *own) if run.is_finished}.values():
        events = paths.dagster_home / "history" / "runs" / f"{run.run_id}.db"
        outputs = paths.dagster_home / "storage" / run.run_id
        files = [*events.parent.glob(f"{run.run_id}.db*"), *outputs.rglob("*")]
        sizes += [file.stat().st_size for file in files if file.is_file()]
        if not is_dry_run:
            shutil.rmtree(outputs, ignore_errors=True)
            for file in events.parent.glob(f"{run.run_id}.db*"):
                file.unlink(missing_ok=True)
    rule = f"ended more than {format_duration(spec.retention.run_logs)} ago"
    return Removed("logs of runs", len(sizes), sum(sizes), rule)
