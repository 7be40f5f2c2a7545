"""Assets of what is predicted and from what: labels, examples, features."""

import dagster as dg

from ml_assets.features.lookback import view_lookback
from ml_assets.graph.assets.columns import describe_columns, feature_descriptions
from ml_assets.graph.assets.layout import (
    BACKFILL_TAG,
    SINGLE_RUN,
    asset_key,
    described,
    history_mapping,
    partition_keys,
    partitions_of,
    table_schema,
)
from ml_assets.graph.assets.metadata import describe_drops
from ml_assets.graph.definitions.resources import StateResource
from ml_assets.pipeline.features.compute import store_features
from ml_assets.pipeline.features.examples import store_examples
from ml_assets.pipeline.features.labels import store_labels
from ml_assets.pipeline.features.versions import status_of_features
from ml_assets.spec.use_case import UseCaseSpec

_LABEL_COLUMNS = {"example_id": "VARCHAR", "label": "INTEGER", "known_at": "TIMESTAMPTZ"}


def build_feature_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build labels, examples and features."""
    return [_labels(spec), _examples(spec), _features(spec)]


def _labels(spec: UseCaseSpec) -> dg.AssetsDefinition:
    columns = _LABEL_COLUMNS | dict.fromkeys(spec.labels.measures, "DOUBLE")

    @dg.asset(
        key=asset_key(spec, "training", "labels"),
        deps=[asset_key(spec, "validated", source) for source in spec.labels.sources],
        description="Outcomes as they became known, in the drop that brought them; one row an example.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        metadata={"dagster/column_schema": table_schema(columns)},
        **described(spec, "training", "delta", "duckdb"),
    )
    def labels(context: dg.AssetExecutionContext, store: StateResource) -> None:
        stored = store_labels(spec, store.of(spec.name), partition_keys(context))
        describe_drops(context, stored, on_last=describe_columns(spec, "training", "labels", columns))

    return labels


def _examples(spec: UseCaseSpec) -> dg.AssetsDefinition:
    history = history_mapping(None, spec.calendar.every)

    @dg.asset(
        key=asset_key(spec, "features", "examples"),
        deps=[
            *(asset_key(spec, "validated", source) for source in spec.examples.sources),
            asset_key(spec, "raw", "drops"),
            dg.AssetDep(asset_key(spec, "training", "labels"), partition_mapping=history),
        ],
        description="The rows to predict, and what is known of each by then. A row whose outcome is already known is "
        "quarantined.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        **described(spec, "features", "delta", "duckdb"),
    )
    def examples(context: dg.AssetExecutionContext, store: StateResource) -> None:
        is_backfill = BACKFILL_TAG in context.run.tags
        drawn = store_examples(spec, store.of(spec.name), partition_keys(context), is_backfill=is_backfill)
        describe_drops(context, drawn, on_last=describe_columns(spec, "features", "examples", drawn.columns))

    return examples


def _features(spec: UseCaseSpec) -> dg.AssetsDefinition:
    views, every = spec.features.views, spec.calendar.every
    sources = [
        dg.AssetDep(
            asset_key(spec, "validated", source), partition_mapping=history_mapping(view_lookback(views, source), every)
        )
        for source in sorted({view.source for view in views})
    ]

    @dg.asset(
        key=asset_key(spec, "features", "features"),
        deps=[asset_key(spec, "features", "examples"), asset_key(spec, "raw", "drops"), *sources],
        description="Every feature of every example, as known at its prediction_at, whoever computed it and when.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        **described(spec, "features", "delta", "duckdb", "numpy"),
    )
    def features(context: dg.AssetExecutionContext, store: StateResource) -> None:
        state, drops, is_backfill = store.of(spec.name), partition_keys(context), BACKFILL_TAG in context.run.tags
        stored = store_features(spec, state, drops, is_backfill=is_backfill, tell=context.log.info)
        said = feature_descriptions(spec, status_of_features(spec, state))
        describe_drops(context, stored, on_last=describe_columns(spec, "features", "features", stored.columns, said))

    return features
