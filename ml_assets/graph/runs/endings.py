"""How a run ended, asked while its resources are still there: what it wrote is committed, or not."""

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError
from dagster._core.execution.stats import StepEventStatus
from dagster._core.storage.tags import RESUME_RETRY_TAG

_BLOCKED = DagsterAssetCheckFailedError.__name__
_ENDED = {StepEventStatus.SUCCESS, StepEventStatus.SKIPPED}


def ended_in_order(context: dg.InitResourceContext) -> bool:
    """Say whether every step that began has ended, or was stopped by a blocking check: a refusal is a result too."""
    run, instance = context.run, context.instance
    if run is None or instance is None:
        return True
    now = instance.get_run_by_id(run.run_id)
    if now is not None and now.status in (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED):
        return False
    failed = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    refused = {entry.step_key for entry in failed if _is_refusal(entry)}
    steps = instance.get_run_step_stats(run.run_id)
    return all(step.status in _ENDED or step.step_key in refused for step in steps)


def _is_refusal(entry: dg.EventLogEntry) -> bool:
    event = entry.dagster_event
    error = event.step_failure_data.error if event is not None else None
    return error is not None and error.cls_name == _BLOCKED


def resumed_run(run: dg.DagsterRun) -> str:
    """Name the run that this one goes on from, taking over what its steps made; empty where it begins anew."""
    is_resumed = run.tags.get(RESUME_RETRY_TAG) == "true" or run.step_keys_to_execute is not None
    return run.parent_run_id or "" if is_resumed else ""
