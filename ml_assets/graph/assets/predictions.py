"""Assets that people and systems take away: predictions, worklists, and what other models would have said."""

import dagster as dg

from ml_assets.graph.assets.columns import describe_columns
from ml_assets.graph.assets.layout import asset_key, by_drop, described, history_mapping, partition_keys, partitions_of
from ml_assets.graph.assets.metadata import check_results, describe_drops, pictures
from ml_assets.graph.assets.step_assets import build_step_asset
from ml_assets.graph.assets.tables import table_metadata
from ml_assets.graph.definitions.resources import StateResource
from ml_assets.spec.objectives import SCORE
from ml_assets.spec.tables import tables_of_asset
from ml_assets.spec.use_case import UseCaseSpec


def build_prediction_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build predictions, worklist and shadow_predictions."""
    return [_predictions(spec), _worklist(spec), _shadow_predictions(spec)]


def build_delivered_specs(spec: UseCaseSpec) -> list[dg.AssetSpec]:
    """Build the delivered files, which leave the system: lineage ends there."""
    return [
        dg.AssetSpec(
            asset_key(spec, "delivered", table),
            deps=[asset_key(spec, "predictions", table)],
            description=f"Files of {table}, one a drop{_delivered_as(spec, table).removeprefix(', in the lake and')}.",
            partitions_def=partitions_of(spec),
            **described(spec, "delivered", *_formats(spec, table)),
        )
        for table in ("predictions", "worklist")
        if _formats(spec, table)
    ]


def _scored_from(spec: UseCaseSpec) -> list[dg.AssetDep]:
    """Give what scores of a drop are made of: its features, and matured ones with their labels for the prior shift."""
    features = asset_key(spec, "features", "features")
    rule = spec.model.prior_correction
    if rule is None:
        return [dg.AssetDep(features)]
    mapping = history_mapping(rule.window + spec.labels.matures_after, spec.calendar)
    labels = asset_key(spec, "training", "labels")
    return [dg.AssetDep(features, partition_mapping=mapping), dg.AssetDep(labels, partition_mapping=mapping)]


def _arms_of(spec: UseCaseSpec) -> list[dg.AssetKey]:
    return [asset_key(spec, "experiments", "assignments")] if spec.experiments else []


def _predictions(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "predictions", "predictions")

    @dg.asset(
        key=key,
        deps=[*_scored_from(spec), asset_key(spec, "models", "champion"), *_arms_of(spec)],
        description="Each example scored by the champion of its drop, with the baseline's score beside "
        f"it{_delivered_as(spec, 'predictions')}. Before the first champion a drop has none.",
        **by_drop(spec),
        check_specs=[
            dg.AssetCheckSpec("trained_before", asset=key, blocking=True, description="Every score is by a model "
                              "trained as of an earlier drop."),
            dg.AssetCheckSpec("complete", asset=key, description="Every example of a drop with a champion is "
                              "scored."),
            dg.AssetCheckSpec("can_abstain", asset=key, description="The champion knows the range of its inputs, where "
                              "`abstain` is declared."),
        ],
        metadata=table_metadata(spec, "predictions/predictions"),
        **described(spec, "predictions", "delta", "xgboost", *_formats(spec, "predictions")),
    )  # fmt: skip
    def predictions(context: dg.AssetExecutionContext, store: StateResource) -> dg.MaterializeResult:
        from ml_assets.pipeline.scoring.predictions import score_drops
        from ml_assets.reports.score_pictures import score_picture

        state, drops = store.of(spec.name), partition_keys(context, spec)
        scored = score_drops(spec, state, drops)
        types = tables_of_asset(spec, "predictions/predictions")[0].types
        shown: dict[str, object] = {**describe_columns(spec, "predictions", "predictions", types)}
        shown |= pictures(scores=score_picture(scored.rows, drops))
        describe_drops(context, state, scored.result, on_last=shown)
        return dg.MaterializeResult(check_results=check_results(scored.result.checks))

    return predictions


def _worklist(spec: UseCaseSpec) -> dg.AssetsDefinition:
    deps = [asset_key(spec, "predictions", "predictions"), asset_key(spec, "features", "examples")]
    said = f"The {spec.worklist.capacity} examples of each drop with the highest {_ranked_by(spec)}"
    checks = {"ranked_as_declared": "The model that serves a drop predicts all that `worklist.rank_by` weighs; where "
              "it does not, the list is ranked by score."}  # fmt: skip
    if spec.worklist.routes:
        checks["routed"] = "What matured shows from which confidence on the machine may decide."
    at, said = ("predictions", "worklist"), f"{said}{_delivered_as(spec, 'worklist')}."
    step = "scoring.worklist:store_worklist"
    return build_step_asset(spec, at, step, said, deps, checks, *_formats(spec, "worklist"))


def _shadow_predictions(spec: UseCaseSpec) -> dg.AssetsDefinition:
    deps = [*_scored_from(spec), asset_key(spec, "models", "champion")]
    said = ("What other models say of each example: the first champion, as it would be without retraining, and the "
            "last refused candidate while none newer serves.")  # fmt: skip
    checks = {"shadows_scored": "Every shadow of every drop could be loaded and has scored it."}
    at, step = ("predictions", "shadow_predictions"), "scoring.shadows:score_shadows"
    return build_step_asset(spec, at, step, said, deps, checks, "xgboost")


def _formats(spec: UseCaseSpec, table: str) -> list[str]:
    return sorted({delivery.format for delivery in spec.deliveries if delivery.table == table})


def _delivered_as(spec: UseCaseSpec, table: str) -> str:
    formats = " and ".join(name.replace("csv", "CSV").replace("parquet", "Parquet") for name in _formats(spec, table))
    return f", in the lake and delivered as {formats}" if formats else ""


def _ranked_by(spec: UseCaseSpec) -> str:
    weights = spec.worklist.rank_by
    return (
        "scores" if set(weights) == {SCORE} else " + ".join(f"{weight:g} x {name}" for name, weight in weights.items())
    )
