"""A batch: drops from landing to predictions, worklist, reports and decision."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ml_assets.pipeline.experiments.assignments import store_assignments
from ml_assets.pipeline.features.compute import store_features
from ml_assets.pipeline.features.examples import store_examples
from ml_assets.pipeline.features.labels import store_labels
from ml_assets.pipeline.ingestion.ledger import build_ledger
from ml_assets.pipeline.ingestion.raw import receive_source
from ml_assets.pipeline.ingestion.validated import validate_source
from ml_assets.pipeline.labeling.review_queue import store_review_queue
from ml_assets.pipeline.labeling.weak_labels import store_weak_labels
from ml_assets.pipeline.monitoring.decisions import store_decisions
from ml_assets.pipeline.monitoring.drift import store_drift_report
from ml_assets.pipeline.monitoring.feed_health import store_feed_health
from ml_assets.pipeline.monitoring.performance import report_performance
from ml_assets.pipeline.results import CheckOutcome
from ml_assets.pipeline.runs.steps import Step, StepsResult, Tell, ignore, run_steps
from ml_assets.pipeline.scoring.predictions import score_drops
from ml_assets.pipeline.scoring.shadows import score_shadows
from ml_assets.pipeline.scoring.worklist import store_worklist
from ml_assets.spec.contract import Source
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState


@dataclass(frozen=True)
class BatchContext:
    """What a batch takes from who runs it.

    Attributes
    ----------
    now
        The wall's moment: tells which drops have come, and is recorded where the fallback begins to serve.
    is_backfill
        Compute again what closed drops hold of other definitions.
    tell
        Is given each message of progress.
    """

    now: datetime
    is_backfill: bool = False
    tell: Tell = ignore


def run_batch_steps(
    spec: UseCaseSpec,
    state: UseCaseState,
    drops: Sequence[DropKey],
    context: BatchContext,
    *,
    only: Collection[str] = (),
) -> StepsResult:
    """Run a range of drops, all steps or `only` some, named as `layer/name`; raises as `run_steps` does.

    Tables come out as from the graph's job; Evidently's page of drift is not written.
    """
    return run_steps(state, batch_steps(spec, state, drops, context), only=only, tell=context.tell)


def batch_steps(
    spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey], context: BatchContext
) -> dict[str, Step]:
    """Name the steps of a range of drops, in the order of the graph. `validated/<source>` writes the quarantine too."""
    is_backfill, tell = context.is_backfill, context.tell
    sources = sorted(spec.sources, key=lambda source: bool(source.reads))  # what is read reads nothing itself
    receiving: dict[str, Step] = {
        f"raw/{each.name}": partial(_receive, spec, state, each, drops, context.now) for each in spec.sources
    }
    validating: dict[str, Step] = {
        f"validated/{each.name}": partial(_validate, spec, state, each, drops, context.now) for each in sources
    }
    assigning: dict[str, Step] = {}
    if spec.experiments:
        assigning["experiments/assignments"] = lambda: store_assignments(spec, state, drops, context.now).checks
    return receiving | validating | {
        "raw/drops": lambda: build_ledger(spec, state, drops, context.now).checks,
        "training/labels": lambda: store_labels(spec, state, drops, context.now).checks,
        "features/examples": lambda: store_examples(spec, state, drops, is_backfill=is_backfill).checks,
        "features/features": lambda: store_features(spec, state, drops, is_backfill=is_backfill, tell=tell).checks,
        **_labeling(spec, state, drops),
        **assigning,
        "predictions/predictions": lambda: score_drops(spec, state, drops).result.checks,
        "predictions/worklist": lambda: store_worklist(spec, state, drops).checks,
        "predictions/shadow_predictions": lambda: score_shadows(spec, state, drops).checks,
        **_reviewing(spec, state, drops),
        "monitoring/feed_health": lambda: store_feed_health(spec, state, drops, context.now).result.checks,
        "monitoring/drift_report": lambda: store_drift_report(spec, state, drops).monitors.result.checks,
        "monitoring/performance_report": lambda: report_performance(spec, state, drops).result.checks,
        "monitoring/decisions": lambda: store_decisions(spec, state, drops, context.now).result.checks,
    }  # fmt: skip


def _labeling(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]) -> dict[str, Step]:
    """Name the step of weak labels where a use case declares functions."""
    if spec.labeling is None:
        return {}
    return {"labels/weak_labels": lambda: store_weak_labels(spec, state, drops).checks}


def _reviewing(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]) -> dict[str, Step]:
    """Name the step of the review queue where a use case declares one."""
    if spec.review is None:
        return {}
    return {"labels/review_queue": lambda: store_review_queue(spec, state, drops).checks}


def _receive(
    spec: UseCaseSpec, state: UseCaseState, source: Source, drops: Sequence[DropKey], now: datetime
) -> Sequence[CheckOutcome]:
    return receive_source(spec, state, source, drops, now).checks


def _validate(
    spec: UseCaseSpec, state: UseCaseState, source: Source, drops: Sequence[DropKey], now: datetime
) -> Sequence[CheckOutcome]:
    return validate_source(spec, state, source, drops, now).validated.checks
