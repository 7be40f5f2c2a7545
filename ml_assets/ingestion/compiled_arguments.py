"""SQL of the columns and arguments of an expectation, where DuckDB and Great Expectations see the same in them.

Arguments are taken as Great Expectations takes them (a bound of a value becomes a float, a bound of a count must be a
whole number); one that it would convert, refuse or compare otherwise raises `NotCompiledError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NUMBERS = ("integer", "float")
ANY_TYPE = ("string", "integer", "float", "boolean", "date", "timestamp")
_EXACT = 2**53  # whole numbers below it are the same as integers and as floats


class NotCompiledError(ValueError):
    """An expectation, or an argument of one, that is left to Great Expectations."""


@dataclass(frozen=True)
class ValueBounds:
    """What a value must lie between; None where it is open."""

    low: float | None
    high: float | None
    is_low_strict: bool
    is_high_strict: bool

    def fails(self, value: str) -> str:
        """Give SQL that is true where the SQL `value` is there and outside."""
        below = [f"{value} {'<=' if self.is_low_strict else '<'} {number(self.low)}"] if self.low is not None else []
        above = [f"{value} {'>=' if self.is_high_strict else '>'} {number(self.high)}"] if self.high is not None else []
        return " OR ".join(below + above)

    def holds(self, value: Any) -> bool:
        """Say whether `value` is inside."""
        is_above = self.low is None or (value > self.low if self.is_low_strict else value >= self.low)
        is_below = self.high is None or (value < self.high if self.is_high_strict else value <= self.high)
        return bool(is_above and is_below)


def bounds_of(arguments: Mapping[str, Any], *, is_whole: bool, is_open: bool) -> ValueBounds:
    """Read `min_value`, `max_value`, `strict_min` and `strict_max`, and nothing else.

    `is_whole` bounds are whole numbers; `is_open` says that both may be absent.
    """
    kinds = int if is_whole else (int, float)
    limits = [arguments.get(name) for name in ("min_value", "max_value")]
    strict = [arguments.get(name, False) for name in ("strict_min", "strict_max")]
    if set(arguments) - {"min_value", "max_value", "strict_min", "strict_max"}:
        raise NotCompiledError("another argument")
    if not all(limit is None or is_plain_number(limit, kinds) for limit in limits):
        raise NotCompiledError("a bound that is no plain number")
    if not all(isinstance(each, bool) for each in strict):
        raise NotCompiledError("strict bounds that are not true or false")
    low, high = ((limit if is_whole or limit is None else float(limit)) for limit in limits)
    if (low is None and high is None and not is_open) or (low is not None and high is not None and low > high):
        raise NotCompiledError("bounds that hold nothing")
    return ValueBounds(low, high, *strict)


def is_plain_number(value: object, kinds: type | tuple[type, ...] = (int, float)) -> bool:
    """Say whether `value` is a finite number that an integer and a float hold alike."""
    return isinstance(value, kinds) and not isinstance(value, bool) and abs(value) < _EXACT  # pyright: ignore[reportArgumentType]


def quoted(column: str) -> str:
    """Give the SQL name of a column."""
    return '"' + column.replace('"', '""') + '"'


def value_of(columns: Mapping[str, str], column: object, types: Sequence[str] = ANY_TYPE) -> str:
    """Give SQL of the value of a column as pandas has it: NaN is null, and there is one zero.

    Raises
    ------
    NotCompiledError
        If the column is not declared, or has none of `types`.
    """
    if not isinstance(column, str) or columns.get(column) not in types:
        raise NotCompiledError(f"column {column!r}")
    if columns[column] == "float":
        return f"(nullif({quoted(column)}, CAST('NaN' AS DOUBLE)) + 0.0)"
    return quoted(column)


def number(value: float) -> str:
    """Give SQL of a number: bare digits with a point would be a decimal."""
    return f"CAST('{value!r}' AS DOUBLE)"


def text(value: str) -> str:
    """Give SQL of a text."""
    if not value.isprintable():
        raise NotCompiledError("a text that is not printable")
    return "'" + value.replace("'", "''") + "'"


def members(columns: Mapping[str, str], column: str, values: object) -> list[str]:
    """Give SQL of the distinct members of a set, all of them of the type of the column."""
    kind = columns.get(column)
    written: dict[str, tuple[Callable[[Any], bool], Callable[[Any], str]]] = {
        "string": (lambda value: isinstance(value, str), text),
        "boolean": (lambda value: isinstance(value, bool), lambda value: str(value).lower()),
        **dict.fromkeys(NUMBERS, (is_plain_number, lambda value: number(value + 0.0))),
    }
    if kind not in written or not isinstance(values, list):
        raise NotCompiledError("a set of a type that pandas compares in its own way")
    is_member, write = written[kind]
    if not all(is_member(value) for value in values):
        raise NotCompiledError("a set with members of another type")
    return list(dict.fromkeys(write(value) for value in values))
