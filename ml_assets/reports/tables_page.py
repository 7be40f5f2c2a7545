"""The lake tables of a use case as a page of Markdown, as declared in spec/tables."""

from __future__ import annotations

from ml_assets.reports.markdown import markdown_code, markdown_table
from ml_assets.spec.tables import Table, declared_lake_tables
from ml_assets.spec.use_case import UseCaseSpec

_HEAD = """\
# Tables of {name}

Written by `ml-assets tables {name} --markdown` from the declaration; a test holds this page to it. Ask them with
`ml-assets sql "SELECT … FROM {name}.<table>"`. Columns that the SQL of the use case adds (to examples, features,
training set and worklist) are not listed. Columns that begin with `_` say where a row came from and are left out of
content hashes. Times are UTC. Null is `never` where a column has none.
"""


def tables_page(spec: UseCaseSpec) -> str:
    """Write the page: each table with its asset, grain and columns."""
    tables = declared_lake_tables(spec)
    return "\n".join([_HEAD.format(name=spec.name), *(_section(each) for each in tables.values())])


def _section(table: Table) -> str:
    rows = [[markdown_code(c.name), c.type, c.meaning, c.unit, c.null] for c in table.columns]
    drops = "one partition a drop" if table.is_by_drop else "not partitioned"
    return (
        f"## {table.name}\n\nOf the asset `{table.asset}`; {drops}. Grain: {table.grain}.\n\n"
        + markdown_table(["column", "type", "meaning", "unit", "null"], rows)
        + "\n"
    )


def table_in_words(table: Table) -> str:
    """Write the grain and the columns of a further table that an asset writes."""
    rows = [[each.name, each.type, each.description] for each in table.columns]
    return f"Grain: {table.grain}.\n\n" + markdown_table(["column", "type", "meaning"], rows)
