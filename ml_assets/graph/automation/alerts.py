"""The sensors that tell people: of incidents, and of declarations that cannot be used."""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import partial

import dagster as dg

from ml_assets.decisions.incidents import Changes
from ml_assets.graph import clock
from ml_assets.graph.automation.failures import failed_checks, failed_runs
from ml_assets.graph.runs.lost_runs import end_lost_runs
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths, state_paths
from ml_assets.stores.unchanged import keep_unchanged


def alert_sensor(
    spec: UseCaseSpec, checks: Sequence[dg.AssetCheckKey], paths: StatePaths | None
) -> dg.SensorDefinition:
    """Build the alert sensor of a use case. `paths` of None is asked for when it ticks."""

    @dg.sensor(
        name=f"{spec.name}_alerts",
        target=None,
        minimum_interval_seconds=120,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Opens and closes incidents by what the tables, the checks and the runs say, and sends one message "
        "for each to the URLs of ML_ASSETS_ALERT_URLS. It starts no run.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from ml_assets.pipeline.monitoring.incidents import send_alerts

        at, now = paths or state_paths(), clock.now()
        ref = context.instance_ref  # a code server opens an instance once: that costs more than a quiet tick
        opened = ref and keep_unchanged("instance", repr(ref), partial(dg.DagsterInstance.from_ref, ref))
        instance = opened or context.instance
        end_lost_runs(instance)
        changes = reconcile(spec, at, instance, checks, now)
        sent = send_alerts(at, now)
        opened = sum(len(change.opened) for change in changes)
        closed = sum(len(change.closed) for change in changes)
        fate = "no URL is set: read them with `ml-assets alerts`"
        if sent is not None:
            fate = f"{sent.sent} sent, {sent.pending} wait"
        return dg.SkipReason(f"{opened} incidents opened, {closed} closed; {fate}")

    return alerts


def broken_alert_sensor(name: str, mistakes: Sequence[str]) -> dg.SensorDefinition:
    """Build the alert sensor of a use case that cannot be built."""

    @dg.sensor(
        name=f"{re.sub(r'[^A-Za-z0-9_]', '_', name)}_alerts",  # a folder may be named as no use case can be
        target=None,
        minimum_interval_seconds=120,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Tells that the declaration of {name} cannot be used.",
    )
    def alerts() -> dg.SkipReason:
        from ml_assets.pipeline.monitoring.incidents import open_broken_declaration, send_alerts

        paths, now = state_paths(), clock.now()
        open_broken_declaration(name, mistakes, paths, now)
        send_alerts(paths, now)
        return dg.SkipReason(f"{len(mistakes)} mistakes in the declaration of {name}")

    return alerts


def reconcile(
    spec: UseCaseSpec,
    paths: StatePaths,
    instance: dg.DagsterInstance,
    checks: Sequence[dg.AssetCheckKey],
    now: datetime,
) -> list[Changes]:
    """Bring the incidents of a use case up to date with its tables, files, runs and checks."""
    from ml_assets.pipeline.monitoring.incidents import reconcile_incidents

    return reconcile_incidents(spec, paths, failed_runs(spec, instance), failed_checks(instance, checks), now)
