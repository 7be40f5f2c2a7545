"""Assets that call one step of the pipeline and describe the table that it writes."""

import pkgutil
from collections.abc import Mapping, Sequence

import dagster as dg

from ml_assets.graph.assets.columns import describe_columns
from ml_assets.graph.assets.layout import SINGLE_RUN, asset_key, described, partition_keys, partitions_of, pool_of
from ml_assets.graph.assets.metadata import check_results, describe_drops
from ml_assets.graph.assets.tables import table_metadata
from ml_assets.graph.definitions.resources import StateResource
from ml_assets.spec.tables import tables_of_asset
from ml_assets.spec.use_case import UseCaseSpec


def build_step_asset(
    spec: UseCaseSpec, at: tuple[str, str], step: str, description: str,
    deps: Sequence[dg.AssetDep | dg.AssetKey], checks: Mapping[str, str], *kinds: str,
) -> dg.AssetsDefinition:  # fmt: skip
    """Build the asset `at`, a layer and a name, by a `step` such as `labeling.weak_labels:store_weak_labels`.

    `checks` are those of the step, by name, with their descriptions. It has a partition a drop where its table has;
    columns that only the written table knows come from the result of the step, which is imported when it runs.
    """
    key, (layer, name) = asset_key(spec, *at), at
    table = tables_of_asset(spec, f"{layer}/{name}")[0]

    @dg.asset(
        key=key,
        deps=list(deps),
        description=description,
        check_specs=[dg.AssetCheckSpec(each, asset=key, description=said) for each, said in checks.items()],
        metadata=table_metadata(spec, f"{layer}/{name}", has_own_schema=name != "worklist"),
        partitions_def=partitions_of(spec) if table.is_by_drop else None,
        backfill_policy=SINGLE_RUN if table.is_by_drop else None,
        pool=pool_of(spec),
        **described(spec, layer, "delta", *kinds),
    )
    def stored(context: dg.AssetExecutionContext, store: StateResource) -> dg.MaterializeResult:
        run, state = pkgutil.resolve_name(f"ml_assets.pipeline.{step}"), store.of(spec.name)
        result = run(spec, state, *([partition_keys(context, spec)] if table.is_by_drop else []))
        if table.is_by_drop:
            shown = describe_columns(spec, layer, name, result.columns or table.types)
            describe_drops(context, state, result, on_last=shown)
        return dg.MaterializeResult(check_results=check_results(result.checks))

    return stored
