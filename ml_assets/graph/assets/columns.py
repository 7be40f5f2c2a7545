"""What the UI shows of columns: type, meaning, and of which columns of which assets each is made.

`dagster/column_lineage` is what a Dagster that draws column lineage reads. The open-source UI shows it nowhere but as
JSON, so each description also names the columns, with a link to the asset that holds them. Both go with what was
materialized, not with the definitions: loading them stays as quick as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

import dagster as dg

from ml_assets.graph.assets.layout import asset_key
from ml_assets.spec.catalogue import NEVER, FeatureEntry, catalogue
from ml_assets.spec.column_lineage import ColumnAt, Lineage, across_assets, column_lineage
from ml_assets.spec.tables import tables_of_asset
from ml_assets.spec.use_case import UseCaseSpec

_NAMED = 12  # columns of one asset in a description; of more the number says enough
FeatureStatus = Mapping[str, tuple[int | None, date | None]]


@dataclass(frozen=True)
class _Declared:
    """A use case, equal to another of the same declaration."""

    text: str
    spec: UseCaseSpec = field(compare=False)


@lru_cache(maxsize=8)
def _lineage(declared: _Declared) -> Lineage:
    return column_lineage(declared.spec)


@lru_cache(maxsize=8)
def _catalogue(declared: _Declared) -> tuple[FeatureEntry, ...]:
    return catalogue(declared.spec)


def lineage_of(spec: UseCaseSpec) -> Lineage:
    """Give the column lineage of a use case, worked out once a process."""
    return _lineage(_Declared(spec.model_dump_json(), spec))


def catalogue_of(spec: UseCaseSpec) -> tuple[FeatureEntry, ...]:
    """Give the catalogue of its features, worked out once a process."""
    return _catalogue(_Declared(spec.model_dump_json(), spec))


def describe_columns(
    spec: UseCaseSpec, layer: str, table: str, types: Mapping[str, str], said: Mapping[str, str] | None = None
) -> dict[str, dg.TableSchema | dg.TableColumnLineage]:
    """Give the metadata of the columns of an asset: the schema with descriptions, and the lineage."""
    lineage = lineage_of(spec)
    made = across_assets(lineage, (layer, table)) if (layer, table) in lineage else {}
    said = {**tables_of_asset(spec, f"{layer}/{table}")[0].descriptions, **(said or {})}
    columns = [
        dg.TableColumn(
            name,
            kind,
            description="\n\n".join(filter(None, [said.get(name), _made_of(spec, made.get(name, ()))])),
        )
        for name, kind in types.items()
    ]
    deps = {
        name: [dg.TableColumnDep(asset_key(spec, each.layer, each.table), each.column) for each in made[name]]
        for name in types
        if made.get(name)
    }
    shown: dict[str, dg.TableSchema | dg.TableColumnLineage] = {"dagster/column_schema": dg.TableSchema(columns)}
    return shown | ({"dagster/column_lineage": dg.TableColumnLineage(deps)} if deps else {})


def feature_descriptions(spec: UseCaseSpec, status: FeatureStatus) -> dict[str, str]:
    """Say all that is known of each feature; `status` gives version and first drop."""
    return {each.feature: _in_words(each, *status.get(each.feature, (None, None))) for each in catalogue_of(spec)}


def _in_words(entry: FeatureEntry, version: int | None, first: date | None) -> str:
    over = f" over {entry.over}" if entry.over else ""
    null = "Never null" if entry.null_means == NEVER else f"Null: {entry.null_means or 'not said'}"
    since = f"Version {version}" + (f" since {first}" if first else "") if version else ""
    parts = [f"`{entry.value}`{over}, of {entry.source}", f"Unit: {entry.unit or 'not said'}", null,
             f"Owner: {entry.owner}" if entry.owner else "", since]  # fmt: skip
    return f"{entry.description}\n\n" * bool(entry.description) + ". ".join(filter(None, parts)) + "."


def _made_of(spec: UseCaseSpec, origins: tuple[ColumnAt, ...]) -> str:
    """Name the columns by asset, each asset with its link."""
    by_asset: dict[str, list[str]] = {}
    for each in origins:
        by_asset.setdefault(f"{each.layer}/{each.table}", []).append(each.column)
    named = {
        asset: ", ".join(columns) if len(columns) <= _NAMED else f"{len(columns)} columns"
        for asset, columns in by_asset.items()
    }
    parts = [f"[{asset}](/assets/{spec.name}/{asset}): {columns}" for asset, columns in named.items()]
    return f"← {'; '.join(parts)}" if parts else ""
