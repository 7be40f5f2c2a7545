"""Assets that people and systems take away: predictions, worklists, and what other models would have said."""

import dagster as dg

from ml_assets.graph.assets.columns import describe_columns
from ml_assets.graph.assets.layout import (
    SINGLE_RUN,
    asset_key,
    described,
    history_mapping,
    partition_keys,
    partitions_of,
    table_schema,
)
from ml_assets.graph.assets.metadata import check_results, describe_drops, pictures
from ml_assets.graph.definitions.resources import StateResource
from ml_assets.pipeline.scoring.predictions import score_drops
from ml_assets.pipeline.scoring.shadows import score_shadows
from ml_assets.pipeline.scoring.worklist import store_worklist
from ml_assets.reports.score_pictures import score_picture
from ml_assets.spec.objectives import SCORE
from ml_assets.spec.use_case import UseCaseSpec

_COLUMN_MEANINGS = {
    "batch_date": "the drop",
    "score": "probability of a positive, what is acted on: the champion's with the prior shift of the drop, or the "
    "baseline's where the champion abstains",
    "model_score": "the champion's own, before the prior shift",
    "baseline_score": "the same by the baseline, group history, fitted on the champion's training rows",
    "prior_shift": "log odds added to the champion's score: positives have become rarer or more frequent since",
    "abstained": "the inputs too far from the training rows for the champion to score; null: none",
    "model_version": "as-of drop, rung and content of the champion",
}
_PREDICTION_COLUMNS = {
    "batch_date": "DATE",
    "example_id": "VARCHAR",
    "prediction_at": "TIMESTAMPTZ",
    "score": "DOUBLE",
    "model_score": "DOUBLE",
    "baseline_score": "DOUBLE",
    "prior_shift": "DOUBLE",
    "abstained": "VARCHAR",
    "model_version": "VARCHAR",
}
_SHADOW_COLUMNS = {
    "batch_date": "DATE",
    "example_id": "VARCHAR",
    "role": "VARCHAR",
    "model_version": "VARCHAR",
    "score": "DOUBLE",
    "_features_version": "BIGINT",
}


def build_prediction_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build predictions, worklist and shadow_predictions."""
    return [_predictions(spec), _worklist(spec), _shadow_predictions(spec)]


def _columns(spec: UseCaseSpec) -> dict[str, str]:
    return _PREDICTION_COLUMNS | {objective.name: "DOUBLE" for objective in spec.model.objectives}


def _meanings(spec: UseCaseSpec) -> dict[str, str]:
    said = {each.name: each.description or f"{each.measure} as foretold" for each in spec.model.objectives}
    return _COLUMN_MEANINGS | said


def _scored_from(spec: UseCaseSpec) -> list[dg.AssetDep]:
    """Give what scores of a drop are made of: its features, and matured ones with their labels for the prior shift."""
    features = asset_key(spec, "features", "features")
    rule = spec.model.prior_correction
    if rule is None:
        return [dg.AssetDep(features)]
    mapping = history_mapping(rule.window + spec.labels.matures_after, spec.calendar.every)
    labels = asset_key(spec, "training", "labels")
    return [dg.AssetDep(features, partition_mapping=mapping), dg.AssetDep(labels, partition_mapping=mapping)]


def _predictions(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "predictions", "predictions")

    @dg.asset(
        key=key,
        deps=[*_scored_from(spec), asset_key(spec, "models", "champion")],
        description="Each example scored by the champion of its drop, with the baseline's score beside "
        f"it{_delivered_as(spec, 'predictions')}. Before the first champion a drop has none.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        check_specs=[
            dg.AssetCheckSpec("trained_before", asset=key, blocking=True, description="Every score is by a model "
                              "trained as of an earlier drop."),
            dg.AssetCheckSpec("complete", asset=key, description="Every example of a drop with a champion is scored, "
                              "and every drop has a champion."),
        ],
        metadata={"dagster/column_schema": table_schema(_columns(spec))},
        **described(spec, "predictions", "delta", "xgboost", *_formats(spec, "predictions")),
    )  # fmt: skip
    def predictions(context: dg.AssetExecutionContext, store: StateResource) -> dg.MaterializeResult:
        drops = partition_keys(context)
        scored = score_drops(spec, store.of(spec.name), drops)
        shown = describe_columns(spec, "predictions", "predictions", _columns(spec), _meanings(spec))
        describe_drops(context, scored.result, on_last=pictures(scores=score_picture(scored.rows, drops)) | shown)
        return dg.MaterializeResult(check_results=check_results(scored.result.checks))

    return predictions


def _worklist(spec: UseCaseSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(spec, "predictions", "worklist"),
        deps=[asset_key(spec, "predictions", "predictions"), asset_key(spec, "features", "examples")],
        description=f"The {spec.worklist.capacity} examples of each drop with the highest {_ranked_by(spec)}"
        f"{_delivered_as(spec, 'worklist')}.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        **described(spec, "predictions", "delta", *_formats(spec, "worklist")),
    )
    def worklist(context: dg.AssetExecutionContext, store: StateResource) -> None:
        drawn = store_worklist(spec, store.of(spec.name), partition_keys(context))
        describe_drops(context, drawn, on_last={"dagster/column_schema": table_schema(dict(drawn.columns))})

    return worklist


def _shadow_predictions(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "predictions", "shadow_predictions")

    @dg.asset(
        key=key,
        deps=[*_scored_from(spec), asset_key(spec, "models", "champion")],
        description="What other models say of each example: the first champion, as it would be without retraining, and "
        "the last refused candidate while none newer serves.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        check_specs=[
            dg.AssetCheckSpec("shadows_scored", asset=key, description="Every shadow of every drop could be loaded "
                              "and has scored it."),
        ],
        metadata={"dagster/column_schema": table_schema(_SHADOW_COLUMNS, {"batch_date": "the drop"})},
        **described(spec, "predictions", "delta", "xgboost"),
    )  # fmt: skip
    def shadow_predictions(context: dg.AssetExecutionContext, store: StateResource) -> dg.MaterializeResult:
        scored = score_shadows(spec, store.of(spec.name), partition_keys(context))
        describe_drops(context, scored)
        return dg.MaterializeResult(check_results=check_results(scored.checks))

    return shadow_predictions


def _formats(spec: UseCaseSpec, table: str) -> list[str]:
    return sorted({delivery.format for delivery in spec.deliveries if delivery.table == table})


def _delivered_as(spec: UseCaseSpec, table: str) -> str:
    formats = " and ".join(name.replace("csv", "CSV").replace("parquet", "Parquet") for name in _formats(spec, table))
    return f", in the lake and as a {formats} file" if formats else ""


def _ranked_by(spec: UseCaseSpec) -> str:
    weights = spec.worklist.rank_by
    return (
        "scores" if set(weights) == {SCORE} else " + ".join(f"{weight:g} x {name}" for name, weight in weights.items())
    )
