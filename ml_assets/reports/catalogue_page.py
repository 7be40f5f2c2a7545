"""The catalogue of features as a page of Markdown, by what is declared: the same text from the same declaration."""

from __future__ import annotations

from collections.abc import Sequence

from ml_assets.pipeline.features.catalogue import raw_columns
from ml_assets.reports.markdown import Formatted, markdown_code, markdown_table, markdown_text
from ml_assets.spec.catalogue import FeatureEntry, catalogue
from ml_assets.spec.column_lineage import FEATURES, ColumnAt, column_lineage, trace
from ml_assets.spec.use_case import UseCaseSpec

NOT_SAID = "not said"
_HEAD = """\
# Features of {name}

Written by `ml-assets features {name} --markdown` from the declaration; a test holds this page to it. {count} features.
Their versions and first drops depend on what was run: `ml-assets features {name}` lists them, and with the name of a
feature all that is known of it, back to raw columns. In the UI the same stands at each column of `features/features`.

What is not declared is derived where that is certain. **Unit**: of a count `count`, of the mean of a condition `share`,
of a sum, mean, minimum, maximum or latest value of one column the unit of that column, of an age `h`. **Null**: of a
window no fact of the entity in it, of a latest value none younger than its `max_age`; counts are never null; of an
expression what is null in it. The rest is said in `defs.yaml`: `owner`, `units` and `null_means` of a view, `owner`,
`unit` and `null_means` of an expression, `owner` of all features.

`made of` names raw columns: what is measured, and what decides which facts count (entity, filter, and when they
became known).
"""


def catalogue_page(spec: UseCaseSpec) -> str:
    """Write the page."""
    entries = {entry.feature: entry for entry in catalogue(spec)}
    lineage = column_lineage(spec)
    parts = [_HEAD.format(name=spec.name, count=len(entries))]
    for view in spec.features.views:
        of_view = [entries[name] for name in view.feature_names()]
        source = of_view[0].source
        parts.append(f"## {view.name}\n\n{view.description} Of {source}. Owner: {of_view[0].owner or NOT_SAID}.\n")
        parts.append(_table(of_view, {name: raw_columns(lineage, name) for name in view.feature_names()}))
    of_rows = [entries[each.name] for each in spec.features.expressions]
    if of_rows:
        parts.append("## Expressions\n\nOver the example's own columns and the features above.\n")
        parts.append(_table(of_rows, {each.feature: raw_columns(lineage, each.feature) for each in of_rows}))
    example = spec.features.feature_names()[0]
    parts.append(f"## The way back to raw columns\n\nAs `ml-assets features {spec.name} {example}` ends:\n")
    parts.append("\n".join(["```text", *(line[4:] for line in lineage_lines(spec, example)), "```", ""]))
    return "\n".join(parts)


def _table(entries: Sequence[FeatureEntry], raw: dict[str, list[str]]) -> str:
    rows = [
        [markdown_code(each.feature), _value(each), each.unit or NOT_SAID, each.null_means or NOT_SAID,
         ", ".join(raw[each.feature])]
        for each in entries
    ]  # fmt: skip
    return markdown_table(["feature", "value", "unit", "null means", "made of"], rows) + "\n"


def _value(entry: FeatureEntry) -> Formatted:
    value = markdown_code(entry.value) + (f" over {markdown_text(entry.over)}" if entry.over else "")
    is_expression = not entry.over and entry.source.startswith("the example")
    describes = is_expression and entry.description
    return Formatted(f"{markdown_text(entry.description)}: {value}" if describes else value)


def lineage_lines(spec: UseCaseSpec, feature: str) -> list[str]:
    """Spell the way from a feature back to raw columns, a column a line, with what the contract says of raw ones."""
    lines: list[str] = []
    for depth, each in trace(column_lineage(spec), ColumnAt(*FEATURES, feature)):
        lines.append(f"  {'  ' * depth}{each}{_contracted(spec, each) if each.layer == 'raw' else ''}")
    return lines


def _contracted(spec: UseCaseSpec, at: ColumnAt) -> str:
    column = spec.source(at.table).columns[at.column]
    unit = f" [{column.unit}]" if column.unit else ""
    return f"  {column.type}{unit}" + (f": {column.description}" if column.description else "")
