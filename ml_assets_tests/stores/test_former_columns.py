"""Columns of an earlier release are read by the names they have now."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from ml_assets.stores.lake import Lake


def rows_of(lake: Lake, table: str) -> list[dict[str, object]]:
    with duckdb.connect() as connection:
        return lake.relation(connection, table).order("n").to_arrow_table().to_pylist()


def test_column_of_an_earlier_release_has_its_name_of_now_also_where_newer_rows_follow(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("champion", pa.table({"n": [1], "rung": ["trees"]}))
    before = rows_of(lake, "champion")
    lake.append("champion", pa.table({"n": [2], "candidate": ["line"]}))

    assert before == [{"n": 1, "candidate": "trees"}]
    assert rows_of(lake, "champion") == [{"n": 1, "candidate": "trees"}, {"n": 2, "candidate": "line"}]


def test_column_of_that_name_in_a_table_of_a_user_stays_as_it_is(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("validated_ladders", pa.table({"n": [1], "rung": ["third"]}))

    assert rows_of(lake, "validated_ladders") == [{"n": 1, "rung": "third"}]
