"""Draws landed rows and arguments of the expectations that are compiled."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from ml_assets_tests.ingestion.conftest import DROPS

TYPES = {
    "n": "integer", "m": "integer", "f": "float", "g": "float", "s": "string", "u": "string",
    "b": "boolean", "d": "date", "e": "date", "t": "timestamp", "v": "timestamp",
}  # fmt: skip
ARROW = {"integer": pa.int64(), "float": pa.float64(), "string": pa.string(), "boolean": pa.bool_(),
         "date": pa.date32(), "timestamp": pa.timestamp("us", "UTC")}  # fmt: skip
BIG = 2**53
MOMENT = datetime(2013, 1, 1, 5, tzinfo=UTC)
# few values of each type, so that they meet: bounds at equality, numbers that floats round, both zeros, look-alikes
WHOLE = st.sampled_from([0, 1, 1, 2, 3, -1, BIG - 1, BIG, BIG + 1, 2**62, -(2**62), -BIG - 1])
FLOATS = st.sampled_from([0.0, -0.0, 1.0, 1.0, 1.5, 2.0, 0.1 + 0.2, 0.3, -1.0, 1e300, 1e-300, float(BIG)]) | st.floats(
    allow_nan=True, allow_infinity=True
)
TEXTS = st.sampled_from(
    [
        "",
        " ",
        "a",
        "A",
        "a ",
        "ab",
        "é",
        "e\u0301",
        "1",
        "1.0",
        "a\n",
        "a\n\n",
        "\n",
        "😀",
        "a\x00b",
        "AB-12",
        "AB-1٣",
        "'",
    ]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "integer": WHOLE | st.integers(-(2**63), 2**63 - 1),
    "float": FLOATS,
    "string": TEXTS,
    "boolean": st.booleans(),
    "date": st.sampled_from([date(2013, 1, 1), date(2013, 1, 2), date(1969, 12, 31)]),
    "timestamp": st.sampled_from([MOMENT, MOMENT + timedelta(microseconds=1), MOMENT - timedelta(days=20000)]),
}
NUMBERS, NAMES = st.sampled_from("nmfg"), st.sampled_from(list(TYPES))
FINITE = st.sampled_from([0, 1, 1.0, 1.5, 2, -1, 3, 0.3, -0.0, 1e15]) | st.floats(-10, 10) | st.integers(-5, 5)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Draw rows of three drops, some of them late, some not split into columns; each column may hold nulls or none."""
    rows = draw(st.integers(0, 12))
    columns: dict[str, pa.Array] = {
        "_position": pa.array(range(rows), pa.int64()),
        "batch_date": pa.array(
            sorted(draw(st.lists(st.sampled_from(DROPS), min_size=rows, max_size=rows))), pa.date32()
        ),
        "_is_late": pa.array(
            draw(st.lists(st.sampled_from([False, False, True]), min_size=rows, max_size=rows)), pa.bool_()
        ),
        "_text": pa.array(
            draw(st.lists(st.sampled_from([None] * 5 + ["ragged"]), min_size=rows, max_size=rows)), pa.string()
        ),
    }
    for name, kind in TYPES.items():
        values = draw(st.sampled_from([VALUES[kind], VALUES[kind] | st.none(), VALUES[kind] | st.none(), st.none()]))
        columns[name] = pa.array(draw(st.lists(values, min_size=rows, max_size=rows)), ARROW[kind])
    return pa.table(columns)


@st.composite
def bounds(draw: st.DrawFn, limits: st.SearchStrategy[Any]) -> dict[str, Any]:
    """Draw bounds that may be open, absent or strict."""
    low, high = draw(st.none() | limits), draw(st.none() | limits)
    if low is not None and high is not None and low > high:
        low, high = high, low
    found = {"min_value": low, "max_value": high}
    found |= {name: draw(st.booleans()) for name in ("strict_min", "strict_max") if draw(st.booleans())}
    return found if draw(st.booleans()) else {name: value for name, value in found.items() if value is not None}


@st.composite
def sets(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a column with a set of values of its type."""
    column = draw(st.sampled_from("nmfgsub"))
    limits = {"integer": FINITE, "float": FINITE, "string": TEXTS, "boolean": st.booleans()}[TYPES[column]]
    return {"column": column, "value_set": draw(st.lists(limits, max_size=6))}


@st.composite
def pairs(draw: st.DrawFn, *, has_order: bool) -> dict[str, Any]:
    """Draw two columns that compare."""
    first, second = draw(st.sampled_from(["nm", "fg", "nf", "gm", "su", "de", "tv", "vt", "mn"]))
    found: dict[str, Any] = {"column_A": first, "column_B": second}
    ignored = draw(st.sampled_from([None, "both_values_are_missing", "either_value_is_missing", "neither"]))
    found |= {"ignore_row_if": ignored} if ignored else {}
    return found | ({"or_equal": draw(st.sampled_from([True, False, None]))} if has_order else {})


@st.composite
def compounds(draw: st.DrawFn) -> dict[str, Any]:
    """Draw several columns."""
    names = draw(st.lists(NAMES, min_size=2, max_size=3, unique=True))
    ignored = draw(st.sampled_from([None, "all_values_are_missing", "any_value_is_missing", "never"]))
    return {"column_list": names} | ({"ignore_row_if": ignored} if ignored else {})


REGEXES = st.sampled_from(
    [r"^[A-Z]{2}-\d+$", r"\d", r"a$", r"^$", r"^a|b$", r".", r"\s", r"\w+", r"\W", r"[^a]$", r"^(?:a|\d){1,3}$",
     r"[\w-]", r"a?", r"^.{2,}$", "é", r"\.", "(a)(b)?", r"\D", "'", r"[^\d]", r"^[-+]?[0-9]+(\.[0-9]+)?$", r"a\n"]
).map(lambda each: {"regex": each})  # fmt: skip


def of_column(
    names: st.SearchStrategy[str], more: st.SearchStrategy[dict[str, Any]]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(names, more).map(lambda drawn: {"column": drawn[0], **drawn[1]})


NOTHING: st.SearchStrategy[dict[str, Any]] = st.just({})
COUNTS = bounds(st.integers(0, 6))
SHARES = bounds(st.sampled_from([0, 0.25, 0.5, 1 / 3, 2 / 3, 1, 1.0]))
MOSTLY = st.sampled_from([0, 0.5, 0.9, 1, 1.0]).map(lambda value: {"mostly": value})
DRAWN: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "expect_column_pair_values_a_to_be_greater_than_b": pairs(has_order=True),
    "expect_column_pair_values_to_be_equal": pairs(has_order=False),
    "expect_column_value_lengths_to_be_between": of_column(st.sampled_from("su"), COUNTS),
    "expect_column_value_lengths_to_equal": of_column(st.sampled_from("su"), st.sampled_from([0, 1, 2, 2.0, 1.5]).map(
        lambda value: {"value": value})),
    "expect_column_values_to_be_between": of_column(NUMBERS, bounds(FINITE)),
    "expect_column_values_to_be_in_set": sets(),
    "expect_column_values_to_be_null": of_column(NAMES, NOTHING | MOSTLY),
    "expect_column_values_to_match_regex": of_column(st.sampled_from("su"), REGEXES),
    "expect_column_values_to_not_be_in_set": sets(),
    "expect_column_values_to_not_be_null": of_column(NAMES, NOTHING | MOSTLY),
    "expect_column_values_to_not_match_regex": of_column(st.sampled_from("su"), REGEXES),
    **{f"expect_column_{name}_to_be_between": of_column(NUMBERS, bounds(FINITE))
       for name in ("max", "mean", "median", "min", "stdev", "sum")},
    "expect_column_distinct_values_to_be_in_set": sets(),
    "expect_column_distinct_values_to_contain_set": sets(),
    "expect_column_distinct_values_to_equal_set": sets(),
    "expect_column_proportion_of_non_null_values_to_be_between": of_column(NAMES, SHARES),
    "expect_column_proportion_of_unique_values_to_be_between": of_column(NAMES, SHARES),
    "expect_column_unique_value_count_to_be_between": of_column(NAMES, COUNTS),
    "expect_column_values_to_be_unique": of_column(NAMES, NOTHING | st.just({"mostly": 1})),
    "expect_compound_columns_to_be_unique": compounds(),
    "expect_table_row_count_to_be_between": COUNTS,
    "expect_table_row_count_to_equal": st.integers(0, 6).map(lambda value: {"value": value}),
}  # fmt: skip
