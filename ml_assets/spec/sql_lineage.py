"""From which columns a column of SQL is made, read from the tree that DuckDB itself makes of the text.

What decides a value counts: what it is computed of, what a window is partitioned and ordered by. What only decides
which rows there are, a WHERE or the condition of a join, does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any, cast

from ml_assets.spec.raw_yaml import list_of, mapping_of, names_in
from ml_assets.spec.user_sql import children_of, parse_select, walk

Origin = tuple[str, str]  # table, column
Origins = frozenset[Origin]
Shape = list[tuple[str, Origins]]
_NOTHING: Origins = frozenset()


class _UnreadableError(Exception):
    """The tree holds what is not followed column by column."""


@dataclass
class _Relation:
    """What one part of FROM gives; of a function or of VALUES every column is made of `whole`."""

    name: str
    shape: Shape
    whole: Origins | None = None

    def find(self, column: str) -> Origins | None:
        """Give the origins of a column, or None where it has none of that name."""
        found = [origins for name, origins in self.shape if name == column]
        return frozenset[Origin]().union(*found) if found else self.whole


@dataclass
class _Scope:
    """What names stand for in one SELECT: its relations, then those of the SELECT around it."""

    relations: list[_Relation]
    named_queries: Mapping[str, Shape]
    outer: _Scope | None = None
    aliases: dict[str, Origins] = field(default_factory=dict[str, Origins])

    def find(self, parts: Sequence[str]) -> Origins:
        """Give the origins of `column`, `relation.column`, or one of these with a field behind it."""
        for relation, column in pairwise(parts):
            qualified = self.find_qualified(relation, column)
            if qualified is not None:
                return qualified
        found = [origins for each in self.relations if (origins := each.find(parts[0])) is not None]
        if found:
            return _NOTHING.union(*found)
        if parts[0] in self.aliases:
            return self.aliases[parts[0]]
        return self.outer.find(parts) if self.outer else _NOTHING

    def find_qualified(self, relation: str, column: str) -> Origins | None:
        """Give the origins of a column of the nearest relation of that name, or None."""
        for each in self.relations:
            if each.name == relation and (origins := each.find(column)) is not None:
                return origins
        return self.outer.find_qualified(relation, column) if self.outer else None


def select_lineage(
    text: str, tables: Mapping[str, Iterable[str]], names: Sequence[str] | None = None
) -> dict[str, Origins]:
    """Give the columns of `tables` from which each column of a SELECT is made.

    Parameters
    ----------
    text
        One SELECT that binds.
    tables
        The columns of each table it may read.
    names
        The columns that it gives, as DuckDB names them; needed where some have no alias.

    Returns
    -------
    lineage
        Where the text holds what is not followed (a recursive query, COLUMNS(...)), every column is given all columns
        that the text names, with a star all there are: more than it is made of, never less.

    Examples
    --------
    >>> found = select_lineage("SELECT a + b AS s, 1 AS one FROM t WHERE c", {"t": ["a", "b", "c"]})
    >>> sorted(found["s"]), sorted(found["one"])
    ([('t', 'a'), ('t', 'b')], [])
    """
    tree = parse_select(text)
    known: dict[str, Shape] = {
        table.lower(): [(column.lower(), frozenset({(table, column)})) for column in columns]
        for table, columns in tables.items()
    }
    try:
        shape = _query(tree["statements"][0]["node"], known, None)
    except _UnreadableError:
        shape = None
    if shape is not None and (names is None or len(names) == len(shape)):
        given = names or [name for name, _ in shape]
        return {name: origins for name, (_, origins) in zip(given, shape, strict=True)}
    named = {part for node in walk(tree) if _is_column(node) for part in _parts(node)}
    has_star = any(node.get("class") == "STAR" for node in walk(tree))
    columns = [column for each in known.values() for column in each]
    every = _NOTHING.union(*(origins for name, origins in columns if has_star or name in named))
    return dict.fromkeys(names or [name for name, _ in shape or []], every)


@cache
def expression_tree(text: str) -> dict[str, Any]:
    """Give the tree of one expression."""
    return parse_select(f"SELECT ({text}\n) AS value")["statements"][0]["node"]["select_list"][0]


def items_over_rows(text: str) -> dict[str, dict[str, Any]]:
    """Give the tree of each named column of a SELECT from one table; none where more than one row makes a row.

    Examples
    --------
    >>> sorted(items_over_rows("SELECT a, b + 1 AS c FROM t")), items_over_rows("SELECT a FROM t LEFT JOIN u USING (a)")
    (['a', 'c'], {})
    """
    node = parse_select(text)["statements"][0]["node"]
    if node["type"] != "SELECT_NODE" or node["from_table"]["type"] != "BASE_TABLE" or node.get("group_expressions"):
        return {}
    items = [item for item in node["select_list"] if item.get("alias") or _is_column(item)]
    return {str(item.get("alias") or _parts(item)[-1]).lower(): item for item in items}


def columns_of(text: str, known: Iterable[str]) -> tuple[str, ...]:
    """Name the `known` columns that one expression over a row reads, in the order in which they are known.

    Examples
    --------
    >>> columns_of("delay_min >= 15 AND status = 'done'", ["status", "carrier", "delay_min"])
    ('status', 'delay_min')
    """
    names = list(known)
    row = _Relation("", [(name.lower(), frozenset({("", name)})) for name in names])
    read = _expression(expression_tree(text), _Scope([row], {}))
    return tuple(name for name in names if ("", name) in read)


def _query(node: dict[str, Any], known: Mapping[str, Shape], outer: _Scope | None) -> Shape:
    """Follow a query: its columns in order, each with its origins."""
    inner = dict(known)
    for entry in list_of(mapping_of(node.get("cte_map")).get("map")):
        shape = _query(_inner(entry["value"].get("query_node") or entry["value"]["query"]), inner, outer)
        inner[entry["key"].lower()] = _renamed(shape, entry["value"].get("aliases"))
    if node["type"] == "SET_OPERATION_NODE":
        parts = [_query(part, inner, outer) for part in list_of(node.get("children")) or [node["left"], node["right"]]]
        return _stacked(parts, by_name=str(node["setop_type"]).endswith("BY_NAME"))
    if node["type"] != "SELECT_NODE":
        raise _UnreadableError
    return _select(node, _Scope(_relations(node["from_table"], inner, outer), inner, outer))


def _inner(node: dict[str, Any]) -> dict[str, Any]:
    return node.get("node", node)


def _stacked(parts: Sequence[Shape], *, by_name: bool) -> Shape:
    """Lay the columns of queries on each other."""
    if by_name:
        names = dict.fromkeys(name for part in parts for name, _ in part)
        return [(each, _NOTHING.union(*(o for part in parts for name, o in part if name == each))) for each in names]
    return [(rows[0][0], _NOTHING.union(*(origins for _, origins in rows))) for rows in zip(*parts, strict=True)]


def _select(node: dict[str, Any], scope: _Scope) -> Shape:
    shape: Shape = []
    for item in node["select_list"]:
        if item["class"] == "STAR":
            shape += _star(item, scope, _joined_by_name(node["from_table"]))
            continue
        origins = _expression(item, scope)
        name = item.get("alias") or (_parts(item)[-1] if _is_column(item) else "")
        shape.append((name.lower(), origins))
        if item.get("alias"):
            scope.aliases.setdefault(name.lower(), origins)
    return shape


def _star(item: dict[str, Any], scope: _Scope, shared: frozenset[str]) -> Shape:
    """Spread a star; a column that a join is USING comes once."""
    if item.get("columns") or item.get("expr") or item.get("rename_list") or item.get("qualified_exclude_list"):
        raise _UnreadableError
    wanted = str(item.get("relation_name") or "").lower()
    left_out = {str(name).lower() for name in list_of(item.get("exclude_list"))}
    replaced = {str(each["key"]).lower(): each["value"] for each in list_of(item.get("replace_list"))}
    shape: Shape = []
    for relation in scope.relations:
        if wanted and relation.name != wanted:
            continue
        if relation.whole is not None:
            raise _UnreadableError
        for name, origins in relation.shape:
            if name in left_out or (name in shared and any(name == each for each, _ in shape)):
                continue
            shape.append((name, _expression(replaced[name], scope) if name in replaced else origins))
    return shape


def _joined_by_name(node: dict[str, Any]) -> frozenset[str]:
    if any(each.get("ref_type") == "NATURAL" for each in walk(node)):
        raise _UnreadableError
    return frozenset(str(name).lower() for each in walk(node) for name in list_of(each.get("using_columns")))


def _relations(node: dict[str, Any], known: Mapping[str, Shape], outer: _Scope | None) -> list[_Relation]:
    kind, alias = node["type"], str(node.get("alias") or "").lower()
    if kind == "EMPTY":
        return []
    if kind == "JOIN":
        left = _relations(node["left"], known, outer)
        return [*left, *_relations(node["right"], known, _Scope(left, known, outer))]
    if kind == "BASE_TABLE":
        table = str(node["table_name"]).lower()
        if table not in known:
            raise _UnreadableError
        return [_Relation(alias or table, _renamed(known[table], node.get("column_name_alias")))]
    if kind == "SUBQUERY":
        return [
            _Relation(alias, _renamed(_query(_inner(node["subquery"]), known, outer), node.get("column_name_alias")))
        ]
    if kind in ("TABLE_FUNCTION", "EXPRESSION_LIST"):
        made_of = node.get("function") or node.get("values")
        whole = _expression(made_of, _Scope([], known, outer))
        named: Shape = [(str(name).lower(), whole) for name in list_of(node.get("column_name_alias"))]
        return [_Relation(alias, named, None if named else whole)]
    raise _UnreadableError


def _renamed(shape: Shape, aliases: object) -> Shape:
    given = [alias.lower() for _, alias in names_in(aliases)]
    return [(given[place] if place < len(given) else name, origins) for place, (name, origins) in enumerate(shape)]


def _expression(node: Any, scope: _Scope) -> Origins:
    """Give what an expression is made of; of a subquery also what decides which of its rows count."""
    part: dict[str, Any] = cast("dict[str, Any]", node) if isinstance(node, dict) else {}
    if part.get("class") == "SUBQUERY":
        inner = _inner(part["subquery"])
        made_of = _NOTHING.union(*(origins for _, origins in _query(inner, scope.named_queries, scope)))
        if inner["type"] == "SELECT_NODE" and inner.get("where_clause"):
            within = _Scope(_relations(inner["from_table"], scope.named_queries, scope), scope.named_queries, scope)
            made_of |= _expression(inner["where_clause"], within)
        return made_of | _expression(part.get("child"), scope)
    if _is_column(part):
        return scope.find(_parts(part))
    if part.get("class") == "LAMBDA":
        taken = {_parts(each)[0] for each in walk(part["lhs"]) if _is_column(each)}
        hiding = _Relation("", [(name, _NOTHING) for name in taken])
        return _expression(part["expr"], _Scope([hiding], scope.named_queries, scope))
    return _NOTHING.union(*(_expression(child, scope) for _, child in children_of(node)))


def _is_column(node: Mapping[str, Any]) -> bool:
    return node.get("class") == "COLUMN_REF"


def _parts(node: Mapping[str, Any]) -> list[str]:
    return [str(part).lower() for part in node["column_names"]]
