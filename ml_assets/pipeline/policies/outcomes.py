"""Every example of a history with its outcome, in one order: what all models of a backtest are scored on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.pipeline.labeling.reviewed_labels import show_labels_that_judge
from ml_assets.pipeline.policies.policy_state import PolicyState
from ml_assets.spec.drop import DropKey
from ml_assets.spec.key_arrays import key_array, key_moment
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.sandbox import show_tables

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The examples of the drops from `first` to `last`, in order of drop and example.

    Attributes
    ----------
    drops
        Those that have examples, in order.
    starts
        Position of the first example of each drop, and the number of all.
    dates
        The drop of each example.
    matured_in
        The drop in which its outcome was due; NaT where that is after `last`.
    labels
        As known in the drop it matured in; NaN when none was, or when it has not matured.
    fingerprint
        Names the files that all this was read from.
    """

    first: DropKey
    last: DropKey
    drops: tuple[DropKey, ...]
    starts: NDArray[np.int64]
    dates: NDArray[np.datetime64]
    matured_in: NDArray[np.datetime64]
    labels: FloatArray
    fingerprint: str

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Which examples have matured with a label."""
        return ~np.isnan(self.labels)

    def place(self, drop: DropKey) -> int:
        """Give the position of the first example of `drop`, or of the next drop that has any."""
        return int(self.starts[np.searchsorted(key_array(self.drops), key_moment(drop))])

    def after(self, drop: DropKey) -> slice:
        """Give the positions of the examples of later drops than `drop`."""
        place = np.searchsorted(key_array(self.drops), key_moment(drop), side="right")
        return slice(int(self.starts[place]), int(self.starts[-1]))


def read_outcomes(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, state: PolicyState, first: DropKey, last: DropKey
) -> Outcomes:
    """Read the examples of the drops after `first` up to `last`, each with the label known when it matured.

    Of several labels of an example the newest that had come by then counts, as in the performance report.
    """
    import pyarrow as pa

    lake, bounds = state.lake, (spec.calendar.next_drop(first), last)
    features, labels = lake.files("features", drops=bounds), lake.files("labels", drops=bounds)
    show_tables(connection, {"features": features})
    show_labels_that_judge(connection, labels)
    due = spec.calendar.drops_between(*bounds)
    schema = pa.schema({"matured_in": pa.date32(), "predicted_until": pa.timestamp("us", tz="UTC")})
    due_at = pa.table({"matured_in": due, "predicted_until": [spec.matured_by(each) for each in due]}, schema=schema)
    connection.register("_due", due_at)
    table = connection.sql(
        """
        WITH example AS (
            SELECT f.batch_date, f.example_id, m.matured_in
            FROM features AS f ASOF LEFT JOIN _due AS m ON f.prediction_at <= m.predicted_until
        ), known AS (
            SELECT e.batch_date, e.example_id, arg_max(l.label, (l.known_at, l.batch_date))::DOUBLE AS label
            FROM example AS e JOIN labels AS l ON l.example_id = e.example_id AND l.batch_date <= e.matured_in
            GROUP BY e.batch_date, e.example_id
        )
        SELECT e.batch_date, e.matured_in, k.label FROM example AS e LEFT JOIN known AS k
        USING (batch_date, example_id) ORDER BY e.batch_date, e.example_id
        """
    ).to_arrow_table()
    for view in ("_due", "features", "labels", "_all_labels"):
        connection.unregister(view) if view == "_due" else connection.execute(f'DROP VIEW IF EXISTS "{view}"')
    dates = table["batch_date"].to_numpy().astype("datetime64[D]")
    drops, starts = np.unique(dates, return_index=True)
    names = [file.rpartition("/")[2] for each in (features, labels) for file in each.files]
    return Outcomes(
        first, last, tuple(drops.tolist()), np.append(starts, dates.size).astype(np.int64), dates,
        table["matured_in"].to_numpy().astype("datetime64[D]"), table["label"].to_numpy(),
        hashlib.sha256("/".join(names).encode()).hexdigest()[:16],
    )  # fmt: skip


def label_rows(
    connection: duckdb.DuckDBPyConnection, state: PolicyState, bounds: tuple[DropKey, DropKey]
) -> pd.DataFrame:
    """Read every label that became known of the examples of some drops: what a prior shift is learned from.

    Grain: a label of an example, in the order of drop, example and the moment it became known. `place` is the position
    of the example among those of `bounds`, in order of drop and example.
    """
    lake = state.lake
    show_tables(connection, {"features": lake.files("features", drops=bounds), "labels": lake.files("labels")})
    rows = connection.sql(
        "WITH f AS (SELECT batch_date, example_id, prediction_at, row_number() OVER (ORDER BY batch_date, example_id) "
        "- 1 AS place FROM features) SELECT f.place, f.batch_date AS drop, f.example_id, f.prediction_at, l.label, "
        "l.known_at, l.batch_date AS landed FROM f JOIN labels AS l USING (example_id) "
        "ORDER BY f.batch_date, f.example_id, l.known_at, l.batch_date"
    ).df()
    for view in ("features", "labels"):
        connection.execute(f'DROP VIEW IF EXISTS "{view}"')
    rows["drop"], rows["landed"] = rows["drop"].dt.date, rows["landed"].dt.date
    return rows
