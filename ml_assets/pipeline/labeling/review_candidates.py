"""Candidates of the review queue of a drop, and what each strategy measures of them, as known by the drop."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.labeling.k_center import choose_centers
from ml_assets.labeling.review_choice import Far
from ml_assets.labeling.votes import FloatArray, IntArray
from ml_assets.pipeline.labeling.review_points import feature_points
from ml_assets.pipeline.labeling.review_votes import VotersAsOf
from ml_assets.pipeline.scoring.shadows import SHADOWS
from ml_assets.spec.drop import DropKey, key_sql, key_type
from ml_assets.spec.review import ABSTAINED, DISAGREEMENT, DIVERSITY, UNCERTAINTY, ReviewSpec
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

MOST_SEEN = 500
_KEY = "NULL::{} AS batch_date, NULL::VARCHAR AS example_id"
_EMPTY: Mapping[str, str] = {
    "predictions": "NULL::DOUBLE AS score, NULL::VARCHAR AS abstained",
    SHADOWS: "NULL::VARCHAR AS role, NULL::DOUBLE AS score",
    "labels": "NULL::INTEGER AS label",
}


@dataclass(frozen=True, eq=False)
class ReviewCandidates:
    """Examples of one drop that people could be asked about, in order of drop and id.

    Attributes
    ----------
    rows
        `example_id`, `batch_date` (in which it was predicted), `score` (NaN: not predicted), `abstained`, `low` and
        `high`: what the models of the committee say, NaN where fewer than two say something.
    measures
        By strategy one number a candidate.
    far
        Chooses the farthest from what was queued before; None where diversity is not asked for.
    """

    rows: pd.DataFrame
    measures: Mapping[str, FloatArray]
    far: Far | None

    @property
    def names(self) -> list[str]:
        """The example_id of each candidate."""
        return self.rows["example_id"].tolist()


class CandidateReader:
    """Reads the candidates of drops from tables that are loaded once for a range."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]
    ) -> None:
        self._connection, self._spec, self._review = connection, spec, _review(spec)
        oldest = spec.calendar.earlier(drops[0], _reach(self._review))
        first, last = max(spec.calendar.first_drop, oldest), drops[-1]
        for table in ("examples", "features", "predictions", SHADOWS):
            _load(connection, state, table, (first, last))
        _load(connection, state, "labels", (spec.calendar.first_drop, last))
        self._voters = VotersAsOf(connection, spec, state) if spec.labeling else None

    def read(self, drop: DropKey, taken: Collection[str], answered: Collection[str]) -> ReviewCandidates:
        """Read the candidates of a drop: examples without a label, that are on no list and were not answered.

        Parameters
        ----------
        taken
            Examples on lists of earlier drops that are still open, in order; diversity keeps away from them.
        """
        length, calendar = self._review.examples_of, self._spec.calendar
        first = drop if length is None else max(calendar.first_drop, calendar.window_start(drop, length))
        rows = self._connection.sql(
            f"""
            SELECT e.example_id, e.batch_date, p.score, p.abstained, s.low, s.high
            FROM _examples AS e LEFT JOIN _predictions AS p USING (batch_date, example_id)
            LEFT JOIN (
                SELECT batch_date, example_id, min(score) AS low, max(score) AS high FROM _{SHADOWS} GROUP BY ALL
            ) AS s USING (batch_date, example_id)
            WHERE e.batch_date BETWEEN {key_sql(first)} AND {key_sql(drop)}
                AND e.example_id NOT IN (SELECT example_id FROM _labels WHERE batch_date <= {key_sql(drop)})
            ORDER BY e.batch_date, e.example_id
            """
        ).df()
        rows = rows.loc[~rows["example_id"].isin({*taken, *answered})].reset_index(drop=True)
        votes = self._votes(drop, rows)
        committee = np.column_stack([rows[["score", "low", "high"]].to_numpy(dtype=np.float64), votes])
        is_told = np.isfinite(rows["score"].to_numpy(dtype=np.float64)) & (np.isfinite(committee).sum(axis=1) > 1)
        rows["low"] = np.where(is_told, _least(committee), np.nan)
        rows["high"] = np.where(is_told, -_least(-committee), np.nan)
        score = rows["score"].to_numpy(dtype=np.float64)
        measures = {
            UNCERTAINTY: 1 - np.abs(2 * score - 1),
            DISAGREEMENT: (rows["high"] - rows["low"]).to_numpy(dtype=np.float64),
            ABSTAINED: np.where(rows["abstained"].notna().to_numpy(), 1.0, np.nan),
        }
        far = self._far(drop, rows, list(taken)) if self._review.shares.get(DIVERSITY) else None
        return ReviewCandidates(rows, measures, far)

    def _votes(self, drop: DropKey, rows: pd.DataFrame) -> FloatArray:
        """Give the probability of class 1 by the label model as of an earlier drop; NaN where no function votes."""
        if self._voters is None or not self._review.shares.get(DISAGREEMENT):
            return np.full(len(rows), np.nan)
        return self._voters.probabilities(drop, rows)

    def _far(self, drop: DropKey, rows: pd.DataFrame, taken: list[str]) -> Far | None:
        import pandas as pd

        if rows.empty:
            return None
        self._connection.register("_wanted", rows[["batch_date", "example_id"]])
        own = self._connection.sql(
            "SELECT f.* FROM _features AS f SEMI JOIN _wanted USING (batch_date, example_id) "
            "ORDER BY batch_date, example_id"
        ).df()
        if len(own) != len(rows):
            return None  # a drop whose features were not computed
        seen = self._features_of(drop, taken)
        both = feature_points(self._spec, pd.concat([own, seen], ignore_index=True), own)
        points, before = both[: len(own)], both[len(own) :]

        def far(left: IntArray, chosen: IntArray, count: int) -> tuple[IntArray, FloatArray]:
            known = np.vstack([before, points[chosen]])
            positions, distances = choose_centers(points[left], count, known if len(known) else None)
            return left[positions], distances

        return far

    def _features_of(self, drop: DropKey, names: Sequence[str]) -> pd.DataFrame:
        """Read features of examples, of the drops that are loaded for this drop alone too; the newest ones."""
        import pandas as pd

        self._connection.register("_seen", pd.DataFrame({"example_id": pd.Series(list(names), dtype="string")}))
        return self._connection.sql(
            "SELECT f.* FROM _features AS f SEMI JOIN _seen USING (example_id) WHERE batch_date BETWEEN "
            f"{key_sql(self._spec.calendar.earlier(drop, _reach(self._review)))} AND {key_sql(drop)} "
            f"ORDER BY batch_date DESC, example_id LIMIT {MOST_SEEN}"
        ).df()


def _least(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), values, np.inf).min(axis=1)


def _load(
    connection: duckdb.DuckDBPyConnection, state: UseCaseState, table: str, bounds: tuple[DropKey, DropKey]
) -> None:
    if state.lake.has(table):
        state.lake.relation(connection, table, bounds).create_view(f"_lake_{table}")
        connection.execute(f"CREATE TEMP TABLE _{table} AS SELECT * FROM _lake_{table}")
    else:
        key = _KEY.format(key_type(bounds[1]))
        connection.execute(f"CREATE TEMP TABLE _{table} AS SELECT {key}, {_EMPTY[table]} WHERE false")


def _reach(review: ReviewSpec) -> timedelta:
    """Give how far back an example on an open list can lie."""
    return review.open_for + (review.examples_of or timedelta(0))


def _review(spec: UseCaseSpec) -> ReviewSpec:
    if spec.review is None:
        raise LookupError(f"{spec.name} declares no review")
    return spec.review
