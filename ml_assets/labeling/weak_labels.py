"""Votes of the declared labeling functions, by DuckDB over examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_assets.spec.labeling import LabelingSpec
from ml_assets.spec.user_sql import check_expression

if TYPE_CHECKING:
    import duckdb


def vote_on_examples(connection: duckdb.DuckDBPyConnection, spec: LabelingSpec) -> duckdb.DuckDBPyRelation:
    """Evaluate every labeling function on `_examples`, and `_moments` with batch_date and batch_at.

    `connection` is shut in. What is no class becomes an abstention, with the value in `refused`.

    Returns
    -------
    relation
        Grain: example x function, in that order. The columns of the table weak_labels.
    """
    for function in spec.functions:
        check_expression(function.sql)
    computed = ", ".join(f'({function.sql}\n) AS "{function.name}"' for function in spec.functions)
    connection.execute(f"CREATE TEMP TABLE _voted AS SELECT batch_date, example_id, {computed} FROM _examples")
    classes = ", ".join(map(str, spec.classes))
    parts = [
        f"SELECT batch_date, example_id, '{each.name}' AS function, {place} AS place, "
        f"{each.version}::BIGINT AS version, '{each.definition}' AS definition, "
        f'CAST("{each.name}" AS BIGINT) AS said FROM _voted'
        for place, each in enumerate(spec.functions)
    ]
    return connection.sql(
        "SELECT v.batch_date, v.example_id, v.function, "
        f"CASE WHEN said IN ({classes}) THEN said::INTEGER END AS label, "
        f"CASE WHEN said NOT IN ({classes}) THEN said::VARCHAR END AS refused, version, definition, "
        f"m.batch_at AS known_at FROM ({' UNION ALL '.join(parts)}) AS v JOIN _moments AS m USING (batch_date) "
        "ORDER BY v.batch_date, v.example_id, place"
    )
