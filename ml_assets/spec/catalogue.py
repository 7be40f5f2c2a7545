"""What each feature of a use case is, in words: said where a person must say it, derived where that is certain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ml_assets.spec.aggregates import AGGREGATES, added_aggregate
from ml_assets.spec.contract import Source
from ml_assets.spec.declared_tables import DeclaredTables, declared_tables, types_of
from ml_assets.spec.duration import format_duration
from ml_assets.spec.features import WHOLE_NUMBERS, Aggregate, FeatureView, RowExpression
from ml_assets.spec.names import listed
from ml_assets.spec.null_reasons import Reasons, null_reasons
from ml_assets.spec.sql_binding import Bench
from ml_assets.spec.sql_lineage import columns_of, expression_tree, items_over_rows
from ml_assets.spec.use_case import UseCaseSpec

NEVER = "never null"
_BY_TYPE = {"VARCHAR": "category", "BOOLEAN": "true or false"}
_OF_CONDITION = {"mean": "share", "sum": "count", "min": "true or false", "max": "true or false",
                 "last": "true or false"}  # fmt: skip
_BY_FUNCTION = {"count": "count", "distinct": "count", "share": "share", "hours_since_last": "h"}


@dataclass(frozen=True)
class FeatureEntry:
    """One feature: what it is, of what, over which time, in which unit, what null means, and who answers for it.

    `unit` and `null_means` are empty where nobody said and it cannot be derived.
    """

    feature: str
    description: str
    value: str
    over: str
    source: str
    unit: str
    null_means: str
    owner: str


@dataclass(frozen=True)
class _Known:
    """What was found of a column or feature: when it is null (None: nobody knows), and its unit."""

    nulls: Reasons | None
    unit: str


def catalogue(spec: UseCaseSpec) -> tuple[FeatureEntry, ...]:
    """Describe every feature of a use case, in the order of its columns."""
    with Bench() as bench:
        tables = declared_tables(spec, bench)
        found: dict[str, FeatureEntry] = {}
        for view in spec.features.views:
            found |= {each.feature: each for each in _of_view(spec, view, tables, bench)}
        known = _example_columns(spec, tables) | {name: _as_known(each) for name, each in found.items()}
        types = types_of(bench, "_rows", [each.sql for each in spec.features.expressions])
    of_views = set(found)
    for expression in spec.features.expressions:
        kind = types.get(expression.sql, "")
        found[expression.name] = _of_expression(spec, expression, known, kind, of_views)
    return tuple(found.values())


def _as_known(entry: FeatureEntry) -> _Known:
    nulls = None if not entry.null_means else () if entry.null_means == NEVER else (f"{entry.feature} is null",)
    return _Known(nulls, entry.unit)


def _owner(spec: UseCaseSpec, said: str | None) -> str:
    return said or spec.features.owner or ", ".join(spec.owners)


def _of_view(spec: UseCaseSpec, view: FeatureView, tables: DeclaredTables, bench: Bench) -> list[FeatureEntry]:
    row = _row_of(spec.source(view.source), view, tables, bench)
    source = view.source + (f" by {', '.join(view.entity)}" if view.entity else "")
    entries: list[tuple[str, str, str, str]] = []  # value, over, unit, null meaning
    if view.latest and view.within:
        entries = _nearest_forecast(view, row)
    elif view.latest:
        entries = _latest(view, row)
    else:
        aggregates = view.parsed_aggregates()
        types = types_of(bench, "_row", [each.expression for each in aggregates if not each.counts_rows])
        for window in view.spans:
            over = format_duration(window) + (" ahead" if view.ahead else "")
            for aggregate in aggregates:
                unit = view.units.get(aggregate.name) or _unit(aggregate, types.get(aggregate.expression, ""), row)
                means = _null_of_window(view, aggregate, over, row)
                entries.append((view.aggregates[aggregate.name], over, unit, means))
    owner = _owner(spec, view.owner)
    return [
        FeatureEntry(name, view.description, value, over, source, unit, means, owner)
        for name, (value, over, unit, means) in zip(view.feature_names(), entries, strict=True)
    ]


def _row_of(source: Source, view: FeatureView, tables: DeclaredTables, bench: Bench) -> dict[str, _Known]:
    """Say what is known of the columns of a source and of those a view derives; leave them laid as `_row`."""
    row = {
        name: _Known(() if source.is_required(name) else (f"{name} is null",), column.unit or _BY_TYPE.get(
            tables.sources[source.name].get(name) or "", ""))
        for name, column in source.columns.items()
    }  # fmt: skip
    row |= {time: _Known((), "") for time in ("event_at", "known_at", "claimed_known_at")}
    columns = {**tables.sources[source.name], "batch_date": tables.rows["batch_date"]}
    for name, text in view.derive.items():
        bench.lay("_row", columns)
        kind = types_of(bench, "_row", [text]).get(text)
        columns[name] = kind
        row[name] = _Known(_nulls(text, row), _unit_of(text, kind or "", row))
    bench.lay("_row", columns)
    return row


def _nulls(text: str, row: Mapping[str, _Known]) -> Reasons | None:
    return null_reasons(expression_tree(text), _nulls_in(row))


def _nulls_in(row: Mapping[str, _Known]) -> Callable[[str], Reasons | None]:
    return lambda name: row[name].nulls if name in row else None


def _unit_of(text: str, kind: str, row: Mapping[str, _Known]) -> str:
    """Derive the unit of an expression: of a bare column its own, of a sum or difference of one unit that unit."""
    if text.strip().lower() in row:
        return row[text.strip().lower()].unit
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    tree = expression_tree(text)
    if tree.get("function_name") in ("+", "-") and len(tree["arguments"]) == 2:
        sides = [part["expression"] for part in tree["arguments"]]
        if all(side.get("class") == "COLUMN_REF" for side in sides):
            units = {row[name].unit for side in sides if (name := side["column_names"][-1].lower()) in row}
            return units.pop() if len(units) == 1 else ""
    return ""


def _unit(aggregate: Aggregate, kind: str, row: Mapping[str, _Known]) -> str:
    if aggregate.function in _BY_FUNCTION:
        return _BY_FUNCTION[aggregate.function]
    if aggregate.function not in AGGREGATES and (unit := added_aggregate(aggregate.function).unit) is not None:
        return unit
    if kind == "BOOLEAN":
        return _OF_CONDITION.get(aggregate.function, "")
    return _unit_of(aggregate.expression, kind, row)


def _null_of_window(view: FeatureView, aggregate: Aggregate, over: str, row: Mapping[str, _Known]) -> str:
    if aggregate.function in WHOLE_NUMBERS:
        return NEVER
    if view.null_means:
        return view.null_means
    least = "fewer than two facts" if aggregate.function == "std" else "no fact"
    needs_value = not aggregate.counts_rows and _nulls(aggregate.expression, row) != ()
    with_value = " with a value" if needs_value else ""
    if view.ahead:
        none = f"{least.replace('fact', 'forecast')}{_of_entity(view)} for the {over.removesuffix(' ahead')} after"
        return f"{none} {_moment_asked(view)}{_young(view)}{with_value}"
    return f"{least}{_of_entity(view)} in the {over} before{with_value}"


def _moment_asked(view: FeatureView) -> str:
    return view.moment or "prediction_at"


def _young(view: FeatureView) -> str:
    return f", issued less than {format_duration(view.max_age)} before" if view.max_age else ""


def _nearest_forecast(view: FeatureView, row: Mapping[str, _Known]) -> list[tuple[str, str, str, str]]:
    found: list[tuple[str, str, str, str]] = []
    within = format_duration(view.within) if view.within else ""
    for step in view.steps:
        moment = f"{format_duration(step)} ahead of {_moment_asked(view)}" if step else _moment_asked(view)
        at = moment if step else f"at {moment}"
        none = view.null_means or f"no forecast{_of_entity(view)} for the {within} up to {moment}{_young(view)}"
        for column in view.latest:
            may_lack = "" if row[column].nulls == () or view.null_means else f", or one without {column}"
            unit = view.units.get(column) or row[column].unit
            found.append((f"forecast {column} {at}", "", unit, none + may_lack))
        if view.with_age:
            found.append((f"hours since the forecast {at} was issued", "", "h", none))
        if view.with_lead:
            found.append((f"hours from issue to the moment of the forecast {at}", "", "h", none))
    return found


def _of_entity(view: FeatureView) -> str:
    """Say whose facts count, and which of them."""
    entity = f" of its {listed(view.entity).replace(', ', ' and ')}" if view.entity else ""
    return entity + (f" where {view.where}" if view.where else "")


def _latest(view: FeatureView, row: Mapping[str, _Known]) -> list[tuple[str, str, str, str]]:
    over = format_duration(view.max_age) if view.max_age else "any age"
    younger = f" younger than {over}" if view.max_age else " so far"
    none = f"no fact{_of_entity(view)}{younger}"
    found: list[tuple[str, str, str, str]] = []
    for column in view.latest:
        may_lack = "" if row[column].nulls == () else f", or one without {column}"
        unit = view.units.get(column) or row[column].unit
        found.append((f"latest {column}", over, unit, view.null_means or none + may_lack))
    if view.with_age:
        found.append(("hours since the latest", "", "h", view.null_means or none))
    return found


def _example_columns(spec: UseCaseSpec, tables: DeclaredTables) -> dict[str, _Known]:
    """Say what is known of the columns of the examples: what their SELECT says, where it is of one source."""
    items = items_over_rows(spec.examples.sql)
    source = spec.source(spec.examples.sources[0]) if len(spec.examples.sources) == 1 else None
    row: dict[str, _Known] = {}
    for name, column in source.columns.items() if source else ():
        nulls = () if source and source.is_required(name) else (f"{name} of {source.name if source else ''} is null",)
        row[name] = _Known(nulls, column.unit or "")
    found: dict[str, _Known] = {}
    for name, kind in tables.examples.types.items():
        item = items.get(name.lower(), {})
        is_bare = item.get("class") == "COLUMN_REF"
        unit = row[item["column_names"][-1].lower()].unit if is_bare and item["column_names"][-1].lower() in row else ""
        if item.get("function_name") == "count":
            unit = "count"
        found[name.lower()] = _Known(
            null_reasons(item, _nulls_in(row)) if item else None, unit or _BY_TYPE.get(kind, "")
        )
    return found | {name: _Known((), "") for name in ("example_id", "prediction_at", "batch_date")}


def _of_expression(
    spec: UseCaseSpec, expression: RowExpression, known: Mapping[str, _Known], kind: str, of_views: set[str]
) -> FeatureEntry:
    nulls = _nulls(expression.sql, known)
    derived = "" if nulls is None else _joined(nulls) or NEVER
    read = columns_of(expression.sql, of_views)
    return FeatureEntry(
        feature=expression.name,
        description=expression.description,
        value=expression.sql,
        over="",
        source="the example and views" if read else "the example",
        unit=expression.unit or _unit_of(expression.sql, kind, known),
        null_means=expression.null_means or derived,
        owner=_owner(spec, expression.owner),
    )


def _joined(reasons: Sequence[str]) -> str:
    return ", or ".join(reasons)
