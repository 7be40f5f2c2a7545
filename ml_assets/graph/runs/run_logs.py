"""What the steps of old runs wrote: events and outputs. That a run was and what it materialized stays."""

import shutil
from datetime import datetime

import dagster as dg

from ml_assets.graph.definitions.jobs import batch_job_name, retrain_job_name
from ml_assets.pipeline.housekeeping import Removed
from ml_assets.spec.calendar import format_duration
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths


def remove_run_logs(
    spec: UseCaseSpec, paths: StatePaths, instance: dg.DagsterInstance, now: datetime, *, is_dry_run: bool = False
) -> Removed:
    """Remove the events and outputs of runs of a use case that ended before `retention.run_logs`."""
    sizes: list[int] = []
    for job in (batch_job_name(spec.name), retrain_job_name(spec.name)):
        old = dg.RunsFilter(job_name=job, updated_before=now - spec.retention.run_logs)
        for run in instance.get_runs(old):
            events = paths.dagster_home / "history" / "runs" / f"{run.run_id}.db"
            outputs = paths.dagster_home / "storage" / run.run_id
            if not run.is_finished:
                continue
            files = [*events.parent.glob(f"{run.run_id}.db*"), *outputs.rglob("*")]
            sizes += [file.stat().st_size for file in files if file.is_file()]
            if not is_dry_run:
                shutil.rmtree(outputs, ignore_errors=True)
                for file in events.parent.glob(f"{run.run_id}.db*"):
                    file.unlink(missing_ok=True)
    rule = f"ended more than {format_duration(spec.retention.run_logs)} ago"
    return Removed("logs of runs", len(sizes), sum(sizes), rule)
