"""From a use case to its part of the graph: assets, checks, jobs, and what they work with."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg

from ml_assets.graph.assets.champion import build_champion_assets
from ml_assets.graph.assets.evidence import build_evidence_assets
from ml_assets.graph.assets.experiments import build_experiment_assets
from ml_assets.graph.assets.features import build_feature_assets
from ml_assets.graph.assets.labels import build_label_model_assets, build_weak_label_assets
from ml_assets.graph.assets.layout import WRITE_TAG
from ml_assets.graph.assets.monitoring import build_monitoring_assets
from ml_assets.graph.assets.monitoring_checks import build_monitoring_checks
from ml_assets.graph.assets.predictions import build_delivered_specs, build_prediction_assets
from ml_assets.graph.assets.sources import build_landed_specs, build_source_assets
from ml_assets.graph.assets.training import build_training_assets
from ml_assets.graph.automation.alerts import alert_sensor, broken_alert_sensor
from ml_assets.graph.automation.housekeeping import build_housekeeping
from ml_assets.graph.automation.run_requests import retrain_config
from ml_assets.graph.automation.schedules import build_schedules
from ml_assets.graph.automation.sensors import build_run_sensors
from ml_assets.graph.definitions.annotations import annotate
from ml_assets.graph.definitions.jobs import batch_job_name, retrain_job_name
from ml_assets.graph.definitions.loggers import BY_DEFAULT, quiet_console
from ml_assets.graph.definitions.resources import shared_resources
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.declaration import DeclarationError
from ml_assets.spec.places import Place
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths


def build_use_case(
    spec: UseCaseSpec, root: Path | None = None, places: Mapping[str, Sequence[Place]] | None = None
) -> dg.Definitions:
    """Build the definitions of one use case.

    Parameters
    ----------
    root
        Where its state lives; by default where this machine's environment says, asked when a run begins.
    places
        Where each asset is declared, by `layer/name`: the UI opens the file at that line.
    """
    with warnings.catch_warnings():
        # ranges in one run are a beta parameter of Dagster, and the pins hold it still
        warnings.simplefilter("ignore", dg.BetaWarning)
        return _build(spec, root, places or {})


def _build(spec: UseCaseSpec, root: Path | None, places: Mapping[str, Sequence[Place]]) -> dg.Definitions:
    batch = [
        *build_source_assets(spec),
        *build_feature_assets(spec),
        *build_weak_label_assets(spec),
        *build_experiment_assets(spec),
        *build_prediction_assets(spec),
        *build_monitoring_assets(spec),
    ]
    retrain = [
        *build_label_model_assets(spec),
        *build_training_assets(spec),
        *build_evidence_assets(spec),
        *build_champion_assets(spec),
    ]
    assets = annotate(spec, [*batch, *retrain], places)
    checks = build_monitoring_checks(spec)
    external = [*build_landed_specs(spec), *build_delivered_specs(spec)]
    tags = {WRITE_TAG: spec.name}
    batch_job = dg.define_asset_job(
        batch_job_name(spec.name),
        selection=dg.AssetSelection.assets(*batch) | dg.AssetSelection.checks(*checks),
        config={"loggers": BY_DEFAULT},
        tags=tags,
        description="A drop, or a range of drops, from landing to predictions, worklist, reports and decision.",
    )
    retrain_job = dg.define_asset_job(
        retrain_job_name(spec.name),
        selection=dg.AssetSelection.assets(*retrain),
        config=retrain_config(spec, Retraining()),
        tags=tags,
        description="Training set, candidate, evidence and verdict as of a drop; it serves the drops after.",
    )
    check_keys = [key for each in (*assets, *checks) for key in each.check_keys]
    paths = StatePaths(root) if root else None
    sensors = [*build_run_sensors(spec, batch_job, retrain_job, paths), alert_sensor(spec, check_keys, paths)]
    schedules = [*build_schedules(spec, batch_job, retrain_job, paths), build_housekeeping(spec)]
    return dg.Definitions(
        assets=[*assets, *external],
        asset_checks=checks,
        jobs=[batch_job, retrain_job],
        sensors=sensors,
        schedules=schedules,
        resources=shared_resources(root),
        loggers={"console": quiet_console},
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
