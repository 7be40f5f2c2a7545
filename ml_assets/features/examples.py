"""Which drawn rows are examples, and why the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml_assets.spec.batch_times import create_batch_times
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.drop import DropKey

if TYPE_CHECKING:
    import duckdb

_REASONS = {
    "missing_example_id": "example_id IS NULL",
    "prediction_outside_drop": "coalesce(prediction_at <= previous_batch_at OR prediction_at > batch_at, true)",
    "example_twice_in_drop": "copy_in_drop > 1",
    "example_seen_before": "first_drop < batch_date",
    "outcome_already_known": "outcome_known_at <= prediction_at",
}


@dataclass(frozen=True)
class DrawnExamples:
    """The rows to predict, and those drawn that are not, with their reason."""

    accepted: duckdb.DuckDBPyRelation
    quarantined: duckdb.DuckDBPyRelation


def validate_examples(
    connection: duckdb.DuckDBPyConnection,
    calendar: Calendar,
    drops: Sequence[DropKey],
) -> DrawnExamples:
    """Decide which of the drawn rows can be predicted.

    Parameters
    ----------
    connection
        With tables `_drawn` (`batch_date`, `example_id`, optionally `prediction_at`, by default the
        batch; what is known), `_labels` (`example_id`, `known_at` of outcomes of the drops up to the
        last) and `_earlier` (`example_id`, `batch_date` of the examples before the first).

    Returns
    -------
    accepted and quarantined : DrawnExamples
        Grain of both: one drawn row. `accepted` has `example_id` once, ordered by drop and id.

    Raises
    ------
    ValueError
        If the SELECT of the declaration gives no `example_id`.
    """
    drawn = connection.table("_drawn").columns
    if "example_id" not in drawn:
        raise ValueError(f"examples.sql: found columns {', '.join(drawn[1:])}; required: example_id")
    create_batch_times(connection, "_batch_times", calendar, drops)
    known = [name for name in drawn if name not in ("batch_date", "example_id", "prediction_at")]
    columns = ", ".join(f'"{name}"' for name in known)
    ties = f", {columns}" if columns else ""
    moment = "drawn.prediction_at" if "prediction_at" in drawn else "batch_at"
    reason = " ".join(f"WHEN {condition} THEN '{name}'" for name, condition in _REASONS.items())
    judged = connection.sql(
        f"""
        WITH numbered AS (
            SELECT drawn.* EXCLUDE (example_id), CAST(drawn.example_id AS VARCHAR) AS example_id,
                CAST({moment} AS TIMESTAMPTZ) AS moment, previous_batch_at, batch_at
            FROM _drawn AS drawn JOIN _batch_times USING (batch_date)
        ), seen AS (
            SELECT example_id, min(batch_date) AS first_drop
            FROM (SELECT example_id, batch_date FROM numbered UNION ALL SELECT example_id, batch_date FROM _earlier)
            GROUP BY example_id
        ), outcomes AS (
            SELECT example_id, min(known_at) AS outcome_known_at FROM _labels GROUP BY example_id
        ), judged AS (
            SELECT batch_date, example_id, moment AS prediction_at, {columns or "NULL AS _none"}, previous_batch_at,
                batch_at, first_drop, outcome_known_at,
                row_number() OVER (PARTITION BY batch_date, example_id ORDER BY moment{ties}) AS copy_in_drop
            FROM numbered LEFT JOIN seen USING (example_id) LEFT JOIN outcomes USING (example_id)
        )
        SELECT batch_date, example_id, prediction_at, {columns or "NULL AS _none"}, CASE {reason} END AS reason
        FROM judged
        """
    )
    return DrawnExamples(
        accepted=judged.filter("reason IS NULL").project("* EXCLUDE (reason)").order("batch_date, example_id"),
        quarantined=judged.filter("reason IS NOT NULL").order("batch_date, example_id"),
    )
