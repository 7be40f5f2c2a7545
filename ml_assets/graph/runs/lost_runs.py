"""Runs whose process was killed: Dagster would call them started for hours, and queue every other one behind them."""

import dagster as dg

from ml_assets.stores.processes import has_ended

PROCESS_TAG = "ml_assets/process"
_GOING_ON = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def end_lost_runs(instance: dg.DagsterInstance, *, is_restored: bool = False) -> list[str]:
    """Mark runs as failed whose process is gone, and return their ids. Those of other machines are left alone.

    In an instance that `is_restored` from a backup, no process goes on.
    """
    lost: list[str] = []
    for run in instance.get_runs(dg.RunsFilter(statuses=_GOING_ON)):
        process = run.tags.get(PROCESS_TAG)
        if not is_restored and (process is None or not has_ended(process)):
            continue
        said = (
            f"its process ({process}) ended without a result: killed, the machine went down, or a backup was restored"
        )
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, said)
        else:
            instance.report_run_failed(run, said)
        lost.append(run.run_id)
    return lost
