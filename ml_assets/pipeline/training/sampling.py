"""A drawn training set, sampled and split by groups as its plan says; what is left out is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.spec.sampling import Sampling
from ml_assets.training.sampling import sample_rows
from ml_assets.training.time_folds import GROUP
from ml_assets.training.training_set import DrawPlan

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

EXAMPLES_VIEW = "_group_examples"


def sampling_of(plan: DrawPlan) -> Sampling | None:
    """Read the sampling of a plan; None where all rows are trained on."""
    return None if plan.sampling is None else Sampling.model_validate(plan.sampling)


def sampled(connection: duckdb.DuckDBPyConnection, plan: DrawPlan, rows: pa.Table) -> pa.Table:
    """Leave out training rows whose group is held out too, and draw among the others; the holdout stays as it is.

    Groups are kept as columns `_group_<name>`, by which windows ahead are split too.

    Where groups are declared, `connection` has a view of the examples. Rows stay in their order, and get
    `sample_weight` and `sample_reason`.

    Raises
    ------
    ValueError
        On an importance that is no number of 0 or more.
    """
    sampling = sampling_of(plan)
    if sampling is None:
        return rows
    if sampling.groups:
        rows = _without_held_out_groups(connection, rows, sampling.groups)
    return _drawn(sampling, plan, rows)


def _without_held_out_groups(connection: duckdb.DuckDBPyConnection, rows: pa.Table, groups: Sequence[str]) -> pa.Table:
    connection.register("_rows", rows)
    kept = " AND ".join(
        f'NOT EXISTS (SELECT 1 FROM _grouped AS h WHERE h.split = \'holdout\' AND h."{name}" = g."{name}")'
        for name in groups
    )
    listed = ", ".join(f'e."{name}"' for name in groups)
    shown = ", ".join(f'CAST(g."{name}" AS VARCHAR) AS "{GROUP}{name}"' for name in groups)
    found = connection.sql(
        f"""
        WITH _numbered AS (SELECT row_number() OVER () - 1 AS place, example_id, batch_date, split FROM _rows),
        _grouped AS (
            SELECT n.place, n.split, {listed}
            FROM _numbered AS n LEFT JOIN {EXAMPLES_VIEW} AS e USING (example_id, batch_date)
        )
        SELECT place, {shown} FROM _grouped AS g WHERE g.split = 'holdout' OR ({kept}) ORDER BY place
        """
    ).to_arrow_table()
    connection.unregister("_rows")
    kept_rows = rows.take(found["place"])
    for name in groups:
        kept_rows = kept_rows.append_column(f"{GROUP}{name}", found[f"{GROUP}{name}"])
    return kept_rows


def _drawn(sampling: Sampling, plan: DrawPlan, rows: pa.Table) -> pa.Table:
    import pyarrow as pa

    is_train = np.array([split == "train" for split in rows["split"].to_pylist()])
    places = np.flatnonzero(is_train)
    train = rows.take(pa.array(places))
    moments = train["prediction_at"].to_numpy().astype("datetime64[us]").astype(np.int64)
    ages_s = (moments.max(initial=0) - moments) / 1e6 if len(moments) else np.empty(0)
    asked = [*sampling.by, *([sampling.importance] if sampling.importance else [])]
    columns = {name: train[name].to_pylist() for name in asked}
    found = sample_rows(sampling, train["example_id"].to_pylist(), ages_s, columns, plan.seed)
    weights, reasons = np.ones(len(rows)), np.full(len(rows), "holdout", dtype=object)
    chosen = places[found.places]
    weights[chosen], reasons[chosen] = found.weights, found.reasons
    kept = np.sort(np.concatenate([np.flatnonzero(~is_train), chosen]))
    position = rows.column_names.index("split") + 1
    taken = rows.take(pa.array(kept))
    for name, values in (("sample_reason", pa.array(reasons[kept], pa.string())),
                         ("sample_weight", pa.array(weights[kept], pa.float64()))):  # fmt: skip
        taken = taken.add_column(position, name, values)
    return taken
