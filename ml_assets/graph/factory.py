"""From a use case to its part of the graph: assets, checks, jobs, and what they work with."""

import warnings
from pathlib import Path

import dagster as dg

from ml_assets.graph.automation import broken_alert_sensor, build_automation
from ml_assets.graph.candidate_asset import build_candidate_asset
from ml_assets.graph.champion_asset import build_champion_asset
from ml_assets.graph.decision_assets import build_decisions
from ml_assets.graph.drift_assets import build_drift_report
from ml_assets.graph.evaluation_asset import build_evaluation_asset
from ml_assets.graph.evidence_assets import build_evidence_assets
from ml_assets.graph.feature_assets import build_feature_assets
from ml_assets.graph.layout import WRITE_TAG
from ml_assets.graph.model_card_asset import build_model_card
from ml_assets.graph.performance_assets import build_performance_assets
from ml_assets.graph.resources import shared_resources
from ml_assets.graph.serving_assets import build_serving_assets
from ml_assets.graph.source_assets import build_source_assets
from ml_assets.graph.training_set_asset import build_training_set
from ml_assets.spec.declaration import DeclarationError
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths


def batch_job_name(use_case: str) -> str:
    """Name the job that takes drops from landing to predictions."""
    return f"{use_case}_batch"


def retrain_job_name(use_case: str) -> str:
    """Name the job that goes from training set to champion."""
    return f"{use_case}_retrain"


def build_use_case(spec: UseCaseSpec, root: Path | None = None) -> dg.Definitions:
    """Build the definitions of one use case.

    Parameters
    ----------
    root
        Where its state lives; by default where this machine's environment says, asked when a run begins.
    """
    with warnings.catch_warnings():
        # ranges in one run are a beta parameter of Dagster, and the pins hold it still
        warnings.simplefilter("ignore", dg.BetaWarning)
        return _build(spec, root)


def _build(spec: UseCaseSpec, root: Path | None) -> dg.Definitions:
    batch = [
        *build_source_assets(spec),
        *build_feature_assets(spec),
        *build_serving_assets(spec),
        *build_performance_assets(spec),
        build_drift_report(spec),
        build_decisions(spec),
    ]
    retrain = [
        build_training_set(spec),
        build_candidate_asset(spec),
        *build_evidence_assets(spec),
        build_evaluation_asset(spec),
        build_champion_asset(spec),
        build_model_card(spec),
    ]
    assets = [*batch, *retrain]
    tags = {WRITE_TAG: spec.name}
    batch_job = dg.define_asset_job(
        batch_job_name(spec.name),
        selection=dg.AssetSelection.assets(*batch),
        tags=tags,
        description="A drop, or a range of drops, from landing to predictions, worklist, reports and decision.",
    )
    retrain_job = dg.define_asset_job(
        retrain_job_name(spec.name),
        selection=dg.AssetSelection.assets(*retrain),
        tags=tags,
        description="Training set, candidate, evidence and verdict as of a drop; it serves the drops after.",
    )
    checks = [key for asset in assets for key in asset.check_keys]
    paths = StatePaths(root) if root else None
    sensors, schedules = build_automation(spec, batch_job, retrain_job, checks, paths)
    return dg.Definitions(
        assets=assets,
        jobs=[batch_job, retrain_job],
        sensors=sensors,
        schedules=schedules,
        resources=shared_resources(root),
    )


def build_broken_use_case(name: str, error: DeclarationError) -> dg.Definitions:
    """Show a use case whose declaration cannot be used: one asset that says why, in place of its graph."""
    listed = "\n".join(f"- `{mistake}`" for mistake in error.mistakes)
    spec = dg.AssetSpec(
        dg.AssetKey([name, "broken_declaration"]),
        group_name="broken",
        description=f"**{len(error.mistakes)} mistakes in the declaration of {name}; nothing of it runs.**\n\n"
        f"{listed}\n\nMend them, check with `ml-assets validate {name}`, and reload.",
    )
    sensor = broken_alert_sensor(name, [str(mistake) for mistake in error.mistakes])
    return dg.Definitions(assets=[spec], sensors=[sensor])
