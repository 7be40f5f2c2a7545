"""Assets of the layer labels: votes of functions, the label model, labels to train on; what people are asked."""

import dagster as dg
from pydantic import Field

from ml_assets.graph.assets.layout import asset_key, described, history_mapping, pool_of
from ml_assets.graph.assets.metadata import check_results, laid_out
from ml_assets.graph.assets.step_assets import build_step_asset
from ml_assets.graph.assets.tables import table_metadata
from ml_assets.graph.assets.training import NEWEST
from ml_assets.graph.definitions.resources import StateResource
from ml_assets.spec.review import ReviewSpec
from ml_assets.spec.use_case import UseCaseSpec


def build_weak_label_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build weak_labels where functions are declared, and review_queue where a review is."""
    queue = [_review_queue(spec, spec.review)] if spec.review else []
    return [*([_weak_labels(spec)] if spec.labeling else []), *queue]


def build_label_model_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build label_model and training_labels where functions are declared, and label_errors where a review is."""
    suspects = [_label_errors(spec)] if spec.review and spec.review.looks_for_label_errors else []
    return [*([_label_model(spec), _training_labels(spec)] if spec.labeling else []), *suspects]


def _weak_labels(spec: UseCaseSpec) -> dg.AssetsDefinition:
    said = "What each labeling function says of each example of a drop: a class, or null where it abstains."
    at, step = ("labels", "weak_labels"), "labeling.weak_labels:store_weak_labels"
    checks = {"known_classes": "What functions give is a declared class or null."}
    return build_step_asset(spec, at, step, said, [asset_key(spec, "features", "examples")], checks, "duckdb")


def _review_queue(spec: UseCaseSpec, review: ReviewSpec) -> dg.AssetsDefinition:
    history = history_mapping(None, spec.calendar)
    read = [("training", "labels"), ("features", "features"), ("validated", review.answers)]
    read += [("predictions", "predictions"), ("predictions", "shadow_predictions")]
    retrained = ["label_model"] * bool(spec.labeling) + ["label_errors"] * review.looks_for_label_errors
    deps = [*(dg.AssetDep(asset_key(spec, *each), partition_mapping=history) for each in read),
            *(asset_key(spec, "labels", each) for each in retrained)]  # fmt: skip
    said = "Which examples of a drop people are asked about, who is asked, and why; some are drawn by chance."
    at, step = ("labels", "review_queue"), "labeling.review_queue:store_review_queue"
    return build_step_asset(spec, at, step, said, deps, {}, "numpy")


def _label_errors(spec: UseCaseSpec) -> dg.AssetsDefinition:
    at, step = ("labels", "label_errors"), "labeling.label_errors:store_label_errors"
    said = "Labels of the training set that are likely wrong, by predictions in time order, for people."
    deps, checks = [asset_key(spec, "training", "training_set")], {"labels_judged": "There are enough to judge by."}
    return build_step_asset(spec, at, step, said, deps, checks, "numpy")


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
