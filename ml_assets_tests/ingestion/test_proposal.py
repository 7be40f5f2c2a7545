from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ml_assets.ingestion.profiling import ColumnProfile, FileProfile
from ml_assets.ingestion.proposal import find_parts, propose_expectations


def column(name: str, kind: Any = "string", rows: int = 1000, **facts: Any) -> ColumnProfile:
    return ColumnProfile(name, kind, rows, facts.pop("nulls", 0), facts.pop("distinct", rows), **facts)


def file(name: str, *columns: ColumnProfile, key: tuple[str, ...] = ("id",), **facts: Any) -> FileProfile:
    return FileProfile(name, columns[0].rows, 0, columns, ("",), key, **facts)


def moment(name: str, year: int = 2024) -> ColumnProfile:
    at = datetime(year, 1, 1, tzinfo=UTC)
    return column(name, "timestamp", lowest=at, highest=at)


@pytest.mark.parametrize(
    ("name", "lowest", "highest", "bounds"),
    [
        ("amount", 12, 9870, (0, 20_000)),
        ("delay", -20, 340, (-380, 700)),
        ("humidity_pct", 13.0, 99.0, (0, 100)),
        ("paid_share", 0.0, 1.0, (0, 1)),
        ("lat", 12.5, 47.2, (-90, 90)),
        ("rate", 0.0, 0.031, (0, 0.062)),
        ("zeros", 0, 0, (0, 1)),
    ],
)
def test_range_has_room_for_what_was_not_seen_yet(
    name: str, lowest: float, highest: float, bounds: tuple[float, float]
) -> None:
    (proposed,) = propose_expectations(file("f", column(name, "float", nulls=1, lowest=lowest, highest=highest)))

    assert (proposed.arguments["min_value"], proposed.arguments["max_value"]) == bounds
    assert proposed.why.startswith(f"seen {lowest} to {highest}; ")
    assert proposed.severity == "warning"


def test_each_proposal_has_its_reason_and_a_code_of_its_own() -> None:
    colours = column("colour", categories=(("red", 900), ("blue", 100)), distinct=2)
    given = file("f", column("id"), colours, column("zip", length=5, nulls=3), moment("opened_at"), moment("closed_at"),
                 in_order=(("opened_at", "closed_at"),))  # fmt: skip

    proposed = {each.reason: each for each in propose_expectations(given)}

    assert {reason: each.expect for reason, each in proposed.items()} == {
        "no_rows": "expect_table_row_count_to_be_between",
        "colour_missing": "expect_column_values_to_not_be_null",
        "colour_unknown": "expect_column_values_to_be_in_set",
        "zip_malformed": "expect_column_value_lengths_to_equal",
        "closed_at_before_opened_at": "expect_column_pair_values_a_to_be_greater_than_b",
    }
    assert proposed["colour_unknown"].arguments == {"column": "colour", "value_set": ["blue", "red"]}
    assert proposed["colour_unknown"].why == "2 values in 1,000 rows, the rarest (blue) 100 times"
    assert proposed["colour_missing"].why == "never missing in 1,000 rows"
    assert proposed["closed_at_before_opened_at"].arguments["column_A"] == "closed_at"


def test_few_rows_say_nothing_of_never() -> None:
    assert propose_expectations(file("f", column("colour", rows=20))) == []


def test_outcomes_are_the_file_that_names_the_examples_by_their_key_and_comes_later() -> None:
    branch = column("branch", distinct=8)
    loans = file("loans", column("loan_id"), branch, moment("applied_at"), key=("loan_id",))
    calls = file("calls", column("call_id"), column("loan_id"), moment("called_at", 2023), key=("call_id",))
    checks = file("checks", column("loan_id"), branch, moment("checked_at"), key=("loan_id",))
    branches = file("branches", column("branch", rows=8), key=("branch",))

    parts = find_parts([branches, calls, loans, checks])

    assert (parts.examples.name, parts.labels.name) == ("loans", "checks")
    assert parts.why == "checks has loan_id, which names a row of loans"
    assert {name: [other.name for other in others] for name, others in parts.entities.items()} == {
        "branch": ["branches", "checks"]
    }


def test_files_that_share_no_key_leave_examples_and_labels_in_one() -> None:
    a, b = file("a", column("id", rows=10)), file("b", column("n", rows=10), moment("at"), key=())

    parts = find_parts([a, b])

    assert (parts.examples.name, parts.labels.name, parts.why) == ("b", "b", "no file refers to another by its key")
