"""Examples that people acted on beside those they did not, from the tables of a use case."""

from __future__ import annotations

import numpy as np

from ml_assets.monitoring.acted_examples import ActedComparison, compare_acted
from ml_assets.serving.worklist import ranked_sql
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState

_TABLES = ("predictions", "worklist", "labels")


def compare_with_not_acted(spec: UseCaseSpec, state: UseCaseState, as_of: DropKey) -> ActedComparison | None:
    """Compare the examples of each list with as many below it, on labels known and matured by a drop.

    The list is the stored one; the next examples are ranked as it is declared now. None where no list is declared as
    acted on, or a table is not there yet.
    """
    lake = state.lake
    if spec.acted_on is None or not all(lake.has(table) for table in _TABLES):
        return None
    first = spec.calendar.first_drop
    with state.connect() as connection:
        for table in _TABLES:
            lake.relation(connection, table, (first, as_of)).create_view(table, replace=True)
        ranked = ranked_sql(spec.worklist, connection.view("predictions").columns)
        rows = connection.execute(
            f"""
            WITH ranked AS ({ranked}), known AS (
                SELECT example_id, arg_max(label, (known_at, batch_date))::DOUBLE AS label FROM labels GROUP BY 1
            ), lists AS (SELECT batch_date, max(rank) AS length FROM worklist GROUP BY 1)
            SELECT dense_rank() OVER (ORDER BY p.batch_date) AS drop_number, w.example_id IS NOT NULL AS is_acted,
                (coalesce(w.rank, r.rank) - l.length - 0.5) / l.length AS place, k.label, p.score
            FROM predictions AS p JOIN ranked AS r USING (batch_date, example_id) JOIN lists AS l USING (batch_date)
            JOIN known AS k USING (example_id) LEFT JOIN worklist AS w USING (batch_date, example_id)
            WHERE (w.example_id IS NOT NULL OR r.rank BETWEEN l.length + 1 AND 2 * l.length)
                AND p.prediction_at <= ? AND isfinite(p.score) AND isfinite(k.label)
            ORDER BY p.batch_date, place
            """,
            [spec.matured_by(as_of)],
        ).fetchnumpy()
    places = np.asarray(rows["place"], dtype=np.float64)
    drops, labels, scores = (np.asarray(rows[name]) for name in ("drop_number", "label", "score"))
    rng = np.random.default_rng(spec.model.seed)
    return compare_acted(drops.astype(np.int64), places, labels.astype(np.float64), scores.astype(np.float64), rng)
