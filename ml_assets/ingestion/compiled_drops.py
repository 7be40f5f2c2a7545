"""Expectations about a whole drop: what is measured in it, and when that holds.

Each function has the arguments of the expectation that it is registered for, after the declared type of each column.
Counts are SQL, one scan for all drops. A sum of floats depends on the order of its additions, so the statistics of a
column are taken with the very method of pandas that Great Expectations calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ml_assets.ingestion.compiled_arguments import (
    NUMBERS,
    NotCompiledError,
    ValueBounds,
    bounds_of,
    is_plain_number,
    members,
    value_of,
)

if TYPE_CHECKING:
    import pandas as pd

Columns = Mapping[str, str]  # name: type, as declared
Statistic = Callable[["pd.Series[Any]"], Any]


@dataclass(frozen=True)
class DropMeasure:
    """Whether a drop keeps an expectation, and what a reader is shown of it."""

    is_kept: bool
    observed: str | None


@dataclass(frozen=True)
class DropCheck:
    """What is measured in a drop: SQL of an aggregate, or a statistic of a `column`; and what follows from it."""

    measures: str | Statistic
    judges: Callable[[Any], DropMeasure]
    column: str | None = None


def _judge_bounds(bounds: ValueBounds, value: Any) -> DropMeasure:
    import pandas as pd

    if pd.isna(value):
        return DropMeasure(False, None)
    return DropMeasure(bounds.holds(value), str(value))


def _judge_share(bounds: ValueBounds, value: float | None) -> DropMeasure:
    return _judge_bounds(bounds, 0 if value is None else value)


def _judge_flag(value: object) -> DropMeasure:
    return DropMeasure(bool(value), None)


def _rows_between(columns: Columns, **bounds: Any) -> DropCheck:  # noqa: ARG001 - it looks at no column
    return DropCheck("count(*)", partial(_judge_bounds, bounds_of(bounds, is_whole=True, is_open=True)))


def _rows_equal(columns: Columns, *, value: object) -> DropCheck:  # noqa: ARG001
    if not isinstance(value, int) or not is_plain_number(value):
        raise NotCompiledError("a count that is no whole number")
    return DropCheck("count(*)", partial(_judge_bounds, ValueBounds(value, value, False, False)))


def _statistic(name: str) -> Callable[..., DropCheck]:
    def check(columns: Columns, *, column: str, **bounds: Any) -> DropCheck:
        value_of(columns, column, NUMBERS)
        within = bounds_of(bounds, is_whole=False, is_open=True)
        return DropCheck(partial(_take, name), partial(_judge_bounds, within), column)

    return check


def _take(name: str, values: pd.Series[Any]) -> Any:
    return getattr(values[values.notna()] if name == "median" else values, name)()


def _distinct_between(columns: Columns, *, column: str, **bounds: Any) -> DropCheck:
    within = bounds_of(bounds, is_whole=True, is_open=True)
    return DropCheck(f"count(DISTINCT {value_of(columns, column)})", partial(_judge_bounds, within))


def _share_unique(columns: Columns, *, column: str, **bounds: Any) -> DropCheck:
    value = value_of(columns, column)
    return DropCheck(
        f"CASE WHEN count({value}) > 0 THEN count(DISTINCT {value}) / count({value}) END",
        partial(_judge_share, bounds_of(bounds, is_whole=False, is_open=True)),
    )


def _share_there(columns: Columns, *, column: str, **bounds: Any) -> DropCheck:
    return DropCheck(
        f"CASE WHEN count(*) > 0 THEN count({value_of(columns, column)}) / count(*) END",
        partial(_judge_share, bounds_of(bounds, is_whole=False, is_open=True)),
    )


def _unique(columns: Columns, *, column: str) -> DropCheck:
    value = value_of(columns, column)
    return DropCheck(f"count(DISTINCT {value}) = count({value})", _judge_flag)


_IGNORED = {"all_values_are_missing": " AND ", "any_value_is_missing": " OR ", "never": None}


def _compound_unique(
    columns: Columns, *, column_list: object, ignore_row_if: str = "all_values_are_missing"
) -> DropCheck:
    if not isinstance(column_list, list) or len(set(column_list)) < max(2, len(column_list)):
        raise NotCompiledError("not a list of several columns")
    if ignore_row_if not in _IGNORED:
        raise NotCompiledError("another way to ignore rows")
    values = [value_of(columns, name) for name in column_list]
    joined = _IGNORED[ignore_row_if]
    kept = f"FILTER (WHERE NOT ({joined.join(f'{value} IS NULL' for value in values)}))" if joined else ""
    return DropCheck(f"count(DISTINCT row({', '.join(values)})) {kept} = count(*) {kept}", _judge_flag)


def _distinct_in_set(columns: Columns, *, column: str, value_set: object) -> DropCheck:
    return DropCheck(_has_no_other(columns, column, value_set), _judge_flag)


def _distinct_contain_set(columns: Columns, *, column: str, value_set: object) -> DropCheck:
    return DropCheck(_has_all(columns, column, value_set), _judge_flag)


def _distinct_equal_set(columns: Columns, *, column: str, value_set: object) -> DropCheck:
    both = f"{_has_no_other(columns, column, value_set)} AND {_has_all(columns, column, value_set)}"
    return DropCheck(both, _judge_flag)


def _listed(columns: Columns, column: str, value_set: object) -> list[str]:
    listed = members(columns, column, value_set)
    if not listed:
        raise NotCompiledError("an empty set")
    return listed


def _has_no_other(columns: Columns, column: str, value_set: object) -> str:
    value = value_of(columns, column)
    return f"count(*) FILTER (WHERE {value} NOT IN ({', '.join(_listed(columns, column, value_set))})) = 0"


def _has_all(columns: Columns, column: str, value_set: object) -> str:
    value, listed = value_of(columns, column), _listed(columns, column, value_set)
    return f"count(DISTINCT {value}) FILTER (WHERE {value} IN ({', '.join(listed)})) = {len(listed)}"


DROP_CHECKS: dict[str, Callable[..., DropCheck]] = {
    **{
        f"expect_column_{name}_to_be_between": _statistic(method)
        for name, method in {
            "max": "max",
            "mean": "mean",
            "median": "median",
            "min": "min",
            "stdev": "std",
            "sum": "sum",
        }.items()
    },
    "expect_column_distinct_values_to_be_in_set": _distinct_in_set,
    "expect_column_distinct_values_to_contain_set": _distinct_contain_set,
    "expect_column_distinct_values_to_equal_set": _distinct_equal_set,
    "expect_column_proportion_of_non_null_values_to_be_between": _share_there,
    "expect_column_proportion_of_unique_values_to_be_between": _share_unique,
    "expect_column_unique_value_count_to_be_between": _distinct_between,
    "expect_column_values_to_be_unique": _unique,
    "expect_compound_columns_to_be_unique": _compound_unique,
    "expect_table_row_count_to_be_between": _rows_between,
    "expect_table_row_count_to_equal": _rows_equal,
}
