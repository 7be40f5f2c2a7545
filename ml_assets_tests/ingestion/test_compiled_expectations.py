"""Compiled expectations beside Great Expectations, on drawn tables: the same rows, drops, counts and texts.

ML_ASSETS_EXAMPLES=200 draws more tables for each expectation than the few of a usual run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import ml_assets
from ml_assets.ingestion import failed_expectations
from ml_assets.ingestion.compiled_drops import DROP_CHECKS
from ml_assets.ingestion.compiled_expectations import compile_expectation
from ml_assets.ingestion.compiled_rows import ROW_CHECKS
from ml_assets.ingestion.expectations import Judge
from ml_assets.ingestion.failed_expectations import judge_expectations
from ml_assets.ingestion.rules import RuleResult
from ml_assets.spec.contract import Expectation, Source
from ml_assets.spec.declaration import load_use_case
from ml_assets_tests.ingestion.conftest import DROPS, declare

pytestmark = [
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_.*' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning:pandas"),
    pytest.mark.filterwarnings("ignore:This pattern is interpreted as a regular expression:UserWarning"),
]
EXAMPLES = settings(
    max_examples=int(os.environ.get("ML_ASSETS_EXAMPLES", "8")),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    derandomize="ML_ASSETS_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much, HealthCheck.too_slow],
)

FLAGSHIP = Path(ml_assets.__file__).parent / "defs" / "flight_delays"
SECOND = Path(__file__).parents[1] / "second_use_case" / "late_loans"
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


PATTERNS = st.sampled_from(
    [r"^[A-Z]{2}-\d+$", r"\d", r"a$", r"^$", r"^a|b$", r".", r"\s", r"\w+", r"\W", r"[^a]$", r"^(?:a|\d){1,3}$", r"[\w-]",
     r"a?", r"^.{2,}$", "é", r"\.", "(a)(b)?", r"\D", "'", r"[^\d]", r"^[-+]?[0-9]+(\.[0-9]+)?$", r"a\n"]
)  # fmt: skip


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
    "expect_column_values_to_match_regex": of_column(st.sampled_from("su"), PATTERNS.map(lambda each: {"regex": each})),
    "expect_column_values_to_not_be_in_set": sets(),
    "expect_column_values_to_not_be_null": of_column(NAMES, NOTHING | MOSTLY),
    "expect_column_values_to_not_match_regex": of_column(st.sampled_from("su"), PATTERNS.map(lambda each: {"regex": each})),
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


class Rivals:
    """Judges one table twice: by what is compiled, and by Great Expectations alone."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.library = Judge()

    def judge(self, table: pa.Table, source: Source, *, is_compiled: bool) -> tuple[list[RuleResult], list[Any]]:
        """Give the results and the reasons of rows."""
        self.connection.register("_drawn", table)
        self.connection.execute(
            "CREATE OR REPLACE TEMP TABLE _judged AS SELECT * FROM _drawn; "
            "CREATE OR REPLACE TEMP TABLE _reasons (_position BIGINT, reason VARCHAR)"
        )
        self.connection.unregister("_drawn")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(failed_expectations, "Judge", lambda: self.library)
            if not is_compiled:
                patch.setattr(failed_expectations, "compile_expectation", lambda *_: None)
            results = judge_expectations(self.connection, source, DROPS)
        reasons = self.connection.execute("SELECT * FROM _reasons ORDER BY ALL").fetchall()
        return results, reasons

    def compare(self, table: pa.Table, rules: list[dict[str, Any]]) -> tuple[list[RuleResult], list[Any]]:
        """Judge twice, and find no difference but in what is said of an expectation that stopped."""
        source = declare({"id": "string", **TYPES}, expectations=rules)
        found = [self.judge(table, source, is_compiled=is_compiled) for is_compiled in (True, False)]
        assert [plainly(result) for result in found[0][0]] == [plainly(result) for result in found[1][0]]
        assert found[0][1] == found[1][1]
        return found[0]


def plainly(result: RuleResult) -> RuleResult:
    is_stopped = (result.observed or "").startswith("could not be evaluated: ")
    return RuleResult(
        result.drop, result.reason, result.severity, result.failed_rows,
        "stopped" if is_stopped else result.observed, result.is_refused, result.is_judged,
    )  # fmt: skip


@pytest.fixture(scope="module")
def rivals() -> Iterator[Rivals]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        yield Rivals(connection)


def rule(name: str, arguments: dict[str, Any], severity: str = "error") -> dict[str, Any]:
    return {"expect": name, "arguments": arguments, "severity": severity, "reason": "broken"}


def is_compiled(name: str, arguments: dict[str, Any]) -> bool:
    return compile_expectation(Expectation.model_validate(rule(name, arguments)), TYPES) is not None


def test_every_compiled_expectation_is_drawn() -> None:
    assert set(DRAWN) == {*ROW_CHECKS, *DROP_CHECKS}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DRAWN))
def test_compiled_expectation_finds_what_great_expectations_finds(rivals: Rivals, name: str) -> None:
    compared = 0

    @EXAMPLES
    @given(table=tables(), arguments=DRAWN[name], severity=st.sampled_from(["error", "warning"]))
    def compare(table: pa.Table, arguments: dict[str, Any], severity: str) -> None:
        nonlocal compared
        assume(is_compiled(name, arguments))
        rivals.compare(table, [rule(name, arguments, severity)])
        compared += 1

    compare()
    assert compared >= EXAMPLES.max_examples


def column(name: str, *values: Any) -> pa.Table:
    """Give one row a value, all of the first drop."""
    rows = len(values)
    given_columns = {each: pa.nulls(rows, ARROW[kind]) for each, kind in TYPES.items()}
    where = {
        "_position": pa.array(range(rows), pa.int64()),
        "batch_date": pa.array([DROPS[0]] * rows, pa.date32()),
        "_is_late": pa.array([False] * rows, pa.bool_()),
        "_text": pa.nulls(rows, pa.string()),
    }
    return pa.table(where | given_columns | {name: pa.array(values, ARROW[TYPES[name]])})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "name", "arguments", "failing"),
    [
        (column("n", 1, 2, 3), "values_to_be_between", {"min_value": 2, "max_value": 2}, [0, 2]),
        (column("n", 1, 2, 3), "values_to_be_between", {"min_value": 1, "strict_min": True, "max_value": 3}, [0]),
        (column("f", 0.3, 0.1 + 0.2, 0.0, -0.0), "values_to_be_between", {"min_value": 0, "max_value": 0.3}, [1]),
        (column("f", -0.0, 0.0), "values_to_be_between", {"min_value": 0, "strict_min": True}, [0, 1]),
        (column("f", float("nan"), float("inf"), None), "values_to_be_between", {"max_value": 9}, [1]),
        (column("n", BIG, BIG + 1, None), "values_to_be_between", {"max_value": BIG - 1}, [0, 1]),
        (column("n", BIG, BIG + 1, 1), "values_to_be_in_set", {"value_set": [1, BIG - 1]}, [0, 1]),
        (column("n", 1, 2), "values_to_be_in_set", {"value_set": [1.0, 2.5]}, [1]),
        (column("f", 1.0, -0.0), "values_to_be_in_set", {"value_set": [1, 0]}, []),
        (column("s", "1", "1.0", "a", "A", "a ", ""), "values_to_be_in_set", {"value_set": ["1", "a"]}, [1, 3, 4, 5]),
        (column("s", "", None, "a"), "values_to_not_be_null", {}, [1]),
        (column("s", "it's", '"', "%"), "values_to_not_be_in_set", {"value_set": ["it's", "%"]}, [0, 2]),
        (column("s", "é", "e\u0301", "😀"), "value_lengths_to_equal", {"value": 1}, [1]),
        (column("s", "12\n", "12\n\n", "١٢"), "values_to_match_regex", {"regex": r"^\d\d$"}, [1]),
        (column("f", float("nan"), 1.0, None), "values_to_be_null", {}, [1]),
    ],
)  # fmt: skip
def test_value_at_the_edge_is_judged_as_by_great_expectations(
    rivals: Rivals, table: pa.Table, name: str, arguments: dict[str, Any], failing: list[int]
) -> None:
    about = next(each for each in "nfs" if table[each].null_count < table.num_rows)
    named, given_arguments = f"expect_column_{name}", {"column": about, **arguments}
    assert is_compiled(named, given_arguments)

    _, reasons = rivals.compare(table, [rule(named, given_arguments)])

    assert [position for position, _ in reasons] == failing


@pytest.mark.slow
def test_results_stand_in_the_order_of_the_declaration_whoever_found_them(rivals: Rivals) -> None:
    between = "expect_column_values_to_be_between"
    declared = [
        rule("expect_column_values_to_be_increasing", {"column": "n"}, "warning"),
        rule("expect_column_sum_to_be_between", {"column": "n", "max_value": 1}, "warning"),
        rule("expect_column_value_lengths_to_equal", {"column": "n", "value": 9}, "warning"),
        rule(between, {"column": "n", "max_value": 1}),
        rule("expect_table_row_count_to_equal", {"value": 9}, "warning"),
    ]
    rules = [each | {"reason": f"rule_{number}"} for number, each in enumerate(declared)]
    assert [is_compiled(each["expect"], each["arguments"]) for each in rules] == [False, True, False, True, True]

    results, reasons = rivals.compare(column("n", 3, 1), rules)

    found = [result.reason for result in results if result.drop == DROPS[0]]
    assert found == ["rule_2", "rule_3", "rule_0", "rule_1", "rule_4"]
    assert reasons == [(0, "rule_3")]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("expect_column_values_to_be_between", {"column": "n", "min_value": 1, "row_condition": "m > 1"}),
        ("expect_column_values_to_be_between", {"column": "n", "min_value": "1"}),  # it becomes a float there
        ("expect_column_values_to_be_between", {"column": "n", "min_value": BIG}),
        ("expect_column_values_to_be_between", {"column": "n", "min_value": float("nan")}),
        ("expect_column_values_to_be_between", {"column": "n", "min_value": True}),
        ("expect_column_values_to_be_between", {"column": "n", "min_value": 3, "max_value": 1}),
        ("expect_column_values_to_be_between", {"column": "n"}),
        ("expect_column_values_to_be_between", {"column": "t", "min_value": "2013-01-01"}),
        ("expect_column_values_to_be_between", {"column": "x", "min_value": 1}),
        ("expect_column_values_to_be_between", {"column": "n", "maximum": 1}),
        ("expect_column_values_to_be_in_set", {"column": "s", "value_set": ["1", 1]}),
        ("expect_column_values_to_be_in_set", {"column": "d", "value_set": ["2013-01-01"]}),
        ("expect_column_values_to_be_in_set", {"column": "n", "value_set": [True]}),
        ("expect_column_value_lengths_to_equal", {"column": "n", "value": 1}),
        ("expect_column_values_to_match_regex", {"column": "s", "regex": "(?i)a"}),
        ("expect_column_pair_values_to_be_equal", {"column_A": "d", "column_B": "t"}),
        ("expect_column_pair_values_to_be_equal", {"column_A": "s", "column_B": "u"}),
        ("expect_column_values_to_be_unique", {"column": "n", "mostly": 0.9}),
        ("expect_column_values_to_not_be_null", {"column": "n", "mostly": 2}),
        ("expect_table_row_count_to_be_between", {"min_value": 1.5}),  # it becomes 1 there
        ("expect_column_values_to_be_increasing", {"column": "n"}),
    ],
)
def test_argument_whose_meaning_is_not_proven_is_left_to_great_expectations(
    name: str, arguments: dict[str, Any]
) -> None:
    assert not is_compiled(name, arguments)


def test_mostly_changes_nothing_about_which_rows_fail() -> None:
    assert is_compiled("expect_column_values_to_not_be_null", {"column": "n", "mostly": 0.9, "notes": "since May"})


def test_batch_with_compiled_expectations_alone_never_loads_great_expectations() -> None:
    program = f"""
import sys, duckdb
from ml_assets.ingestion.expectations import is_about_rows
from ml_assets.ingestion.failed_expectations import judge_expectations
from pathlib import Path
from ml_assets.spec.declaration import load_use_case
from ml_assets_tests.ingestion.conftest import DROPS, declare
columns = {{"id": "string", "n": "integer"}}
rules = [
    {{"expect": "expect_column_values_to_be_between", "arguments": {{"column": "n", "max_value": 1}}, "reason": "big"}},
    {{"expect": "expect_column_mean_to_be_between", "arguments": {{"column": "n", "max_value": 1}}, "reason": "mean"}},
    {{"expect": "expect_table_row_count_to_equal", "arguments": {{"value": 2}}, "reason": "rows"}},
]
connection = duckdb.connect()
connection.execute("CREATE TABLE _judged AS SELECT 0 AS _position, DATE '{DROPS[0]}' AS batch_date, false AS _is_late, "
                   "NULL::VARCHAR AS _text, 'a' AS id, 9::BIGINT AS n")
connection.execute("CREATE TABLE _reasons (_position BIGINT, reason VARCHAR)")
source = declare(columns, expectations=rules)
print([(each.reason, each.observed) for each in judge_expectations(connection, source, DROPS[:1])])
declared = [rule for source in load_use_case(Path({str(FLAGSHIP)!r})).sources for rule in source.expectations]
print(len([is_about_rows(rule) for rule in declared]) > 20, "great_expectations" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ran.stdout.splitlines() == ["[('big', None), ('mean', '9.0'), ('rows', '1')]", "True False"]


@pytest.mark.parametrize("folder", [FLAGSHIP, SECOND])
def test_expectations_of_both_use_cases_are_all_compiled(folder: Path) -> None:
    sources = load_use_case(folder).sources

    assert sum(len(source.expectations) for source in sources) > 15
    for source in sources:
        types = {name: column.type for name, column in source.columns.items()}
        assert [each.reason for each in source.expectations if compile_expectation(each, types) is None] == []
