"""Failed runs and checks of Dagster, as findings for incidents."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import dagster as dg
from dagster._core.storage import asset_check_execution_record as executions

from ml_assets.decisions.incidents import Finding
from ml_assets.spec.use_case import UseCaseSpec

_TOLD_APART = frozenset(
    {"drift", "feeds", "performance", "freshness", "champion_stands", "gate"}
)  # findings of their own, with more to say
_AGAIN = "tried again after 1 minute, 10 minutes, 1 hour, 6 hours, a retraining then daily; the last good state serves"
_BY_HAND = "not tried again; the next run of this job that succeeds ends this; the last good state serves"


def failed_runs(spec: UseCaseSpec, instance: dg.DagsterInstance) -> list[Finding]:
    """Give the jobs of which none succeeded after one failed; a person's is apart, lest it hides one of automation."""
    found: dict[str, Finding] = {}
    finished = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    for job in (f"{spec.name}_batch", f"{spec.name}_retrain"):
        newest = instance.get_runs(dg.RunsFilter(job_name=job, statuses=finished), limit=20)
        for run in takewhile(lambda each: each.status != dg.DagsterRunStatus.SUCCESS, newest):
            reason = run.tags.get("ml_assets/reason")
            monitor = f"run/{job}" if reason else f"run/{job}/by_hand"
            how = "was cancelled" if run.status == dg.DagsterRunStatus.CANCELED else "failed"
            message = f"run {run.run_id[:8]} of {job} {how} ({reason or 'started by a person'})"
            doing, look_at = _AGAIN if reason else _BY_HAND, f"run {run.run_id} in `ml-assets ui`"
            found.setdefault(monitor, Finding(monitor, "failed_run", "error", message, None, None, doing, look_at))
    return list(found.values())


def failed_checks(instance: dg.DagsterInstance, checks: Sequence[dg.AssetCheckKey]) -> list[Finding]:
    """Give the checks whose newest result failed, but for those that have findings of their own."""
    keys = [key for key in checks if key.name not in _TOLD_APART]
    found, store = list[Finding](), instance.event_log_storage
    for key, newest in store.get_latest_asset_check_execution_by_key(keys).items():
        ended, record = executions.COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES, newest
        if newest.status not in ended:  # a run goes on, or ended before this check: what was found last still holds
            record = next(iter(store.get_asset_check_execution_history(key, limit=1, status=ended)), None)
        event = record.event.dagster_event if record and record.event else None
        evaluation: Any = event.event_specific_data if event else None
        if evaluation is None or getattr(evaluation, "passed", True):
            continue
        is_error = evaluation.severity == dg.AssetCheckSeverity.ERROR
        place = "/".join(key.asset_key.path[1:])
        found.append(
            Finding(f"check/{place}/{key.name}", "failed_check", "error" if is_error else "warning",
                    f"{place}: {key.name}: {evaluation.description or 'failed'}", None, None,
                    "the run stops here" if is_error else "it goes on",
                    f"asset {place} in `ml-assets ui`, tab Checks")
        )  # fmt: skip
    return found
