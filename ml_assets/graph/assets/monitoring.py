"""Assets of monitoring: feeds, drift, performance, and what follows from them."""

from enum import StrEnum
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from ml_assets.graph import clock
from ml_assets.graph.assets.layout import REPLAY_TAG, asset_key, by_drop, described, history_mapping, partition_keys
from ml_assets.graph.assets.metadata import describe_drops, markdown, pictures
from ml_assets.graph.assets.tables import table_metadata
from ml_assets.graph.definitions.resources import StateResource
from ml_assets.spec.use_case import UseCaseSpec


class PageMode(StrEnum):
    """When Evidently's page of the newest drop is written: it costs 20 seconds of processor time and megabytes."""

    never = "never"  # `ml-assets drift --page` draws it when somebody wants to see it
    on_alarm = "on_alarm"  # when it alarms and the drop before did not
    always = "always"


class DriftConfig(dg.Config):
    """Whether the run ends with a page."""

    page: PageMode = Field(
        default=PageMode.never,
        description="Evidently's page of the newest drop, 20 s of processor time: on_alarm writes it when one begins.",
    )


def build_monitoring_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build feed_health, drift_report, performance_report and decisions."""
    return [_feed_health(spec), _drift_report(spec), _performance_report(spec), _decisions(spec)]


def _feed_health(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key, monitoring = asset_key(spec, "monitoring", "feed_health"), spec.monitoring
    mapping = history_mapping(monitoring.feed_history + monitoring.relearn_after, spec.calendar)

    @dg.asset(
        key=key,
        deps=[
            dg.AssetDep(asset_key(spec, layer, source.name), partition_mapping=mapping)
            for source in spec.sources
            if source.arrives == "every_drop"
            for layer in ("raw", "quarantine")
        ],
        description="Each source against its own drops before: counts, nulls, ranges, categories and age, as landed. "
        "Drops in which a feed was broken are left out of training sets.",
        **by_drop(spec),
        **described(spec, "monitoring", "delta", "numpy"),
    )
    def feed_health(context: dg.AssetExecutionContext, store: StateResource) -> None:
        from ml_assets.pipeline.monitoring.feed_health import store_feed_health
        from ml_assets.reports.monitor_tables import nearest_table

        state, drops = store.of(spec.name), partition_keys(context, spec)
        found = store_feed_health(spec, state, drops, clock.now())
        nearest = markdown(nearest_table(found.rows, drops[-1]))
        describe_drops(context, state, found.result, on_last={"nearest to alarm": nearest})

    return feed_health


def _drift_report(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key, monitoring = asset_key(spec, "monitoring", "drift_report"), spec.monitoring
    mapping = history_mapping(monitoring.window + monitoring.reference_window + monitoring.window, spec.calendar)

    @dg.asset(
        key=key,
        deps=[
            dg.AssetDep(asset_key(spec, "features", "features"), partition_mapping=mapping),
            asset_key(spec, "monitoring", "feed_health"),
            asset_key(spec, "predictions", "predictions"),
            asset_key(spec, "models", "champion"),
        ],
        description="Features and score of a drop against the drops before and against what the champion was trained "
        "on. Thresholds come from placebo windows inside the reference, under one budget of false alarms.",
        **by_drop(spec),
        metadata=table_metadata(spec, "monitoring/drift_report"),
        **described(spec, "monitoring", "delta", "numpy"),
    )  # fmt: skip
    def drift_report(context: dg.AssetExecutionContext, config: DriftConfig, store: StateResource) -> None:
        from ml_assets.pipeline.monitoring.drift import store_drift_report
        from ml_assets.reports.drift_page import is_page_due, write_due_page
        from ml_assets.reports.monitor_tables import nearest_table, placebo_table

        state, drops = store.of(spec.name), partition_keys(context, spec)
        found = store_drift_report(spec, state, drops)
        rows = found.monitors.rows
        shown: dict[str, Any] = {"nearest to alarm": markdown(nearest_table(rows, drops[-1])),
                 "what thresholds rest on": markdown(placebo_table(rows, found.measures, drops[-1]))}  # fmt: skip
        if is_page_due(config.page.value, rows, drops[-1], spec.calendar.previous_drop(drops[-1])):
            shown |= _page(write_due_page(spec, state, drops[-1]))
        describe_drops(context, state, found.monitors.result, on_last=shown)

    return drift_report


def _page(written: "tuple[Path, tuple[str, ...]] | None") -> dict[str, Any]:
    if written is None:
        return {}
    return {"page": dg.MetadataValue.path(written[0]), "not on the page": ", ".join(written[1]) or "nothing"}


def _performance_report(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "monitoring", "performance_report")
    window = spec.monitoring.performance_window + spec.labels.matures_after
    mapping = history_mapping(window, spec.calendar)
    read = [("features", "features"), ("training", "labels"), ("predictions", "predictions"),
            ("predictions", "shadow_predictions")]  # fmt: skip

    @dg.asset(
        key=key,
        deps=[
            *(dg.AssetDep(asset_key(spec, *each), partition_mapping=mapping) for each in read),
            asset_key(spec, "models", "champion"),
        ],
        description="How good the scores of each model were on what matured in each drop, in all and by slice, and the "
        "verdict on the champion of the drop.",
        **by_drop(spec),
        metadata=table_metadata(spec, "monitoring/performance_report"),
        **described(spec, "monitoring", "delta", "numpy"),
    )  # fmt: skip
    def performance_report(context: dg.AssetExecutionContext, store: StateResource) -> None:
        from ml_assets.pipeline.monitoring.performance import report_performance
        from ml_assets.reports.performance_pictures import loss_picture

        state, drops = store.of(spec.name), partition_keys(context, spec)
        found = report_performance(spec, state, drops)
        shown = pictures(loss=loss_picture(spec, state, drops))
        describe_drops(context, state, found.result, on_last=shown)

    return performance_report


def _decisions(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "monitoring", "decisions")
    read = [("monitoring", "feed_health"), ("monitoring", "drift_report"), ("monitoring", "performance_report"),
            ("models", "champion"), ("raw", "drops"), ("features", "examples"),
            ("predictions", "predictions")]  # fmt: skip

    @dg.asset(
        key=key,
        deps=[asset_key(spec, *each) for each in read],
        description="What follows from the reports of a drop: retrain, wait, fix upstream or nothing, with reason, "
        "evidence and what would change it. The retraining sensors read the newest one.",
        **by_drop(spec),
        metadata=table_metadata(spec, "monitoring/decisions"),
        **described(spec, "monitoring", "delta"),
    )  # fmt: skip
    def decisions(context: dg.AssetExecutionContext, store: StateResource) -> None:
        from ml_assets.pipeline.monitoring.decisions import store_decisions

        state, drops = store.of(spec.name), partition_keys(context, spec)
        falls_back = not context.run.tags.get(REPLAY_TAG)
        decided = store_decisions(spec, state, drops, clock.now(), falls_back=falls_back)
        describe_drops(context, state, decided.result)
        newest = decided.newest
        context.log.info(f"{newest['batch_date']}: {newest['action']}: {newest['reason']}")

    return decisions
