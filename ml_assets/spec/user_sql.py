"""Which SQL a declaration or a person may write: one SELECT over named tables, or one row expression."""

from __future__ import annotations

import atexit
import json
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from ml_assets.spec.names import did_you_mean

if TYPE_CHECKING:
    import duckdb

_QUOTED = 120
_SPREADING = {"WINDOW": "a window function", "SUBQUERY": "a subquery", "STAR": "*"}
_MAKING_ROWS = {"generate_series", "range", "unnest"}
_UNNESTING = {"unnest", "unlist"}
_CLOCKS = {
    "current_date",
    "current_time",
    "current_timestamp",
    "current_localtime",
    "current_localtimestamp",
    "localtime",
    "localtimestamp",
}


# aggregates whose value hangs on the order in which rows are read, unless they say ORDER BY themselves
_ORDERED_AGGREGATES = {
    "any_value", "arbitrary", "array_agg", "first", "group_concat", "last", "list", "listagg", "mode", "string_agg",
}  # fmt: skip
_APPROXIMATE = {"approx_count_distinct", "approx_quantile", "approx_top_k", "reservoir_quantile"}
# windows that give each row of equal rank another value
_ORDERED_WINDOWS = {
    "WINDOW_ROW_NUMBER", "WINDOW_NTILE", "WINDOW_LEAD", "WINDOW_LAG", "WINDOW_FIRST_VALUE", "WINDOW_LAST_VALUE",
    "WINDOW_NTH_VALUE",
}  # fmt: skip


class UserSqlError(ValueError):
    """SQL that is not allowed, with what was found and what is, and the line of the text where it stands."""

    def __init__(self, message: str, line: int = 1) -> None:
        self.line = line
        super().__init__(message)


def check_select(text: str, tables: Collection[str] | None = None) -> tuple[str, ...]:
    """Check that `text` is one SELECT that reads only `tables`, and name the tables it reads.

    Names are `table` or `schema.table`, in lower case. With no `tables` given, any name passes.

    Raises
    ------
    UserSqlError
        If the text does not parse, is not exactly one SELECT, or reads another table, by its name or
        through a function that finds tables.
    """
    tree = parse_select(text)
    read = tuple(sorted(set(_tables_of(tree))))
    if tables is not None:
        unknown = [name for name in read if name not in tables]
        unknown += [f"{name}()" for name in _table_functions(tree) if name not in _MAKING_ROWS]
        if unknown:
            nearest = did_you_mean(unknown[0], tables)
            line = line_of_word(unknown[0].rpartition(".")[2].removesuffix("()"), text)
            raise UserSqlError(f"reads {', '.join(unknown)}; allowed: {', '.join(sorted(tables))}{nearest}", line)
    return read


@cache
def check_repeatable(text: str) -> None:
    """Check that one SELECT gives the same rows from the same tables, whenever it runs.

    Raises
    ------
    UserSqlError
        If it does not parse, asks a clock or for chance, takes a sample, or has a LIMIT that no
        ORDER BY of the same SELECT settles.
    """
    for error in find_unrepeatable(text):
        raise error


def find_unrepeatable(text: str) -> Iterator[UserSqlError]:
    """Find everything in one SELECT that may give other rows the next time.

    Raises
    ------
    UserSqlError
        If it does not parse.
    """
    tree = parse_select(text)
    unsteady = _clock_and_chance(tree, text)
    if unsteady is not None:
        yield unsteady
    for node in walk(tree):
        modifiers = {modifier["type"] for _, modifier in children_of(node.get("modifiers"))}
        if modifiers & {"LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER"} and "ORDER_MODIFIER" not in modifiers:
            found = f"found LIMIT without ORDER BY in {_quoted(text)}; allowed: LIMIT beside an ORDER BY"
            yield UserSqlError(found, line_of_word("limit", text))
        by_chance = _order_dependent(node, modifiers)
        if by_chance is not None:
            word, allowed = by_chance
            yield UserSqlError(
                f"found {word} in {_quoted(text)}, whose value hangs on the order in which rows are "
                f"read; allowed: {allowed}",
                line_of_word(word.partition("(")[0].split()[0], text),
            )


def _order_dependent(node: Mapping[str, Any], modifiers: Collection[str]) -> tuple[str, str] | None:
    """Return what of a node gives other values when rows come in another order, and what is allowed instead."""
    name = str(node.get("function_name") or "").lower()
    if node.get("class") == "FUNCTION" and name in _APPROXIMATE:
        return f"{name}()", "an exact aggregate, such as count(DISTINCT x) or quantile_cont(x, 0.5)"
    if node.get("class") == "FUNCTION" and name in _ORDERED_AGGREGATES and not node["order_bys"]["orders"]:
        return f"{name}()", f"{name}(x ORDER BY y), with a y that no two rows share, or min(x)"
    if node.get("class") == "WINDOW" and node.get("type") in _ORDERED_WINDOWS and not node["orders"]:
        return f"{name}()", f"{name}(...) OVER (... ORDER BY y), with a y that no two rows share"
    if "DISTINCT_MODIFIER" in modifiers and "ORDER_MODIFIER" not in modifiers:
        distinct = next(each for _, each in children_of(node["modifiers"]) if each["type"] == "DISTINCT_MODIFIER")
        if distinct.get("distinct_on_targets"):
            return "DISTINCT ON", "DISTINCT ON beside an ORDER BY"
    return None


@cache
def check_expression(text: str) -> None:
    """Check that `text` is one expression over the columns of one row.

    Raises
    ------
    UserSqlError
        If it does not parse alone, or holds an aggregate or window function, a subquery, a star,
        `unnest` or `rowid`: those would let a value depend on which other rows are computed with
        it. Likewise a clock or chance.
    """
    tree = parse_select(f"SELECT ({text}\n) AS value")
    node = tree["statements"][0]["node"]
    is_lone = (
        node.get("type") == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and node["from_table"]["type"] == "EMPTY"
        and node.get("where_clause") is None
        and not node.get("modifiers")
        and node["select_list"][0].get("alias") == "value"
        and str(node["select_list"][0].get("function_name")).lower() != "row"  # what (a, b) parses to
    )
    if not is_lone:
        raise UserSqlError(f"found {_quoted(text)}; allowed: one expression over the columns of a row")
    for part in walk(node["select_list"]):
        found = _beyond_row(part)
        if found:
            raise UserSqlError(f"found {found} in {_quoted(text)}; allowed: an expression over the columns of one row")
    unsteady = _clock_and_chance(tree, text)
    if unsteady is not None:
        raise unsteady


@cache
def _scratch() -> duckdb.DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(config={"threads": 1, "memory_limit": "1GB"})
    connection.execute("SET temp_directory = ''; SET python_enable_replacements = false")
    connection.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
    connection.execute("SET enable_external_access = false; SET lock_configuration = true")
    atexit.register(_scratch.cache_clear)  # held until the interpreter is gone, DuckDB's bindings call it a leak
    return connection


def scratch_cursor() -> duckdb.DuckDBPyConnection:
    """Open a connection of its own to one empty database in memory, which reaches no file and cannot be unlocked.

    Opening a database takes some 20 ms, a cursor on one none: SQL is looked at hundreds of times.
    """
    return _scratch().cursor()


def said_by_duckdb(error: Exception) -> tuple[str, int]:
    r"""Give an error of DuckDB in one line, without its kind and candidates, and the line of the SQL it is about.

    Examples
    --------
    >>> said_by_duckdb(ValueError('Parser Error: syntax error at or near "from"\n\nLINE 2: a from\n  ^'))
    ('syntax error at or near "from"', 2)
    """
    text = str(error)
    line = re.search(r"^LINE (\d+):", text, re.MULTILINE)
    first = text.partition("\n")[0].strip()
    return re.sub(r"^\w+(?: \w+)? Error: ", "", first), int(line[1]) if line else 1


def parse_select(text: str) -> dict[str, Any]:
    """Give the tree that DuckDB makes of one SELECT.

    Raises
    ------
    UserSqlError
        If the text does not parse, or is not exactly one SELECT.
    """
    import duckdb

    with scratch_cursor() as connection:
        try:
            statements = connection.extract_statements(text)
        except duckdb.Error as error:
            said, line = said_by_duckdb(error)
            raise UserSqlError(f"does not parse: {said}; allowed: DuckDB's SQL", line) from error
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
            raise UserSqlError(f"found {kinds}; allowed: one SELECT")
        found = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [statements[0].query]).fetchall()[0][0]
    tree = json.loads(found)
    if tree.get("error"):
        raise UserSqlError(f"{tree.get('error_message', 'is not a SELECT')}; allowed: one SELECT")
    return tree


def line_of_word(word: str, text: str) -> int:
    r"""Give the line in which a name first stands as a word of its own, outside comments.

    Examples
    --------
    >>> line_of_word("weather", "SELECT * -- of weather\nFROM weather")
    2
    """
    code = re.sub(r"--[^\n]*", "", text)
    place = re.search(rf"\b{re.escape(word)}\b", code, re.IGNORECASE)
    return code.count("\n", 0, place.start()) + 1 if place else 1


def _quoted(text: str) -> str:
    """Quote SQL in a message: a long one by its beginning."""
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= _QUOTED else flat[:_QUOTED] + "…")


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Go through a tree: every mapping in it, parents first."""
    if isinstance(node, dict):
        yield cast("dict[str, Any]", node)
    for _, child in children_of(node):
        yield from walk(child)


def children_of(node: Any) -> list[tuple[str, Any]]:
    """Give the parts of a node of a tree, each with its name; those of a list have none."""
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
    for name, child in children_of(node):
        if name == "cte_map":
            continue
        is_recursion = part.get("type") == "RECURSIVE_CTE_NODE" and name == "right"
        yield from _tables_of(child, hidden | {part["cte_name"].lower()} if is_recursion else hidden)


def _table_functions(tree: dict[str, Any]) -> list[str]:
    calls = (node["function"]["function_name"] for node in walk(tree) if node.get("type") == "TABLE_FUNCTION")
    return sorted({name.lower() for name in calls})


def _beyond_row(part: dict[str, Any]) -> str | None:
    kind = part.get("class")
    if kind == "FUNCTION":
        name = str(part["function_name"]).lower()
        return name if name in _gathering_functions() else None
    if kind == "COLUMN_REF":
        return "rowid" if part["column_names"][-1].lower() == "rowid" else None
    return _SPREADING.get(str(kind))


def _clock_and_chance(tree: dict[str, Any], text: str) -> UserSqlError | None:
    found = sorted(_calls(tree) & _unsteady_functions())
    if any(node.get("sample") for node in walk(tree)):
        found.append("a sample")
    if not found:
        return None
    line = line_of_word(found[0].removesuffix("()").removeprefix("a "), text)
    allowed = "what gives the same value whenever it runs"
    return UserSqlError(f"found {', '.join(found)} in {_quoted(text)}; allowed: {allowed}", line)


def _calls(tree: Any) -> set[str]:
    """Name the functions called, those written without parentheses too; `age(x)`, unlike `age(x, y)`, is `age`."""
    names: set[str] = set()
    for node in walk(tree):
        if node.get("class") == "FUNCTION":
            name = str(node["function_name"]).lower()
            names.add("age()" if name == "age" and len(node["arguments"]) > 1 else name)
        elif node.get("class") == "COLUMN_REF" and len(node["column_names"]) == 1:
            names |= {node["column_names"][0].lower()} & _CLOCKS
    return names


@cache
def _unsteady_functions() -> frozenset[str]:
    unsteady = (
        name for name, kind, stability in _functions() if kind == "scalar" and stability not in (None, "CONSISTENT")
    )
    return _with_macros(frozenset(unsteady) | _CLOCKS | {"age"})


@cache
def _gathering_functions() -> frozenset[str]:
    """Name what makes one value of many rows, or many rows of one value."""
    kinds = {kind: {name for name, its, _ in _functions() if its == kind} for kind in ("aggregate", "scalar")}
    return _with_macros(frozenset(kinds["aggregate"] - kinds["scalar"]) | _UNNESTING)


def _with_macros(names: frozenset[str]) -> frozenset[str]:
    """Add the macros that call one of `names`, directly or through another macro."""
    found = names
    while True:
        grown = found | {macro for macro, calls in _macros() if calls & found}
        if grown == found:
            return found
        found = grown


@cache
def _catalogue() -> tuple[tuple[str, str, str | None, str | None], ...]:
    """Give name, type and stability of every function, and the tree of each macro; asking takes 40 ms."""
    with scratch_cursor() as connection:
        query = (
            "SELECT DISTINCT function_name, function_type, stability, CASE WHEN function_type = 'macro' "
            "THEN json_serialize_sql('SELECT ' || macro_definition) END FROM duckdb_functions()"
        )
        return tuple(connection.execute(query).fetchall())


def _functions() -> Iterator[tuple[str, str, str | None]]:
    yield from ((name, kind, stability) for name, kind, stability, _ in _catalogue())


@cache
def _macros() -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((name, frozenset(_calls(json.loads(tree)))) for name, _, _, tree in _catalogue() if tree is not None)
