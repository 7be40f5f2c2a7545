"""Expectations of a contract, whoever judges them: some are compiled, for others Great Expectations is loaded."""

from __future__ import annotations

from dataclasses import astuple
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from ml_assets.ingestion.acceptance import Acceptance
from ml_assets.ingestion.expectations import ExpectationError, Judge
from ml_assets.spec.contract import Expectation
from ml_assets_tests.ingestion.conftest import DROPS, Ingest, declare, reasons_by_id

# great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_.*' is deprecated:DeprecationWarning")

HEADER = "id,n,seen_at\n"


def judge(ingest: Ingest, rules: list[dict[str, Any]], *bodies: str) -> Acceptance:
    """Judge one file a body by rules given as `expect`, `reason`, maybe `severity`, and arguments."""
    declared = []
    for rule in rules:
        named = {name: rule[name] for name in ("expect", "reason", "severity") if name in rule}
        declared.append({**named, "arguments": {name: rule[name] for name in rule if name not in named}})
    return ingest.accept(declare(expectations=declared), *[HEADER + body for body in bodies])


def at_most(value: int, **more: Any) -> dict[str, Any]:
    return {
        "expect": "expect_column_values_to_be_between",
        "column": "n",
        "max_value": value,
        "reason": "n_big",
        **more,
    }


def rows_between(low: int, high: int, **more: Any) -> dict[str, Any]:
    rule = {"expect": "expect_table_row_count_to_be_between", "min_value": low, "max_value": high, "reason": "volume"}
    return {**rule, **more}


def test_rule_is_handed_the_columns_it_names_and_no_others() -> None:
    """Great Expectations hashes and copies all that it is handed: of a large file that took most of the time."""
    width = {"expect": "expect_table_column_count_to_equal", "value": 3, "reason": "width"}
    order = {"expect": "expect_column_pair_values_a_to_be_greater_than_b", "column_A": "n", "column_B": "m"}
    declared = [at_most(10), rows_between(1, 2), width, order | {"reason": "order"}]
    expectations = [
        Expectation.model_validate({"expect": rule.pop("expect"), "reason": rule.pop("reason"), "arguments": rule})
        for rule in declared
    ]
    judge_of_rules, handed = Judge(), []
    definition: Any = judge_of_rules._whole_frame
    spy: Any = SimpleNamespace(
        get_batch=lambda of: (handed.append(list(of["dataframe"].columns)), definition.get_batch(of))[1]
    )
    judge_of_rules._whole_frame = spy

    found = judge_of_rules.find_failures(pd.DataFrame({"id": ["a", "b"], "n": [1, 99], "m": [0, 100]}), expectations)

    assert handed == [["n"], [], ["id", "n", "m"], ["n", "m"]]
    assert [each.failed.tolist() for each in found] == [[1], [], [], [1]]
    assert [each.success for each in found] == [False, True, True, False]


def test_row_that_fails_a_rule_is_quarantined_and_the_others_pass(ingest: Ingest) -> None:
    accepted = judge(ingest, [at_most(10)], "a,1,\nb,99,\nragged\nc,,\n", "d,11,\n")

    assert accepted.validated.project("id").fetchall() == [("a",), ("c",)]
    assert reasons_by_id(accepted) == {"b": ["n_big"], None: ["malformed_line"], "d": ["n_big"]}
    assert [astuple(result) for result in accepted.results] == [
        (DROPS[0], "n_big", "error", 1, None, False, True),
        (DROPS[1], "n_big", "error", 1, None, False, True),
    ]


def test_warning_is_counted_and_lets_the_row_pass(ingest: Ingest) -> None:
    accepted = judge(ingest, [at_most(10, severity="warning"), rows_between(5, 9, severity="warning")], "a,99,\nb,1,\n")

    assert accepted.validated.project("id").fetchall() == [("a",), ("b",)]
    assert [astuple(result) for result in accepted.results] == [
        (DROPS[0], "n_big", "warning", 1, None, False, True),
        (DROPS[0], "volume", "warning", 2, "2", False, True),
    ]


def test_rule_about_the_whole_drop_refuses_it_and_quarantines_its_rows(ingest: Ingest) -> None:
    accepted = judge(ingest, [rows_between(2, 3), at_most(10)], "a,1,\nb,99,\n", "c,1,\n", "")

    assert accepted.validated.project("id").fetchall() == [("a",)]
    assert reasons_by_id(accepted) == {"b": ["n_big"], "c": ["drop_refused:volume"]}
    assert [astuple(result) for result in accepted.results if result.reason == "volume"] == [
        (DROPS[1], "volume", "error", 1, "1", True, True),
        (DROPS[2], "volume", "error", 0, "0", True, True),
    ]


def test_rule_that_compares_rows_is_about_the_drop(ingest: Ingest) -> None:
    unique = {"expect": "expect_column_values_to_be_unique", "column": "n", "reason": "n_twice"}

    accepted = judge(ingest, [unique], "a,1,\nb,1,\n", "c,1,\n")

    assert reasons_by_id(accepted) == {"a": ["drop_refused:n_twice"], "b": ["drop_refused:n_twice"]}
    assert accepted.validated.project("id").fetchall() == [("c",)]


def test_rule_that_cannot_be_evaluated_counts_as_failed(ingest: Ingest) -> None:
    not_a_pattern = {"expect": "expect_column_values_to_match_regex", "column": "id", "regex": "(", "reason": "pattern"}

    accepted = judge(ingest, [not_a_pattern], "a,1,\nb,2,\n")

    assert accepted.validated.fetchall() == []
    assert reasons_by_id(accepted) == {"a": ["drop_refused:pattern"], "b": ["drop_refused:pattern"]}
    (result,) = accepted.results
    assert (result.is_refused, result.failed_rows) == (True, 2)
    assert str(result.observed).startswith("could not be evaluated: ")


def test_name_that_great_expectations_does_not_know_is_refused_with_the_nearest(ingest: Ingest) -> None:
    misspelt = at_most(10, expect="expect_column_value_to_be_between")

    with pytest.raises(ExpectationError, match="nearest: expect_column_values_to_be_between"):
        judge(ingest, [misspelt], "a,1,\n")


def test_argument_that_an_expectation_does_not_take_is_refused_by_name(ingest: Ingest) -> None:
    with pytest.raises(ExpectationError, match=r"n_big: expect_column_values_to_be_between: .*maximum"):
        judge(ingest, [at_most(10, maximum=3)], "a,1,\n")
