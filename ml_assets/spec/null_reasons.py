"""When an expression is null: read from its tree, as far as that is certain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ml_assets.spec.raw_yaml import list_of

Reasons = tuple[str, ...]
ReasonsOf = Callable[[str], "Reasons | None"]

# null exactly when an argument is; `/` is not among them: 0 by 0 is no number
_STRICT = frozenset({"+", "-", "*", "abs", "round", "floor", "ceil", "ln", "sqrt", "lower", "upper", "trim", "length",
                     "timezone", "date_part", "datepart", "date_trunc", "date_diff", "datediff", "year", "month", "day",
                     "hour", "minute", "second", "isodow", "dayofweek", "dayofyear", "week", "is_holiday",
                     "days_to_holiday", "days_since_holiday", "~~", "!~~", "~~*", "!~~*"})  # fmt: skip
_FIRST_KNOWN = frozenset({"greatest", "least"})  # null only when every argument is
_STRICT_OPERATORS = frozenset({"OPERATOR_NOT", "COMPARE_IN", "COMPARE_NOT_IN"})
_NEVER_NULL = frozenset({"OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"})
_DISTINCT = frozenset({"COMPARE_DISTINCT_FROM", "COMPARE_NOT_DISTINCT_FROM"})


def null_reasons(tree: dict[str, Any], of_column: ReasonsOf) -> Reasons | None:
    """Say when an expression is null: a reason each, none when never; None where that cannot be told.

    Examples
    --------
    >>> from ml_assets.spec.sql_lineage import expression_tree
    >>> of_column = {"a": ("a is null",), "b": ()}.get
    >>> null_reasons(expression_tree("a + b"), of_column), null_reasons(expression_tree("coalesce(a, b)"), of_column)
    (('a is null',), ())
    >>> null_reasons(expression_tree("nullif(a, 3)"), of_column) is None
    True
    """
    kind, parts = tree.get("class"), _parts(tree)
    if kind == "COLUMN_REF":
        return of_column(str(tree["column_names"][-1]).lower())
    if kind == "CONSTANT":
        return () if tree["literal"]["kind"] != "NULL_LITERAL" else None
    if kind == "WINDOW" and tree["function_name"] == "count":
        return ()
    if tree.get("type") in _NEVER_NULL | _DISTINCT:
        return ()
    found = [null_reasons(part, of_column) for part in parts]
    if _is_first_known(tree):
        return () if () in found else _all_of(found)
    return _any_of(found) if _is_strict(tree) else None


def _parts(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the expressions of which a node is made."""
    arguments = [part["expression"] for part in list_of(tree.get("arguments")) if "expression" in part]
    named = [tree[name] for name in ("left", "right", "child", "input", "lower", "upper") if tree.get(name)]
    return [*arguments, *list_of(tree.get("children")), *named]


def _is_first_known(tree: dict[str, Any]) -> bool:
    return tree.get("type") == "OPERATOR_COALESCE" or str(tree.get("function_name")).lower() in _FIRST_KNOWN


def _is_strict(tree: dict[str, Any]) -> bool:
    kind = tree.get("class")
    if kind == "FUNCTION":
        return str(tree["function_name"]).lower() in _STRICT
    if kind == "CAST":
        return not tree.get("try_cast")
    return kind in ("COMPARISON", "CONJUNCTION", "BETWEEN") or tree.get("type") in _STRICT_OPERATORS


def _any_of(found: Sequence[Reasons | None]) -> Reasons | None:
    if any(reasons is None for reasons in found):
        return None
    return tuple(dict.fromkeys(reason for reasons in found for reason in reasons or ()))


def _all_of(found: Sequence[Reasons | None]) -> Reasons | None:
    """Say when all are null: told only where all have the same reason."""
    return found[0] if found and all(reasons == found[0] for reasons in found) else None
