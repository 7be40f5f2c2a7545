"""The few examples of a day that people can act on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml_assets.spec.objectives import SCORE
from ml_assets.spec.use_case import Worklist

if TYPE_CHECKING:
    import duckdb


def priority_of(worklist: Worklist, columns: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    """Give what examples are ranked by: the weighed sum of score and objectives; what is not foretold counts as 0.

    Where nothing that is weighed is foretold, it is the score.

    >>> priority_of(Worklist(capacity=1, rank_by={"score": 1, "minutes": 0.01}), {"score": [0.2, 0.5]}).tolist()
    [0.2, 0.5]
    """
    weights = _weights(worklist, columns)
    return np.sum(
        [weight * np.nan_to_num(np.asarray(columns[name], dtype=np.float64)) for name, weight in weights.items()],
        axis=0,
    )


def priority_sql(worklist: Worklist, table: str, held: Collection[str]) -> str:
    """Give the same as SQL over the columns `held` by predictions; by score, where none of those it weighs is."""
    weights = _weights(worklist, held)
    return " + ".join(f'{weight!r} * coalesce({table}."{name}", 0)' for name, weight in weights.items())


def _weights(worklist: Worklist, held: Collection[str]) -> dict[str, float]:
    return {name: weight for name, weight in worklist.rank_by.items() if name in held} or {SCORE: 1.0}


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
    priority = priority_sql(worklist, "p", held)
    return connection.sql(
        f"""
        SELECT p.batch_date,
            row_number() OVER (PARTITION BY p.batch_date ORDER BY {priority} DESC, p.example_id) AS rank,
            p.example_id, p.score{weighed}{columns}
        FROM predictions AS p JOIN examples AS e USING (batch_date, example_id)
        QUALIFY rank <= {worklist.capacity}
        ORDER BY p.batch_date, rank
        """
    )
