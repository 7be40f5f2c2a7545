"""The few examples of a day that people can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_assets.spec.objectives import SCORE
from ml_assets.spec.use_case import Worklist

if TYPE_CHECKING:
    import duckdb


def draw_worklist(connection: duckdb.DuckDBPyConnection, worklist: Worklist) -> duckdb.DuckDBPyRelation:
    """Rank the examples of each drop in view `predictions`, and keep the first `capacity`.

    Returns
    -------
    relation
        Grain: an example on the list of a drop. `batch_date`, `rank` (1 is the highest score; equal
        scores in order of `example_id`), `example_id`, `score`, and the declared columns of view
        `examples`.
    """
    columns = "".join(f', e."{name}"' for name in worklist.columns)
    weighed = "".join(f', p."{name}"' for name in worklist.rank_by if name != SCORE)
    priority = " + ".join(f'{weight!r} * coalesce(p."{name}", 0)' for name, weight in worklist.rank_by.items())
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
