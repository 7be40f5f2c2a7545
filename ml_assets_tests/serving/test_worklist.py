from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from ml_assets.serving.worklist import draw_worklist
from ml_assets.spec.use_case import Worklist

MONDAY, TUESDAY = date(2013, 4, 1), date(2013, 4, 2)
SCORED = [
    (MONDAY, "b", 0.5), (MONDAY, "a", 0.5), (MONDAY, "c", 0.9), (MONDAY, "d", 0.1),
    (TUESDAY, "e", 0.2), (TUESDAY, "a", 0.3),
]  # fmt: skip


def listed(worklist: Worklist, scored: Sequence[tuple[date, str, float]] = SCORED) -> list[dict[str, Any]]:
    drops, ids, scores = zip(*scored, strict=True)
    predictions = pa.table({"batch_date": pa.array(drops), "example_id": ids, "score": scores})
    shown = [f"{drop.day}{name}" for drop, name in zip(drops, ids, strict=True)]
    examples = pa.table({"batch_date": pa.array(drops), "example_id": ids, "flight": shown})
    with duckdb.connect() as connection:
        connection.register("predictions", predictions)
        connection.register("examples", examples)
        return draw_worklist(connection, worklist).to_arrow_table().to_pylist()


def test_each_drop_keeps_its_highest_scores_and_ties_go_by_id() -> None:
    rows = listed(Worklist(capacity=3))

    assert [(row["batch_date"], row["rank"], row["example_id"], row["score"]) for row in rows] == [
        (MONDAY, 1, "c", 0.9),
        (MONDAY, 2, "a", 0.5),
        (MONDAY, 3, "b", 0.5),
        (TUESDAY, 1, "a", 0.3),
        (TUESDAY, 2, "e", 0.2),
    ]


def test_declared_columns_come_from_the_example_of_the_same_drop() -> None:
    rows = listed(Worklist(capacity=1, columns=("flight",)))

    assert [row["flight"] for row in rows] == ["1c", "2a"]
    assert list(rows[0]) == ["batch_date", "rank", "example_id", "score", "flight"]


def test_order_of_rows_changes_nothing() -> None:
    worklist = Worklist(capacity=2, columns=("flight",))

    assert listed(worklist, SCORED[::-1]) == listed(worklist)
