from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ml_assets.pipeline.scoring.worklist import rank_outcome
from ml_assets.serving.worklist import draw_worklist, priority_of, unpredicted_weights
from ml_assets.spec.drop import DropKey
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


BY_MINUTES = Worklist(capacity=9, rank_by={"minutes": 1.0})


def ranked(minutes: Sequence[float | None], scores: Sequence[float]) -> tuple[list[str], dict[DropKey, list[str]]]:
    """Draw a list of one drop by minutes; give the order, and what no example has."""
    ids = [chr(ord("a") + place) for place in range(len(scores))]
    drops = pa.array([MONDAY] * len(scores))
    predictions = pa.table(
        {"batch_date": drops, "example_id": ids, "score": scores, "minutes": pa.array(minutes, pa.float64())}
    )
    with duckdb.connect() as connection:
        connection.register("predictions", predictions)
        connection.register("examples", pa.table({"batch_date": drops, "example_id": ids}))
        rows = draw_worklist(connection, BY_MINUTES).to_arrow_table().to_pylist()
        return [row["example_id"] for row in rows], unpredicted_weights(connection, BY_MINUTES)


def test_list_by_an_amount_that_the_model_does_not_predict_is_ranked_by_score_and_that_is_told() -> None:
    order, missing = ranked([None, None, None], [0.2, 0.9, 0.5])

    assert order == ["b", "c", "a"]
    assert missing == {MONDAY: ["minutes"]}
    outcome = rank_outcome(missing)
    assert (outcome.passed, outcome.is_error) == (False, False)
    assert "ranked by score" in outcome.description
    assert "minutes" in outcome.description


def test_example_for_which_the_model_abstained_takes_the_place_of_its_score() -> None:
    order, missing = ranked([30.0, None, 10.0, 50.0, None], [0.4, 0.8, 0.2, 0.5, 0.3])

    # by minutes d, a, c; b has the highest score of all, and two have a higher one than e
    assert order == ["b", "d", "a", "e", "c"]
    assert missing == {}


def test_order_of_the_gate_and_of_the_list_are_the_same() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        scores, minutes = rng.random(8), np.where(rng.random(8) < 0.4, np.nan, rng.random(8))
        order, _ = ranked([None if np.isnan(each) else each for each in minutes], scores.tolist())

        priority = priority_of(BY_MINUTES, {"score": scores, "minutes": minutes})

        assert order == [chr(ord("a") + place) for place in np.argsort(-priority, kind="stable")]
