"""Which SQL a declaration or a person may write: one SELECT over named tables, or one row expression."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any, cast

_SPREADING = {"WINDOW": "a window function", "SUBQUERY": "a subquery", "STAR": "*"}
_MAKING_ROWS = {"generate_series", "range", "unnest"}
_CLOCKS = {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}


class UserSqlError(ValueError):
    """SQL that is not allowed, with what was found and what is."""


def check_select(text: str, tables: Collection[str] | None = None) -> tuple[str, ...]:
    """Check that `text` is one SELECT that reads only `tables`, and name the tables it reads.

    Names are `table` or `schema.table`, in lower case. With no `tables` given, any name passes.

    Raises
    ------
    UserSqlError
        If the text does not parse, is not exactly one SELECT, or reads another table, by its name or
        through a function that finds tables.
    """
    tree = _parse(text)
    read = tuple(sorted(set(_tables_of(tree))))
    if tables is not None:
        unknown = [name for name in read if name not in tables]
        unknown += [f"{name}()" for name in _table_functions(tree) if name not in _MAKING_ROWS]
        if unknown:
            raise UserSqlError(f"reads {', '.join(unknown)}; allowed: {', '.join(sorted(tables))}")
    return read


def check_repeatable(text: str) -> None:
    """Check that one SELECT gives the same rows from the same tables, whenever it runs.

    Raises
    ------
    UserSqlError
        If it does not parse, or asks a clock or for chance.
    """
    _refuse_clock_and_chance(_parse(text), text)


@cache
def check_expression(text: str) -> None:
    """Check that `text` is one expression over the columns of one row.

    Raises
    ------
    UserSqlError
        If it does not parse alone, or holds a window function, a subquery or a star: those would
        let a value depend on which other rows are computed with it. Likewise a clock or chance.
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
            raise UserSqlError(
                f"found {_SPREADING[kind]} in {text!r}; allowed: an expression over the columns of one row"
            )
    _refuse_clock_and_chance(tree, text)


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
        yield cast("dict[str, Any]", node)
    for _, child in _children(node):
        yield from _walk(child)


def _children(node: Any) -> list[tuple[str, Any]]:
    if isinstance(node, dict):
        return list(cast("dict[str, Any]", node).items())
    return [("", child) for child in cast("list[Any]", node)] if isinstance(node, list) else []


def _tables_of(node: Any, hidden: frozenset[str] = frozenset()) -> Iterator[str]:
    """Name the tables read; one named WITH hides a table of its name, though not from its own SELECT."""
    part: dict[str, Any] = cast("dict[str, Any]", node) if isinstance(node, dict) else {}
    if part.get("type") == "BASE_TABLE":
        name, schema = part["table_name"].lower(), part.get("schema_name", "").lower()
        if schema or name not in hidden:
            yield f"{schema}.{name}" if schema else name
    entries: list[dict[str, Any]] = part["cte_map"]["map"] if part.get("cte_map") else []
    for entry in entries:
        yield from _tables_of(entry["value"], hidden)
        hidden |= {entry["key"].lower()}
    for name, child in _children(node):
        if name == "cte_map":
            continue
        is_recursion = part.get("type") == "RECURSIVE_CTE_NODE" and name == "right"
        yield from _tables_of(child, hidden | {part["cte_name"].lower()} if is_recursion else hidden)


def _table_functions(tree: dict[str, Any]) -> list[str]:
    calls = (node["function"]["function_name"] for node in _walk(tree) if node.get("type") == "TABLE_FUNCTION")
    return sorted({name.lower() for name in calls})


def _refuse_clock_and_chance(tree: dict[str, Any], text: str) -> None:
    asked = {str(node["function_name"]).lower() for node in _walk(tree) if node.get("class") == "FUNCTION"}
    names = (node["column_names"] for node in _walk(tree) if node.get("class") == "COLUMN_REF")
    found = sorted((asked & _unsteady_functions()) | ({name[0].lower() for name in names if len(name) == 1} & _CLOCKS))
    if found:
        raise UserSqlError(f"found {', '.join(found)} in {text!r}; allowed: what gives the same value whenever it runs")


@cache
def _unsteady_functions() -> frozenset[str]:
    import duckdb

    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT' AND function_type = 'scalar'"
        ).fetchall()
    return frozenset(row[0] for row in found)
