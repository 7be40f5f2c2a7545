"""Expectations about rows as SQL: which rows fail.

Each function has the arguments of the expectation that it is registered for, after the declared type of each column.
Its SQL is true of a row that fails, false or null of others. A missing value fails nothing but what is about missing
values; a pair of columns has its own rules for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ml_assets.ingestion.compiled_arguments import (
    NUMBERS,
    NotCompiledError,
    bounds_of,
    is_plain_number,
    members,
    number,
    text,
    value_of,
)
from ml_assets.ingestion.portable_regex import PatternError, translate_pattern

Columns = Mapping[str, str]  # name: type, as declared


@dataclass(frozen=True)
class RowCheck:
    """SQL of what fails, and of rows (`stops`) at which Great Expectations stops and says of no row how it stands."""

    fails: str
    stops: str | None = None


def _between(columns: Columns, *, column: str, **bounds: Any) -> RowCheck:
    value = value_of(columns, column, NUMBERS)
    return RowCheck(bounds_of(bounds, is_whole=False, is_open=False).fails(value))


def _in_set(columns: Columns, *, column: str, value_set: object) -> RowCheck:
    value, listed = value_of(columns, column), members(columns, column, value_set)
    return RowCheck(f"{value} NOT IN ({', '.join(listed)})" if listed else f"{value} IS NOT NULL")


def _not_in_set(columns: Columns, *, column: str, value_set: object) -> RowCheck:
    value, listed = value_of(columns, column), members(columns, column, value_set)
    return RowCheck(f"{value} IN ({', '.join(listed)})" if listed else "false")


def _not_null(columns: Columns, *, column: str) -> RowCheck:
    return RowCheck(f"{value_of(columns, column)} IS NULL")


def _null(columns: Columns, *, column: str) -> RowCheck:
    return RowCheck(f"{value_of(columns, column)} IS NOT NULL")


def _length_between(columns: Columns, *, column: str, **bounds: Any) -> RowCheck:
    length = f"length({value_of(columns, column, ('string',))})"
    return RowCheck(bounds_of(bounds, is_whole=True, is_open=False).fails(length))


def _length_equal(columns: Columns, *, column: str, value: object) -> RowCheck:
    if not isinstance(value, int | float) or not is_plain_number(value):
        raise NotCompiledError("a length that is no plain number")
    return RowCheck(f"length({value_of(columns, column, ('string',))}) <> {number(value)}")


def _matches(columns: Columns, *, column: str, regex: object) -> RowCheck:
    return RowCheck(f"NOT {_found(columns, column, regex)}")


def _does_not_match(columns: Columns, *, column: str, regex: object) -> RowCheck:
    return RowCheck(_found(columns, column, regex))


def _found(columns: Columns, column: str, regex: object) -> str:
    if not isinstance(regex, str):
        raise NotCompiledError("a pattern that is no text")
    try:
        pattern = translate_pattern(regex)
    except PatternError as error:
        raise NotCompiledError(str(error)) from error
    return f"regexp_matches({value_of(columns, column, ('string',))}, {text(pattern)})"


def _greater(
    columns: Columns,
    *,
    column_A: str,
    column_B: str,
    or_equal: bool | None = None,
    ignore_row_if: str = "both_values_are_missing",
) -> RowCheck:
    if or_equal is not None and not isinstance(or_equal, bool):
        raise NotCompiledError("or_equal that is not true or false")
    return _pair(columns, (column_A, column_B), ">=" if or_equal else ">", ignore_row_if)


def _equal(
    columns: Columns,
    *,
    column_A: str,
    column_B: str,
    ignore_row_if: str = "both_values_are_missing",
) -> RowCheck:
    return _pair(columns, (column_A, column_B), "=", ignore_row_if)


_MISSING = {"both_values_are_missing": "AND", "either_value_is_missing": "OR", "neither": None}


def _pair(columns: Columns, names: tuple[str, str], compares: str, ignore_row_if: str) -> RowCheck:
    """Compare two columns of comparable types.

    A moment or a float that is missing in a row that is not ignored makes it fail; a missing whole number makes the
    comparison itself unknown, and Great Expectations then stops.
    """
    first, second = (value_of(columns, name, (*NUMBERS, "string", "date", "timestamp")) for name in names)
    types = {columns[name] for name in names}
    if ignore_row_if not in _MISSING or (len(types) > 1 and not types <= set(NUMBERS)) or names[0] == names[1]:
        raise NotCompiledError("columns that do not compare, or another way to ignore rows")
    if ("string" in types or len(types) > 1) and ignore_row_if != "either_value_is_missing":
        raise NotCompiledError("texts, or whole numbers and floats, beside missing ones")
    if types == set(NUMBERS):
        first, second = f"CAST({first} AS DOUBLE)", f"CAST({second} AS DOUBLE)"
    joined = _MISSING[ignore_row_if]
    is_kept = f"NOT ({first} IS NULL {joined} {second} IS NULL)" if joined else "true"
    is_known = "integer" not in types or joined == "OR"
    stops = None if is_known else f"{is_kept} AND ({first} IS NULL OR {second} IS NULL)"
    return RowCheck(f"{is_kept} AND NOT coalesce({first} {compares} {second}, false)", stops)


ROW_CHECKS: dict[str, Callable[..., RowCheck]] = {
    "expect_column_pair_values_a_to_be_greater_than_b": _greater,
    "expect_column_pair_values_to_be_equal": _equal,
    "expect_column_value_lengths_to_be_between": _length_between,
    "expect_column_value_lengths_to_equal": _length_equal,
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_be_null": _null,
    "expect_column_values_to_match_regex": _matches,
    "expect_column_values_to_not_be_in_set": _not_in_set,
    "expect_column_values_to_not_be_null": _not_null,
    "expect_column_values_to_not_match_regex": _does_not_match,
}
