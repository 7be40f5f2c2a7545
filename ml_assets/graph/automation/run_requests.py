"""What runs are asked for with: configuration and tags of batches and retrainings."""

from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from ml_assets.graph.assets.layout import WRITE_TAG
from ml_assets.graph.assets.training import BY_MARGIN, NEWEST
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.use_case import UseCaseSpec

if TYPE_CHECKING:
    from ml_assets.pipeline.ingestion.ready_drops import ReadyRange

DROP_TAG = "ml_assets/drop"
REASON_TAG = "ml_assets/reason"
_ATTEMPTS = 3  # of one drop with one content: a fault that repeats needs a person
_OPEN = [
    dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
]  # fmt: skip


def retrain_config(spec: UseCaseSpec, asked: Retraining) -> dict[str, Any]:
    """Give the run configuration of a retraining."""
    draw = {"as_of": asked.as_of or NEWEST, "mix_features": asked.mix_features}
    return {
        "ops": {
            f"{spec.name}__training__training_set": {"config": draw},
            f"{spec.name}__models__candidate_model": {"config": {"rung": asked.rung or BY_MARGIN, "tune": asked.tune}},
            f"{spec.name}__models__evaluation": {"config": {"gate": asked.gate}},
        }
    }


def range_tags(first: date, last: date) -> dict[str, str]:
    """Give the tags that make a run of a range of drops."""
    return {ASSET_PARTITION_RANGE_START_TAG: first.isoformat(), ASSET_PARTITION_RANGE_END_TAG: last.isoformat()}


def batch_request(
    spec: UseCaseSpec, instance: dg.DagsterInstance, ready: "ReadyRange"
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run of drops that are ready, or say why there is no other attempt."""
    tags = {WRITE_TAG: spec.name, DROP_TAG: ready.key, **range_tags(ready.first, ready.last)}
    failed = count_failures(spec, instance, ready.key)
    if isinstance(failed, str):
        return dg.SkipReason(
            f"drops {ready.first} to {ready.last} as they landed: {failed}; to try once more: "
            f"`ml-assets batch {spec.name} --from {ready.first} --to {ready.last}`"
        )
    return dg.RunRequest(run_key=f"{ready.key}:{failed}", tags={**tags, REASON_TAG: ready.reason})


def count_failures(spec: UseCaseSpec, instance: dg.DagsterInstance, key: str) -> int | str:
    """Count the runs of this work that failed, or say why there is no other attempt now."""
    tags = {DROP_TAG: key, WRITE_TAG: spec.name}
    if instance.get_runs_count(dg.RunsFilter(tags=tags, statuses=_OPEN)):
        return "queued or running"
    failed = instance.get_runs_count(dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.FAILURE]))
    return failed if failed < _ATTEMPTS else f"failed {failed} times, mend the cause"
