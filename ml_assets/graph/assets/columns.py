"""What the UI shows of columns: type, meaning, and of which columns of which assets each is made.

`dagster/column_lineage` is what a Dagster that draws column lineage reads. The open-source UI shows it nowhere but as
JSON, so each description also names the columns, with a link to the asset that holds them. Both go with what was
materialized, not with the definitions: loading them stays as quick as it is.
"""

from collections.abc import Mapping

import dagster as dg

from ml_assets.graph.assets.layout import asset_key
from ml_assets.spec.column_lineage import across_assets
from ml_assets.spec.tables import tables_of_asset
from ml_assets.spec.use_case import UseCaseSpec


def describe_columns(
    spec: UseCaseSpec, layer: str, table: str, types: Mapping[str, str], said: Mapping[str, str] | None = None
) -> dict[str, dg.TableSchema | dg.TableColumnLineage]:
    """Give the metadata of the columns of an asset: the schema with descriptions, and the lineage."""
    from ml_assets.reports.column_descriptions import column_texts, lineage_of

    lineage = lineage_of(spec)
    made = across_assets(lineage, (layer, table)) if (layer, table) in lineage else {}
    said = {**tables_of_asset(spec, f"{layer}/{table}")[0].descriptions, **(said or {})}
    texts = column_texts(spec, types, said, made)
    columns = [dg.TableColumn(name, kind, description=texts[name]) for name, kind in types.items()]
    deps = {
        name: [dg.TableColumnDep(asset_key(spec, each.layer, each.table), each.column) for each in made[name]]
        for name in types
        if made.get(name)
    }
    shown: dict[str, dg.TableSchema | dg.TableColumnLineage] = {"dagster/column_schema": dg.TableSchema(columns)}
    return shown | ({"dagster/column_lineage": dg.TableColumnLineage(deps)} if deps else {})
