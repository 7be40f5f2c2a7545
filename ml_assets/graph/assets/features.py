"""Assets of what is predicted and from what: labels, examples, features."""

import dagster as dg

from ml_assets.features.lookback import view_lookback
from ml_assets.graph import clock
from ml_assets.graph.assets.columns import describe_columns
from ml_assets.graph.assets.layout import BACKFILL_TAG, asset_key, by_drop, described, history_mapping, partition_keys
from ml_assets.graph.assets.metadata import describe_drops
from ml_assets.graph.assets.tables import table_metadata
from ml_assets.graph.definitions.resources import StateResource
from ml_assets.spec.tables import tables_of_asset
from ml_assets.spec.use_case import UseCaseSpec


def build_feature_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build labels, examples and features."""
    return [_labels(spec), _examples(spec), _features(spec)]


def _labels(spec: UseCaseSpec) -> dg.AssetsDefinition:
    types, history = tables_of_asset(spec, "training/labels")[0].types, history_mapping(None, spec.calendar)
    keys = [asset_key(spec, "validated", spec.review.answers)] if spec.review else []
    answered = [dg.AssetDep(each, partition_mapping=history) for each in keys]

    @dg.asset(
        key=asset_key(spec, "training", "labels"),
        deps=[*(asset_key(spec, "validated", source) for source in spec.labels.sources), *answered],
        description="Outcomes as they became known, in the drop that brought them; one row an example.",
        **by_drop(spec),
        metadata=table_metadata(spec, "training/labels"),
        **described(spec, "training", "delta", "duckdb"),
    )
    def labels(context: dg.AssetExecutionContext, store: StateResource) -> None:
        from ml_assets.pipeline.features.labels import store_labels

        state = store.of(spec.name)
        stored = store_labels(spec, state, partition_keys(context, spec), clock.now())
        describe_drops(context, state, stored, on_last=describe_columns(spec, "training", "labels", types))

    return labels


def _examples(spec: UseCaseSpec) -> dg.AssetsDefinition:
    history = history_mapping(None, spec.calendar)

    @dg.asset(
        key=asset_key(spec, "features", "examples"),
        deps=[
            *(asset_key(spec, "validated", source) for source in spec.examples.sources),
            asset_key(spec, "raw", "drops"),
            dg.AssetDep(asset_key(spec, "training", "labels"), partition_mapping=history),
        ],
        description="The rows to predict, and what is known of each by then. A row whose outcome is already known is "
        "quarantined.",
        metadata=table_metadata(spec, "features/examples", has_own_schema=False),
        **by_drop(spec),
        **described(spec, "features", "delta", "duckdb"),
    )
    def examples(context: dg.AssetExecutionContext, store: StateResource) -> None:
        from ml_assets.pipeline.features.examples import store_examples

        is_backfill = BACKFILL_TAG in context.run.tags
        state = store.of(spec.name)
        drawn = store_examples(spec, state, partition_keys(context, spec), is_backfill=is_backfill)
        describe_drops(context, state, drawn, on_last=describe_columns(spec, "features", "examples", drawn.columns))

    return examples


def _features(spec: UseCaseSpec) -> dg.AssetsDefinition:
    views = spec.features.views
    sources = [
        dg.AssetDep(
            asset_key(spec, "validated", source),
            partition_mapping=history_mapping(view_lookback(views, source), spec.calendar),
        )
        for source in sorted({view.source for view in views})
    ]

    @dg.asset(
        key=asset_key(spec, "features", "features"),
        deps=[asset_key(spec, "features", "examples"), asset_key(spec, "raw", "drops"), *sources],
        description="Every feature of every example, as known at its prediction_at, whoever computed it and when.",
        metadata=table_metadata(spec, "features/features", has_own_schema=False),
        **by_drop(spec),
        **described(spec, "features", "delta", "duckdb", "numpy"),
    )
    def features(context: dg.AssetExecutionContext, store: StateResource) -> None:
        from ml_assets.pipeline.features.compute import store_features
        from ml_assets.pipeline.features.versions import status_of_features
        from ml_assets.reports.column_descriptions import feature_descriptions

        state, drops, is_backfill = store.of(spec.name), partition_keys(context, spec), BACKFILL_TAG in context.run.tags
        stored = store_features(spec, state, drops, is_backfill=is_backfill, tell=context.log.info)
        said = feature_descriptions(spec, status_of_features(spec, state))
        shown = describe_columns(spec, "features", "features", stored.columns, said)
        describe_drops(context, state, stored, on_last=shown)

    return features
