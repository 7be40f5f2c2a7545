"""Assets of the decision: the verdict, the record of what serves, and the model card."""

from enum import StrEnum

import dagster as dg
from pydantic import Field

from ml_assets.graph import clock
from ml_assets.graph.assets.layout import TRIGGER_TAG, asset_key, described, pool_of
from ml_assets.graph.assets.metadata import check_results, laid_out, markdown
from ml_assets.graph.assets.tables import table_metadata
from ml_assets.graph.definitions.resources import StateResource
from ml_assets.spec.use_case import UseCaseSpec

# One version for ever. A new verdict changes no earlier prediction, since a champion serves the drops after its as_of;
# with a version a verdict, each would show every past drop of what reads the record as out of date.
RECORD_VERSION = dg.DataVersion("record")


class GateMode(StrEnum):
    """How the gate stands: as declared, or as a person asks for this once."""

    as_declared = "as_declared"
    enabled = "enabled"
    dry_run = "dry_run"
    disabled = "disabled"


class GateConfig(dg.Config):
    """How the gate stands; a disabled one promotes, a dry run changes nothing, and the record says which it was.

    Whoever materializes assets by hand, all of the graph perhaps, measures only; the job of retraining asks to judge.
    """

    gate: GateMode = Field(
        default=GateMode.dry_run,
        description="dry_run: measure only; enabled: judge; disabled: promote, and say so; as_declared: by defs.yaml, "
        "as the job of retraining has it.",
    )


def build_champion_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build evaluation, champion and model_card."""
    return [_evaluation(spec), _champion(spec), _model_card(spec)]


def _evaluation(spec: UseCaseSpec) -> dg.AssetsDefinition:
    read = ("candidate_model", "evaluation_measures", "evaluation_slices", "behaviours")

    @dg.asset(
        key=asset_key(spec, "models", "evaluation"),
        deps=[asset_key(spec, "training", "training_set"), *(asset_key(spec, "models", name) for name in read)],
        description="The verdict: candidate, the champion that serves the candidate's as_of, and the baseline, on the "
        "newest matured window that none of them trained on; with slices, behaviours, groups and leaks.",
        metadata=table_metadata(spec, "models/evaluation"),
        pool=pool_of(spec),
        **described(spec, "models", "delta"),
    )
    def evaluation(context: dg.AssetExecutionContext, config: GateConfig, store: StateResource) -> dg.MaterializeResult:
        from ml_assets.pipeline.evaluation.verdict import judge_candidate
        from ml_assets.reports.retraining_facts import judged_facts

        mode = None if config.gate is GateMode.as_declared else config.gate.value
        judged = judge_candidate(spec, store.of(spec.name), mode)
        context.log.info(f"{judged.comparison.row.model_version}: {judged.verdict.outcome}")
        return dg.MaterializeResult(metadata=laid_out(judged_facts(judged)))

    return evaluation


def _champion(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "models", "champion")

    @dg.asset(
        key=key,
        deps=[asset_key(spec, "models", "evaluation")],
        description="What serves which drops: every verdict ever given with its reasons, and every decision of a "
        "person. The champion of a drop is the newest promotion before it.",
        check_specs=[dg.AssetCheckSpec("gate", asset=key, description="The candidate passed the gate.")],
        metadata=table_metadata(spec, "models/champion"),
        pool=pool_of(spec),
        **described(spec, "models", "delta", "mlflow"),
    )
    def champion(context: dg.AssetExecutionContext, store: StateResource) -> dg.MaterializeResult:
        from ml_assets.pipeline.champion.promote import record_verdict
        from ml_assets.reports.retraining_facts import recorded_facts

        about = (clock.now(), context.run.run_id, context.run.tags.get(TRIGGER_TAG, ""))
        recorded = record_verdict(spec, store.of(spec.name), *about)
        shown = {**laid_out(recorded_facts(spec, recorded)), "dagster/row_count": len(recorded.record)}
        return dg.MaterializeResult(
            metadata=shown, check_results=check_results([recorded.outcome]), data_version=RECORD_VERSION
        )

    return champion


def _model_card(spec: UseCaseSpec) -> dg.AssetsDefinition:
    read = ("champion", "evaluation_measures", "evaluation_slices", "behaviours", "candidate_model")

    @dg.asset(
        key=asset_key(spec, "models", "model_card"),
        deps=[asset_key(spec, "training", "training_set"), *(asset_key(spec, "models", name) for name in read)],
        description="The newest candidate for people: what data, how good, for whom bad, how it behaves, what changed "
        "since the champion before it, where it came from, and who or what let it serve. Also an HTML page.",
        metadata=table_metadata(spec, "models/model_card"),
        pool=pool_of(spec),
        **described(spec, "models", "markdown"),
    )
    def model_card(store: StateResource) -> dg.MaterializeResult:
        from ml_assets.pipeline.evaluation.card_facts import gather_facts, store_card
        from ml_assets.reports.model_card import build_card, write_card

        state = store.of(spec.name)
        facts = gather_facts(state)
        card = build_card(spec, facts)
        page = write_card(state, facts, card)
        text = card.to_markdown(pictures=False)
        store_card(state, facts, text)
        version = facts.comparison.row.model_version
        return dg.MaterializeResult(
            metadata={"model version": version, "page": dg.MetadataValue.path(str(page)), "card": markdown(text)}
        )

    return model_card
