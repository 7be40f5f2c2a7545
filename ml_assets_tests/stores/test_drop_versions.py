"""The version of a drop is one of its rows."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from ml_assets.spec.drop import DropKey
from ml_assets.stores.drop_versions import drop_versions
from ml_assets.stores.lake import Lake

FIRST, SECOND, THIRD = (date(2013, 1, number) for number in (1, 2, 3))


def versions(lake: Lake, *rows: tuple[date, int | None, str]) -> dict[DropKey, str]:
    table = pa.table(
        {
            "batch_date": pa.array([row[0] for row in rows], pa.date32()),
            "n": pa.array([row[1] for row in rows], pa.int64()),
            "_run": [row[2] for row in rows],
        }
    )
    lake.replace_drops("facts", table, [FIRST, SECOND])
    with duckdb.connect() as connection:
        return drop_versions(connection, lake, "facts", [FIRST, SECOND, THIRD])


def test_version_is_of_the_values_of_a_drop_in_any_order(tmp_path: Path) -> None:
    lake = Lake(tmp_path)

    first = versions(lake, (FIRST, 1, "a"), (FIRST, None, "a"), (SECOND, 1, "a"))
    again = versions(lake, (FIRST, None, "b"), (SECOND, 1, "b"), (FIRST, 1, "b"))
    changed = versions(lake, (FIRST, 1, "a"), (FIRST, 2, "a"), (SECOND, 1, "a"))

    assert first == again
    assert changed[SECOND] == first[SECOND]
    assert changed[FIRST] != first[FIRST]
    assert first[THIRD] == "0"


def test_rows_that_are_there_twice_are_not_as_if_they_were_not_there(tmp_path: Path) -> None:
    lake = Lake(tmp_path)

    assert versions(lake, (FIRST, 1, ""), (FIRST, 1, ""))[FIRST] != versions(lake, (FIRST, 1, ""))[FIRST]


def test_table_that_was_never_written_has_empty_drops(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        assert drop_versions(connection, Lake(tmp_path), "facts", [FIRST]) == {FIRST: "0"}
