"""Facts about outcomes, as they became known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ml_assets.stats.task import LabelRule

if TYPE_CHECKING:
    import duckdb

COLUMNS = ("example_id", "label", "known_at")


class LabelError(ValueError):
    """The SELECT of the declaration gave something that is no label."""


def validate_labels(
    connection: duckdb.DuckDBPyConnection, rule: LabelRule, measures: Sequence[str] = ()
) -> duckdb.DuckDBPyRelation:
    """Check the labels in table `_drawn` and give them their types.

    Parameters
    ----------
    rule
        Which labels the task knows.
    measures
        Declared columns of amounts beside the label.

    Returns
    -------
    relation
        Grain: an example in the drop in which its outcome became known. `batch_date`, `example_id`,
        `label` (never null), `known_at`, and each of `measures` (null: unknown).

    Raises
    ------
    LabelError
        If a column is missing, a value null or not allowed, or an example comes twice in one drop.
    """
    columns = connection.table("_drawn").columns
    missing = [name for name in (*COLUMNS, *measures) if name not in columns]
    if missing:
        found = ", ".join(columns[1:])
        raise LabelError(f"labels.sql: found columns {found}; missing: {', '.join(missing)}")
    amounts = "".join(f', CAST("{name}" AS DOUBLE) AS "{name}"' for name in measures)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE _settled AS SELECT batch_date, CAST(example_id AS VARCHAR) AS example_id, "
        f"CAST(label AS {rule.type}) AS label, "
        f"CAST(known_at AS TIMESTAMPTZ) AS known_at{amounts} FROM _drawn ORDER BY batch_date, example_id"
    )
    faults = connection.sql(
        "SELECT count(*) FILTER (WHERE example_id IS NULL OR known_at IS NULL), "
        f"count(*) FILTER (WHERE {rule.wrong}), "
        "count(*) - count(DISTINCT (batch_date, example_id)) FROM _settled"
    ).fetchall()[0]
    kinds = (
        "without example_id or known_at",
        f"with a label other than {rule.allowed}",
        "of an example already in the drop",
    )
    found = [f"{count} rows {kind}" for count, kind in zip(faults, kinds, strict=True) if count]
    if found:
        raise LabelError(f"labels.sql: found {'; '.join(found)}; allowed: none")
    return connection.table("_settled")
