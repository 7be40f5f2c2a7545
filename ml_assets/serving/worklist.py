"""The few examples of a day that people can act on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_assets.spec.drop import DropKey
from ml_assets.spec.objectives import SCORE
from ml_assets.spec.use_case import Worklist

if TYPE_CHECKING:
    import duckdb


def priority_of(worklist: Worklist, columns: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    """Give numbers by which the examples of one drop are ranked, the highest first.

    They are the weighed sum of score and objectives. Where the model lacks a weighed objective, all are ranked by
    score. Where single examples have none (the model abstained), those take the place that their score has among the
    others, and the numbers are places below zero.

    >>> by_minutes = Worklist(capacity=1, rank_by={"minutes": 1})
    >>> priority_of(by_minutes, {"score": [0.2, 0.5]}).tolist()
    [0.2, 0.5]
    >>> priority_of(by_minutes, {"score": [0.9, 0.8, 0.1], "minutes": [5, float("nan"), 70]}).tolist()
    [-3.0, -2.0, -1.0]
    """
    scores = np.asarray(columns[SCORE], dtype=np.float64)
    if not set(worklist.rank_by) <= set(columns):
        return scores
    weighed = [weight * np.asarray(columns[name], dtype=np.float64) for name, weight in worklist.rank_by.items()]
    sums = np.sum(weighed, axis=0)
    is_known = ~np.isnan(sums)
    if is_known.all():
        return sums
    place = np.empty(scores.size)
    place[is_known] = np.argsort(np.argsort(-sums[is_known], kind="stable"), kind="stable") + 1
    place[~is_known] = np.searchsorted(np.sort(-scores[is_known]), -scores[~is_known]) + 0.5
    ranked = np.lexsort((-scores, place))
    priority = np.empty(scores.size)
    priority[ranked] = -np.arange(1.0, scores.size + 1)
    return priority


def ranked_sql(worklist: Worklist, held: Collection[str]) -> str:
    """Give the same order as a SELECT over view `predictions`, whose columns are `held`.

    Grain: a prediction; `batch_date`, `example_id`, and its `rank` in the drop. Equal ones are in order of
    `example_id`.
    """
    weighed = " + ".join(
        f"{weight!r} * nullif(\"{name}\", 'NaN'::DOUBLE)" if name in held else "NULL::DOUBLE"
        for name, weight in worklist.rank_by.items()
    )
    return f"""
        SELECT batch_date, example_id, row_number() OVER (
            PARTITION BY batch_date ORDER BY if(priority IS NULL, n_above + 0.5, place), score DESC, example_id
        ) AS rank
        FROM (
            SELECT *,
                row_number() OVER (PARTITION BY batch_date ORDER BY priority DESC NULLS LAST, example_id) AS place,
                count(priority) OVER (
                    PARTITION BY batch_date ORDER BY score DESC GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ) AS n_above
            FROM (SELECT batch_date, example_id, score, {weighed} AS priority FROM predictions)
        )"""


def draw_worklist(connection: duckdb.DuckDBPyConnection, worklist: Worklist) -> duckdb.DuckDBPyRelation:
    """Rank the examples of each drop in view `predictions`, and keep the first `capacity`.

    Returns
    -------
    relation
        Grain: an example on the list of a drop. `batch_date`, `rank` (1 is the highest priority by `rank_by`; equal
        ones in order of `example_id`), `example_id`, `score`, and the declared columns of view
        `examples`.
    """
    columns = "".join(f', e."{name}"' for name in worklist.columns)
    held = connection.sql("SELECT * FROM predictions LIMIT 0").columns
    weighed = "".join(f', p."{name}"' for name in worklist.rank_by if name != SCORE and name in held)
    return connection.sql(
        f"""
        SELECT p.batch_date, r.rank, p.example_id, p.score{weighed}{columns}
        FROM predictions AS p
        JOIN ({ranked_sql(worklist, held)}) AS r USING (batch_date, example_id)
        JOIN examples AS e USING (batch_date, example_id)
        WHERE r.rank <= {worklist.capacity}
        ORDER BY p.batch_date, r.rank
        """
    )


def unpredicted_weights(connection: duckdb.DuckDBPyConnection, worklist: Worklist) -> dict[DropKey, list[str]]:
    """Name, for each drop in view `predictions`, the weighed amounts that its model predicts for no example."""
    held = connection.sql("SELECT * FROM predictions LIMIT 0").columns
    names = [name for name in worklist.rank_by if name != SCORE]
    counts = "".join(f", count(nullif(\"{n}\", 'NaN'::DOUBLE))" if n in held else ", 0" for n in names)
    abstained = "count(*) FILTER (abstained IS NULL)" if "abstained" in held else "count(*)"
    rows = connection.sql(f"SELECT batch_date, {abstained}{counts} FROM predictions GROUP BY 1 ORDER BY 1").fetchall()
    found = {
        drop: [n for n, m in zip(names, known, strict=True) if not m] for drop, n_scored, *known in rows if n_scored
    }
    return {drop: missing for drop, missing in found.items() if missing}
