"""Assets of the sources: what landed, what was accepted, what was not, and the ledger over all of them."""

import dagster as dg

from ml_assets.graph import clock
from ml_assets.graph.assets.columns import describe_columns
from ml_assets.graph.assets.layout import asset_key, by_drop, described, history_mapping, partition_keys, partitions_of
from ml_assets.graph.assets.metadata import check_results, describe_drops
from ml_assets.graph.assets.retries import retried_reads
from ml_assets.graph.assets.tables import table_metadata
from ml_assets.graph.definitions.resources import StateResource
from ml_assets.spec.contract import Source
from ml_assets.spec.tables.ingestion import source_table
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState


def build_source_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build raw, validated and quarantine of each source, and the ledger."""
    per_source = [asset for source in spec.sources for asset in (_raw(spec, source), _validated(spec, source))]
    return [*per_source, _drops(spec)]


def build_landed_specs(spec: UseCaseSpec) -> list[dg.AssetSpec]:
    """Build the landed files of each source, which somebody else makes: lineage begins there."""
    return [
        dg.AssetSpec(
            landed_key(spec, source.name),
            deps=[dg.AssetKey(source.asset.split("/"))] if source.asset else [],
            description=f"Files that land as {spec.name}/<drop>/{source.file_name}. Arrives: {source.arrives}.",
            partitions_def=partitions_of(spec),
            **described(spec, "landed", source.file.format),
        )
        for source in spec.sources
    ]


def landed_key(spec: UseCaseSpec, source: str) -> dg.AssetKey:
    """Give the key of the landed files of a source."""
    return asset_key(spec, "landed", source)


def _raw(spec: UseCaseSpec, source: Source) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(spec, "raw", source.name),
        deps=[landed_key(spec, source.name)],
        description=f"{source.description} As landed: typed by contract, with file, sha256 and line.",
        **by_drop(spec),
        metadata=table_metadata(spec, f"raw/{source.name}"),
        **described(spec, "raw", "csv", "delta"),
    )
    def raw(context: dg.AssetExecutionContext, store: StateResource) -> None:
        from ml_assets.pipeline.ingestion.raw import receive_source

        state = store.of(spec.name)
        with retried_reads():
            received = receive_source(spec, state, source, partition_keys(context, spec), clock.now())
        describe_drops(context, state, received)

    return raw


def _validated(spec: UseCaseSpec, source: Source) -> dg.AssetsDefinition:
    validated_key = asset_key(spec, "validated", source.name)
    quarantine_key = asset_key(spec, "quarantine", source.name)
    types = source_table(source, "validated").types

    @dg.multi_asset(
        name=f"{spec.name}__validate_{source.name}",
        specs=[
            _validated_spec(spec, source, validated_key),
            _quarantine_spec(spec, source, quarantine_key),
        ],
        check_specs=[dg.AssetCheckSpec("contract", asset=validated_key, description="No drop of this source was "
                     "refused. The ledger has the verdict; the other sources go on.")],
        **by_drop(spec),
    )  # fmt: skip
    def validate(context: dg.AssetExecutionContext, store: StateResource):  # noqa: ANN202 - two results
        from ml_assets.pipeline.ingestion.validated import validate_source

        state = store.of(spec.name)
        found = validate_source(spec, state, source, partition_keys(context, spec), clock.now())
        shown = describe_columns(spec, "validated", source.name, types)
        describe_drops(context, state, found.validated, validated_key, on_last=_page(spec, source, state) | shown)
        describe_drops(context, state, found.quarantine, quarantine_key)
        checks = check_results(found.validated.checks, validated_key)
        yield dg.MaterializeResult(asset_key=validated_key, check_results=checks)
        yield dg.MaterializeResult(asset_key=quarantine_key)

    return validate


def _inputs(spec: UseCaseSpec, source: Source) -> list[dg.AssetDep]:
    mapping = history_mapping(None, spec.calendar)
    read = [dg.AssetDep(asset_key(spec, "validated", name), partition_mapping=mapping) for name in source.reads]
    return [dg.AssetDep(asset_key(spec, "raw", source.name)), *read]


def _validated_spec(spec: UseCaseSpec, source: Source, key: dg.AssetKey) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        description=f"{source.description} The rows that keep the contract, with when they happened and when they "
        "became known.",
        metadata=table_metadata(spec, f"validated/{source.name}", has_own_schema=False),
        deps=_inputs(spec, source),
        **described(spec, "validated", "delta", "duckdb"),
    )


def _quarantine_spec(spec: UseCaseSpec, source: Source, key: dg.AssetKey) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        description=f"Rows of {source.name} that do not keep the contract, with every reason.",
        metadata=table_metadata(spec, f"quarantine/{source.name}"),
        deps=_inputs(spec, source),
        **described(spec, "quarantine", "delta", "duckdb"),
    )


def _page(spec: UseCaseSpec, source: Source, state: UseCaseState) -> dict[str, object]:
    """Link the page of a source where it was drawn, and say how it is drawn; in each batch it would take a second."""
    page = state.paths.source_page(spec.name, source.name)
    drawn = {"page": dg.MetadataValue.path(str(page))} if page.exists() else {}
    return {**drawn, "draw the page": f"ml-assets sources {spec.name} --page"}


def _drops(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "raw", "drops")
    layers = ("raw", "validated", "quarantine")

    @dg.asset(
        key=key,
        deps=[asset_key(spec, layer, source.name) for source in spec.sources for layer in layers],
        description="The ledger: per drop and source what was expected, received, admitted, refused or missing, with "
        "counts and reasons. Later assets refuse to run past a drop without a final state.",
        **by_drop(spec),
        check_specs=[
            dg.AssetCheckSpec("final", asset=key, description="Every source of every drop has a final state."),
            dg.AssetCheckSpec("admitted", asset=key, blocking=True, description="Something was admitted."),
        ],
        metadata=table_metadata(spec, "raw/drops"),
        **described(spec, "validated", "delta"),  # drawn where it stands: after what was validated
    )
    def drops(context: dg.AssetExecutionContext, store: StateResource) -> dg.MaterializeResult:
        from ml_assets.pipeline.ingestion.ledger import build_ledger

        state = store.of(spec.name)
        ledger = build_ledger(spec, state, partition_keys(context, spec), clock.now())
        describe_drops(context, state, ledger)
        return dg.MaterializeResult(check_results=check_results(ledger.checks))

    return drops
