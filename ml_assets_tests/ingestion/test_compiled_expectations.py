"""Compiled expectations beside Great Expectations, on drawn tables: the same rows, drops, counts and texts.

ML_ASSETS_EXAMPLES=200 draws more tables for each expectation than the few of a usual run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
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
from ml_assets_tests.ingestion.drawn_contracts import ARROW, BIG, DRAWN, TYPES, tables

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
    rules: list[dict[str, Any]] = [each | {"reason": f"rule_{number}"} for number, each in enumerate(declared)]
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
