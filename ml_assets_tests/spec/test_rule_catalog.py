from __future__ import annotations

from typing import Any

import pytest

from ml_assets.spec.model_kinds import KIND_PARAMETERS
from ml_assets.spec.rule_catalog import expectations, unknown_rules
from ml_assets.training.model_kinds import BUILT_IN


# great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
@pytest.mark.filterwarnings("ignore:module 'sre_.*' is deprecated:DeprecationWarning")
def test_catalog_is_what_great_expectations_has() -> None:
    import great_expectations.expectations  # noqa: F401 - fills the registry
    from great_expectations.expectations.expectation import BatchExpectation
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    base: Any = BatchExpectation
    shared = {*base.__fields__, "library_metadata"}
    found = {}
    for name in list_registered_expectation_implementations():
        if name.startswith("expect_"):
            rule: Any = get_expectation_impl(name)
            fields = {key: field for key, field in rule.__fields__.items() if key not in shared}
            required = {key for key, field in fields.items() if field.required}
            found[name] = (required, set(fields) - required)

    assert {name: (set(needed), set(more)) for name, (needed, more) in expectations().items()} == found


def test_parameters_of_kinds_are_those_that_estimators_have_defaults_for() -> None:
    found = {name: tuple(kind.parameters) for name, kind in BUILT_IN.items()} | {"blend": ()}

    assert found == KIND_PARAMETERS


def test_expectation_is_misspelt_by_name_and_by_argument() -> None:
    rules = [
        {"expect": "expect_column_values_to_be_betwen", "arguments": {"column": "a"}},
        {"expect": "expect_column_values_to_be_between", "arguments": {"max": 3}},
    ]

    found = dict(unknown_rules({"sources": [{"expectations": rules}]}))

    first, second, third = found.items()
    assert first[0] == ("sources", 0, "expectations", 0, "expect")
    assert first[1].endswith("; nearest: expect_column_values_to_be_between")
    assert second == (
        ("sources", 0, "expectations", 1, "arguments", "max"),
        "found 'max'; allowed: column, row_condition, condition_parser, min_value, max_value, strict_min, strict_max, "
        "mostly",
    )
    assert third == (
        ("sources", 0, "expectations", 1, "arguments", "column"),
        "is required by expect_column_values_to_be_between and missing",
    )
