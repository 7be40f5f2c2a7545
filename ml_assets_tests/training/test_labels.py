from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ml_assets.stats.binary import BINARY
from ml_assets.training.labels import LabelError, validate_labels

FIRST, SECOND = date(2013, 1, 2), date(2013, 1, 3)
KNOWN_AT = datetime(2013, 1, 1, 12, tzinfo=UTC)


def settle(drawn: dict[str, list[Any]]) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("_given", pa.table(drawn))
        connection.execute("CREATE TEMP TABLE _drawn AS SELECT * FROM _given")
        return validate_labels(connection, BINARY.labels).to_arrow_table().to_pylist()


def drawn(*labels: tuple[Any, Any], drops: list[date] | None = None, **more: list[Any]) -> dict[str, list[Any]]:
    """Give the columns of drawn labels, by (example_id, label)."""
    columns = {
        "batch_date": drops or [FIRST] * len(labels),
        "example_id": [name for name, _ in labels],
        "label": [label for _, label in labels],
        "known_at": [KNOWN_AT] * len(labels),
    }
    return {**columns, **more}


def test_labels_are_typed_and_ordered_and_other_columns_left_out() -> None:
    found = settle(drawn((7, True), (5, False), delay_min=[20, 3]))

    assert found == [
        {"batch_date": FIRST, "example_id": "5", "label": 0, "known_at": KNOWN_AT},
        {"batch_date": FIRST, "example_id": "7", "label": 1, "known_at": KNOWN_AT},
    ]


def test_label_corrected_in_a_later_drop_is_a_second_row() -> None:
    found = settle(drawn(("a", 1), ("a", 0), drops=[FIRST, SECOND]))

    assert [(row["batch_date"], row["label"]) for row in found] == [(FIRST, 1), (SECOND, 0)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (drawn(("a", 2), ("b", None), ("c", 1)), "2 rows with a label other than 0 or 1"),
        (drawn((None, 1)), "1 rows without example_id or known_at"),
        (
            drawn(("a", 1), known_at=pa.array([None], pa.timestamp("us", "UTC"))),
            "1 rows without example_id or known_at",
        ),
        (drawn(("a", 1), ("a", 1)), "1 rows of an example already in the drop"),
        (drawn((None, 3)), "1 rows without example_id or known_at; 1 rows with a label other than 0 or 1"),
    ],
)
def test_what_is_no_label_is_refused_with_its_count(given: dict[str, Any], message: str) -> None:
    with pytest.raises(LabelError, match=f"^labels.sql: found {message}; allowed: none$"):
        settle(given)


def test_missing_columns_are_refused_by_name() -> None:
    with pytest.raises(LabelError, match="found columns example_id, outcome; missing: label, known_at"):
        settle({"batch_date": [FIRST], "example_id": ["a"], "outcome": [1]})
