"""The asset of the experiments of a use case: who is in which arm, and how arms compare. There is none without any."""

import dagster as dg

from ml_assets.graph import clock
from ml_assets.graph.assets.layout import asset_key, by_drop, described, history_mapping, partition_keys
from ml_assets.graph.assets.metadata import check_results, describe_drops
from ml_assets.graph.assets.tables import table_metadata
from ml_assets.graph.definitions.resources import StateResource
from ml_assets.spec.use_case import UseCaseSpec


def build_experiment_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build assignments, where an experiment is declared."""
    return [_assignments(spec)] if spec.experiments else []


def _assignments(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "experiments", "assignments")
    history = history_mapping(None, spec.calendar)
    read = [("features", "examples"), ("features", "features"), ("training", "labels")]

    @dg.asset(
        key=key,
        deps=[
            *(dg.AssetDep(asset_key(spec, *each), partition_mapping=history) for each in read),
            asset_key(spec, "models", "champion"),
        ],
        description="The arm of each example in the experiments that run, what both models say of it, and the verdict "
        "on each experiment by what has matured. An abort is an entry of the champion record.",
        check_specs=[
            dg.AssetCheckSpec("arms_hold", asset=key, description="No experiment was aborted in these drops.")
        ],
        metadata=table_metadata(spec, "experiments/assignments"),
        **by_drop(spec),
        **described(spec, "experiments", "delta"),
    )
    def assignments(context: dg.AssetExecutionContext, store: StateResource) -> dg.MaterializeResult:
        from ml_assets.pipeline.experiments.assignments import store_assignments
        from ml_assets.reports.experiment_page import write_experiment_pages

        state, drops = store.of(spec.name), partition_keys(context, spec)
        found = store_assignments(spec, state, drops, clock.now())
        describe_drops(context, state, found, on_last=write_experiment_pages(spec, state, drops))
        return dg.MaterializeResult(check_results=check_results(found.checks))

    return assignments
