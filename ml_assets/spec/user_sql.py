"""Which SQL a declaration or a person may write: one SELECT over named tables, or one row expression."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

_SPREADING = {"WINDOW": "a window function", "SUBQUERY": "a subquery", "STAR": "*"}


class UserSqlError(ValueError):
    """SQL that is not allowed, with what was found and what is."""


def check_select(text: str, tables: Collection[str] | None = None) -> tuple[str, ...]:
    """Check that `text` is one SELECT that reads only `tables`, and name the tables it reads.

    Names are `table` or `schema.table`. With no `tables` given, any name passes.

    Raises
    ------
    UserSqlError
        If the text does not parse, is not exactly one SELECT, or reads another table.
    """
    read = tuple(sorted(_tables_of(_parse(text))))
    if tables is not None:
        unknown = [name for name in read if name not in tables]
        if unknown:
            raise UserSqlError(f"reads {', '.join(unknown)}; allowed: {', '.join(sorted(tables))}")
    return read


@cache
def check_expression(text: str) -> None:
    """Check that `text` is one expression over the columns of one row.

    Raises
    ------
    UserSqlError
        If it does not parse alone, or holds a window function, a subquery or a star: those would
        let a value depend on which other rows are computed with it.
    """
    tree = _parse(f"SELECT ({text}\n) AS value")
    node = tree["statements"][0]["node"]
    is_lone = (
        node.get("type") == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and node["from_table"]["type"] == "EMPTY"
        and node.get("where_clause") is None
        and not node.get("modifiers")
        and node["select_list"][0].get("alias") == "value"
    )
    if not is_lone:
        raise UserSqlError(f"found {text!r}; allowed: one expression over the columns of a row")
    for part in _walk(node["select_list"]):
        kind = part.get("class")
        if kind in _SPREADING:
            raise UserSqlError(f"found {_SPREADING[kind]} in {text!r}; allowed: an expression over the columns of one row")


def _parse(text: str) -> dict[str, Any]:
    import duckdb

    with duckdb.connect() as connection:
        try:
            statements = connection.extract_statements(text)
        except duckdb.Error as error:
            raise UserSqlError(f"does not parse: {error}") from error
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
            raise UserSqlError(f"found {kinds}; allowed: one SELECT")
        found = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [statements[0].query]).fetchall()[0][0]
    tree = json.loads(found)
    if tree.get("error"):
        raise UserSqlError(f"{tree.get('error_message', 'is not a SELECT')}; allowed: one SELECT")
    return tree


def _walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from _walk(child)
    elif isinstance(node, list):
        for child in node:
            yield from _walk(child)


def _tables_of(tree: dict[str, Any]) -> set[str]:
    named_inside = {
        entry["key"] for node in _walk(tree) for entry in (node.get("cte_map") or {}).get("map", []) if "key" in entry
    }
    read = set()
    for node in _walk(tree):
        if node.get("type") == "BASE_TABLE":
            name = f"{node['schema_name']}.{node['table_name']}" if node.get("schema_name") else node["table_name"]
            if name not in named_inside:
                read.add(name)
    return read
