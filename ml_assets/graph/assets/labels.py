"""Assets of the layer labels, of use cases that declare functions: votes, the label model, labels to train on."""

import dagster as dg
from pydantic import Field

from ml_assets.graph.assets.columns import describe_columns
from ml_assets.graph.assets.layout import asset_key, by_drop, described, partition_keys, pool_of
from ml_assets.graph.assets.metadata import check_results, describe_drops, laid_out
from ml_assets.graph.assets.tables import table_metadata
from ml_assets.graph.assets.training import NEWEST
from ml_assets.graph.definitions.resources import StateResource
from ml_assets.spec.tables import tables_of_asset
from ml_assets.spec.use_case import UseCaseSpec


def build_weak_label_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build weak_labels; nothing where no function is declared."""
    return [_weak_labels(spec)] if spec.labeling else []


def build_label_model_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build label_model and training_labels; nothing where no function is declared."""
    return [_label_model(spec), _training_labels(spec)] if spec.labeling else []


def _weak_labels(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key, types = asset_key(spec, "labels", "weak_labels"), tables_of_asset(spec, "labels/weak_labels")[0].types

    @dg.asset(
        key=key,
        deps=[asset_key(spec, "features", "examples")],
        description="What each labeling function says of each example of a drop: a class, or null where it abstains.",
        check_specs=[dg.AssetCheckSpec("known_classes", asset=key, description="What functions give is a declared "
                                       "class or null.")],
        metadata=table_metadata(spec, "labels/weak_labels"),
        **by_drop(spec),
        **described(spec, "labels", "delta", "duckdb"),
    )  # fmt: skip
    def weak_labels(context: dg.AssetExecutionContext, store: StateResource) -> dg.MaterializeResult:
        from ml_assets.pipeline.labeling.weak_labels import store_weak_labels

        state = store.of(spec.name)
        stored = store_weak_labels(spec, state, partition_keys(context))
        describe_drops(context, state, stored, on_last=describe_columns(spec, "labels", "weak_labels", types))
        return dg.MaterializeResult(check_results=check_results(stored.checks))

    return weak_labels


class LabelModelConfig(dg.Config):
    """What the label model is fitted as of."""

    as_of: str = Field(default=NEWEST, description=f"A drop that was run, as YYYY-MM-DD; or {NEWEST}.")


def _label_model(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "labels", "label_model")

    @dg.asset(
        key=key,
        deps=[asset_key(spec, "labels", "weak_labels"), asset_key(spec, "training", "labels"),
              asset_key(spec, "features", "features")],
        description="How far votes can be trusted, as of a drop: label models and the vote, measured on held-out gold "
        "labels, which of them is used and why, and diagnostics of each function.",
        check_specs=[dg.AssetCheckSpec("votes_as_declared", asset=key, description="Every function voted on every drop "
                                       "by its declared definition.")],
        metadata=table_metadata(spec, "labels/label_model"),
        pool=pool_of(spec),
        **described(spec, "labels", "delta", "numpy"),
    )  # fmt: skip
    def label_model(
        context: dg.AssetExecutionContext, config: LabelModelConfig, store: StateResource
    ) -> dg.MaterializeResult:
        from ml_assets.pipeline.labeling.label_model import store_label_model
        from ml_assets.reports.label_tables import label_model_facts

        found = store_label_model(spec, store.of(spec.name), "" if config.as_of == NEWEST else config.as_of)
        context.log.info(f"labels as of {found.as_of}: {found.choice.chosen}; {found.choice.reason}")
        return dg.MaterializeResult(
            metadata=laid_out(label_model_facts(found)), check_results=check_results(found.checks)
        )

    return label_model


def _training_labels(spec: UseCaseSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(spec, "labels", "training_labels"),
        deps=[asset_key(spec, "labels", "label_model")],
        description="A label for each example that has one: gold where it is known, else by the label model, with its "
        "weight and what it rests on.",
        metadata=table_metadata(spec, "labels/training_labels"),
        pool=pool_of(spec),
        **described(spec, "labels", "delta", "numpy"),
    )
    def training_labels(context: dg.AssetExecutionContext, store: StateResource) -> dg.MaterializeResult:
        from ml_assets.pipeline.labeling.training_labels import store_training_labels

        stored = store_training_labels(spec, store.of(spec.name))
        total = sum(stored.rows.values())
        return dg.MaterializeResult(metadata={"as of": str(stored.as_of), **stored.rows, "dagster/row_count": total})

    return training_labels
