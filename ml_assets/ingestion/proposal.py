"""What a contract could expect of a file, each with the reason, and which file plays which part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ml_assets.ingestion.profiling import MOST_CATEGORIES, ColumnProfile, FileProfile, is_named_as_key
from ml_assets.spec.contract import Severity

_MOST_ENTITIES = 4
_ENOUGH = 100  # rows below which "never" says little
_BOUNDED = {"lat": (-90, 90), "latitude": (-90, 90), "lon": (-180, 180), "longitude": (-180, 180)}

NO_ROWS = "no_rows"  # the reason of an empty file, which is usual where a drop is an hour


@dataclass(frozen=True)
class Proposal:
    """One expectation and why it is proposed."""

    expect: str
    arguments: dict[str, Any]
    severity: Severity
    reason: str
    why: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the columns it is about."""
        return tuple(self.arguments[name] for name in ("column", "column_A", "column_B") if name in self.arguments)


@dataclass(frozen=True)
class Parts:
    """Which file seems to hold what is predicted, which the outcome, and the columns they share.

    `entities` maps a column of the examples to the files that say something about it.
    """

    examples: FileProfile
    labels: FileProfile
    entities: dict[str, tuple[FileProfile, ...]]
    why: str


def propose_expectations(profile: FileProfile) -> list[Proposal]:
    """Propose what holds in every row so far, mostly as warnings: a person makes errors of those that must hold."""
    found: list[Proposal] = []
    if profile.moments:
        found.append(Proposal("expect_table_row_count_to_be_between", {"min_value": 1}, "warning", NO_ROWS,
                              "an empty delivery is more often a fault than a quiet time"))  # fmt: skip
    for column in profile.columns:
        found += _of_column(profile, column)
    for first, second in profile.in_order:
        arguments = {"column_A": second, "column_B": first, "or_equal": True,
                     "ignore_row_if": "either_value_is_missing"}  # fmt: skip
        found.append(Proposal("expect_column_pair_values_a_to_be_greater_than_b", arguments, "warning",
                              _code(f"{second}_before", first), f"so in all of {profile.rows:,} rows"))  # fmt: skip
    return found


def _of_column(profile: FileProfile, column: ColumnProfile) -> list[Proposal]:
    found: list[Proposal] = []
    name, rows = column.name, column.rows
    if not column.nulls and rows >= _ENOUGH and name not in profile.key and not column.is_moment:
        found.append(Proposal("expect_column_values_to_not_be_null", {"column": name}, "warning",
                              _code(name, "missing"), f"never missing in {rows:,} rows"))  # fmt: skip
    if column.categories and rows >= _ENOUGH:
        values = sorted(value for value, _ in column.categories)
        rarest = column.categories[-1]
        found.append(Proposal("expect_column_values_to_be_in_set", {"column": name, "value_set": values}, "warning",
                              _code(name, "unknown"), f"{len(values)} values in {rows:,} rows, the rarest "
                              f"({rarest[0]}) {rarest[1]:,} times"))  # fmt: skip
    elif column.length and column.length > 1 and rows >= _ENOUGH:
        found.append(Proposal("expect_column_value_lengths_to_equal", {"column": name, "value": column.length},
                              "warning", _code(name, "malformed"), f"so long are all {column.distinct:,}"))  # fmt: skip
    if column.is_number and column.lowest is not None and name not in profile.key:
        low, high, why = bounds_of(column)
        found.append(Proposal("expect_column_values_to_be_between", {"column": name, "min_value": low,
                              "max_value": high}, "warning", _code(name, "out_of_range"), why))  # fmt: skip
    return found


def bounds_of(column: ColumnProfile) -> tuple[float, float, str]:
    """Give a range that holds what was seen with room, and say how it was made.

    Examples
    --------
    >>> bounds_of(ColumnProfile("amount_usd", "integer", 9, 0, 9, lowest=12, highest=9870))
    (0, 20000, 'seen 12 to 9870; never below 0, twice the largest')
    >>> bounds_of(ColumnProfile("lat", "float", 9, 0, 9, lowest=12.5, highest=47.0))
    (-90, 90, 'seen 12.5 to 47.0; what a latitude or longitude can be')
    """
    low, high = column.lowest, column.highest
    seen = f"seen {low} to {high}"
    words = column.name.split("_")
    for word, (least, most) in _BOUNDED.items():
        if word in words and least <= low and high <= most:
            return least, most, f"{seen}; what a latitude or longitude can be"
    if words[-1] in ("pct", "percent") and low >= 0 and high <= 100:
        return 0, 100, f"{seen}; what a percentage can be"
    if words[-1] in ("share", "probability", "fraction", "ratio") and low >= 0 and high <= 1:
        return 0, 1, f"{seen}; what a share can be"
    if low >= 0:
        return 0, _rounded_up(2 * high) if high else 1, f"{seen}; never below 0, twice the largest"
    width = high - low
    least, most = -_rounded_up(max(0, width - low)), _rounded_up(max(width + high, 0))
    return least, most, f"{seen}; its own width more on either side"


def _rounded_up(value: float) -> float:
    """Round up to two significant digits; a whole number stays whole."""
    if not value:
        return 0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    rounded = math.ceil(value / unit - 1e-9) * unit
    return round(rounded) if abs(rounded - round(rounded)) < 1e-9 else round(rounded, 10)


def _code(name: str, fault: str) -> str:
    return f"{name[: 63 - len(fault)]}_{fault}"


def find_parts(profiles: Sequence[FileProfile]) -> Parts:
    """Guess which file holds the things to predict and which their outcomes; a person decides.

    An outcome names what it is about by the key of the examples, and comes later.
    """
    pairs = [
        (examples, labels)
        for examples in profiles
        for labels in profiles
        if examples is not labels and len(examples.key) == 1 and labels.has(examples.key[0]) and labels.moments
    ]
    best = max(
        pairs, key=lambda pair: (pair[0].key == pair[1].key, bool(pair[0].moments), _newest(pair[1])), default=None
    )
    if best is None:
        timed = [profile for profile in profiles if profile.moments] or list(profiles)
        examples = labels = max(timed, key=lambda profile: (bool(profile.key), profile.rows))
        why = "no file refers to another by its key"
    else:
        examples, labels = best
        why = f"{labels.name} has {examples.key[0]}, which names a row of {examples.name}"
    shared = {
        column.name: tuple(other for other in profiles if other is not examples and other.has(column.name))
        for column in examples.columns
        if column.name not in examples.key
        and (column.type == "string" or (column.type == "integer" and is_named_as_key(column.name)))
        and column.distinct <= max(MOST_CATEGORIES, column.rows // 2)
    }
    entities = [(name, others) for name, others in shared.items() if others]
    return Parts(examples, labels, dict(entities[:_MOST_ENTITIES]), why)


def _newest(profile: FileProfile) -> str:
    return max((str(column.highest) for column in profile.moments), default="")
