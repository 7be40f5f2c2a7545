"""The declared lake tables of an asset as its metadata: columns, grain, and the tables it writes beside."""

from typing import Any

import dagster as dg

from ml_assets.graph.assets.metadata import markdown
from ml_assets.reports.tables_page import table_in_words
from ml_assets.spec.tables import Table, tables_of_asset
from ml_assets.spec.use_case import UseCaseSpec


def table_metadata(spec: UseCaseSpec, asset: str, *, has_own_schema: bool = True) -> dict[str, Any]:
    """Give what the UI shows of the tables that an asset, named as `layer/name`, writes.

    `has_own_schema` is False where only what was written knows all columns; their schema comes with a materialization.
    """
    main, *others = tables_of_asset(spec, asset)
    shown: dict[str, Any] = {"dagster/table_name": f"{spec.name}.{main.name}", "grain": main.grain}
    if has_own_schema:
        shown["dagster/column_schema"] = column_schema(main)
    return shown | {f"table {each.name}": markdown(table_in_words(each)) for each in others}


def column_schema(table: Table) -> dg.TableSchema:
    """Give the columns of a declared table with their descriptions."""
    return dg.TableSchema(
        [dg.TableColumn(each.name, each.type, description=each.description or None) for each in table.columns]
    )
