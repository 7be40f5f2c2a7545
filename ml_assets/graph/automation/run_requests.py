"""What runs are asked for with: configuration and tags of batches and retrainings."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from ml_assets.decisions.attempts import next_attempt
from ml_assets.graph import clock
from ml_assets.graph.assets.layout import REPLAY_TAG, WRITE_TAG
from ml_assets.graph.assets.training import BY_MARGIN, NEWEST
from ml_assets.graph.definitions.jobs import batch_job_name
from ml_assets.graph.definitions.loggers import BY_DEFAULT
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec

if TYPE_CHECKING:
    from ml_assets.pipeline.ingestion.ready_drops import ReadyRange

DROP_TAG = "ml_assets/drop"
REASON_TAG = "ml_assets/reason"
_OPEN = [
    dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
]  # fmt: skip


def retrain_config(spec: UseCaseSpec, asked: Retraining) -> dict[str, Any]:
    """Give the run configuration of a retraining."""
    draw = {"as_of": asked.as_of or NEWEST, "mix_features": asked.mix_features}
    labeling = {f"{spec.name}__labels__label_model": {"config": {"as_of": draw["as_of"]}}} if spec.labeling else {}
    return {
        "ops": {
            **labeling,
            f"{spec.name}__training__training_set": {"config": draw},
            f"{spec.name}__models__candidate_model": {
                "config": {"candidate": asked.candidate or BY_MARGIN, "tune": asked.tune}
            },
            f"{spec.name}__models__evaluation": {"config": {"gate": asked.gate}},
        },
        "loggers": BY_DEFAULT,
    }


def range_tags(first: DropKey, last: DropKey) -> dict[str, str]:
    """Give the tags that make a run of a range of drops."""
    return {ASSET_PARTITION_RANGE_START_TAG: str(first), ASSET_PARTITION_RANGE_END_TAG: str(last)}


def batch_request(
    spec: UseCaseSpec, instance: dg.DagsterInstance, ready: "ReadyRange"
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run of drops that are ready, or say why there is no other attempt."""
    tags = {WRITE_TAG: spec.name, DROP_TAG: ready.key, **range_tags(ready.first, ready.last)}
    job = batch_job_name(spec.name)
    ended = ended_attempts(instance, dg.RunsFilter(job_name=job, tags={DROP_TAG: ready.key}))
    refused = is_under_way(instance, job) or next_attempt(ended, clock.now())
    if refused:
        return dg.SkipReason(
            f"drops {ready.first} to {ready.last} as they landed: {refused}; to try now: "
            f"`ml-assets batch {spec.name} --from {ready.first} --to {ready.last}`"
        )
    tags[REASON_TAG] = ready.reason
    return dg.RunRequest(run_key=run_key(instance, ready.key), run_config={"loggers": BY_DEFAULT}, tags=tags)


def is_under_way(instance: dg.DagsterInstance, job: str) -> str:
    """Say that a run of a job is queued or goes on, whoever launched it: the next one is asked for after it."""
    return (
        "a run of it is queued or goes on"
        if instance.get_runs_count(dg.RunsFilter(job_name=job, statuses=_OPEN))
        else ""
    )


def ended_attempts(instance: dg.DagsterInstance, about: dg.RunsFilter) -> list[datetime]:
    """Give when the runs `about` some work that failed or were cancelled ended, since one of them succeeded.

    Those of a replay do not count: who starts a replay again wants it to go on now.
    """
    found: list[datetime] = []
    for record in instance.get_run_records(about, limit=20):
        if record.dagster_run.status == dg.DagsterRunStatus.SUCCESS:
            break
        if record.dagster_run.is_finished and REPLAY_TAG not in record.dagster_run.tags:
            found.append(datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp)
    return found


def run_key(instance: dg.DagsterInstance, work: str) -> str:
    """Give a key that no run of `work` has had: Dagster drops a request whose key it has seen, without a word."""
    return f"{work}:{instance.get_runs_count(dg.RunsFilter(tags={DROP_TAG: work}))}"
