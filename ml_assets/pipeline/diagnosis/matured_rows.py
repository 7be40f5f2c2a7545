"""Matured, labelled examples with their features, as known in a drop, and what the champion says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.pipeline.labeling.reviewed_labels import show_labels_that_judge
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.model_store import ModelBundle
from ml_assets.stores.sandbox import show_tables
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

FloatArray = NDArray[np.float64]
DAY = "batch_date"


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Examples in order of drop, and the model's score of each; those it gives no score to are left out."""

    rows: pd.DataFrame
    scores: FloatArray

    @property
    def labels(self) -> FloatArray:
        """The outcomes."""
        return self.rows["label"].to_numpy(dtype=np.float64)

    @property
    def days(self) -> NDArray[np.str_]:
        """The drop of each."""
        return self.rows[DAY].astype(str).to_numpy(dtype=str)

    def where(self, mask: NDArray[np.bool_]) -> ScoredRows:
        """Give some of the rows."""
        return ScoredRows(self.rows.loc[mask].reset_index(drop=True), self.scores[mask])


def read_matured(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    state: UseCaseState,
    bounds: tuple[DropKey, DropKey],
    as_of: DropKey,
    excluded: Sequence[DropKey] = (),
) -> pd.DataFrame:
    """Read the examples of a range of drops that have matured with a label by a drop, in order of drop and example.

    Of several labels the newest that had come by then counts. Drops in which a feed was broken are left out.
    """
    lake = state.lake
    show_tables(connection, {"features": lake.files("features", drops=bounds)})
    show_labels_that_judge(connection, lake.files("labels", drops=(bounds[0], as_of)))
    rows = connection.execute(
        "SELECT f.*, l.label FROM features AS f JOIN (SELECT example_id, "
        "arg_max(label, (known_at, batch_date))::DOUBLE AS label "
        "FROM labels GROUP BY example_id) AS l USING (example_id) WHERE f.prediction_at <= ? "
        "AND l.label IS NOT NULL AND NOT list_contains(?, f.batch_date) ORDER BY f.batch_date, f.example_id",
        [spec.matured_by(as_of), list(excluded)],
    ).df()
    for view in ("features", "labels", "_all_labels"):
        connection.execute(f'DROP VIEW IF EXISTS "{view}"')
    return rows


def score_unseen(bundle: ModelBundle, rows: pd.DataFrame) -> ScoredRows:
    """Score the rows that the champion had not seen: what it was judged by before it was fitted again, and then itself.

    Rows that the judged model learned from are left out.
    """
    moments = rows["prediction_at"]
    rows = rows.loc[moments > datetime.fromisoformat(bundle.judged_until)].reset_index(drop=True)
    scores = bundle.model.predict(rows) if len(rows) else np.empty(0)
    is_learned = (rows["prediction_at"] <= datetime.fromisoformat(bundle.trained_until)).to_numpy(dtype=bool)
    if bundle.judged is not None and is_learned.any():
        scores = scores.copy()
        scores[is_learned] = bundle.judged_model.predict(rows.loc[is_learned])
    return ScoredRows(rows, scores).where(~task_of(bundle.recipe.task).scale.is_wrong(scores))
