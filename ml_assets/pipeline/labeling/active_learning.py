"""History replayed with its labels hidden: what each strategy of asking people would have been worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.labeling.active_learning import (
    SIMULATED,
    CurveScores,
    LabelHistory,
    LearningCurves,
    buy_labels,
    cut_rounds,
    draw_curves,
    label_counts,
)
from ml_assets.labeling.votes import FloatArray, IntArray
from ml_assets.pipeline.labeling.gold_worth import learning_candidate
from ml_assets.pipeline.labeling.review_points import feature_points
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.classification import auc
from ml_assets.stores.lake import MissingTableError
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.estimators import fit_candidate
from ml_assets.training.fit_pool import fit_side_by_side

if TYPE_CHECKING:
    import pandas as pd

SHARES = (0.02, 0.05, 0.1, 0.2, 0.4)
SEEDS, ROUNDS = 20, 8
MOST = 4000  # examples to buy from, and examples that measure; of more, so many are drawn
LEAST, LEAST_OF_A_CLASS = 200, 20
_NEWER = 0.3  # of the labeled examples, what measures


class TooFewHiddenLabelsError(LookupError):
    """Too few labels to hide and to measure with."""


@dataclass(frozen=True, eq=False)
class _Replay:
    """Examples to buy from and newer ones, each in order of time, and how a model is fitted."""

    spec: UseCaseSpec
    pool: pd.DataFrame
    newer: pd.DataFrame
    history: LabelHistory

    def scores(self, bought: IntArray, rows: pd.DataFrame) -> FloatArray | None:
        """Score rows by the first candidate that learns, fitted on what was bought; None where that is of one class."""
        candidate, labels = learning_candidate(self.spec), self.pool["label"].to_numpy(dtype=np.float64)[bought]
        if not labels.size or labels.min() == labels.max():
            return None
        names = list(candidate.features or self.spec.features.feature_names())
        model = fit_candidate(candidate, self.pool[names].iloc[bought], labels, seed=self.spec.model.seed)
        return model.predict(rows[names])

    def run(self, strategy: str, share: float, seed: int) -> FloatArray:
        """Buy labels, and score the newer examples by a model on them; 0.5 where all labels bought are of one class."""
        rng = np.random.default_rng([seed, round(share * 1000)])

        def predict(bought: IntArray, left: IntArray) -> FloatArray | None:
            return self.scores(bought, self.pool.iloc[left])

        found = self.scores(np.sort(buy_labels(self.history, strategy, share, predict, rng)), self.newer)
        return np.full(len(self.newer), 0.5) if found is None else found


def simulate_labels(
    spec: UseCaseSpec,
    state: UseCaseState,
    *,
    seeds: int = SEEDS,
    tell: Callable[[str], None] = lambda _: None,
) -> LearningCurves:
    """Hide the labels of the older examples, let each strategy buy shares of them, and measure on the newer ones.

    Labels are those that matured by the newest drop, of people or natural ones, and no weak ones. Fits have one thread
    each, and `model.threads` of them run side by side.

    Raises
    ------
    MissingTableError
        Where no drop was run.
    TooFewHiddenLabelsError
        On fewer than 200 older labels, or 20 newer ones of a class.
    """
    replay = _prepare(spec, _labeled(spec, state))
    keys = [(strategy, share) for share in SHARES for strategy in SIMULATED]
    by_model: dict[tuple[str, float], FloatArray] = {}
    for strategy, share in keys:
        tell(f"{strategy}, {share:.0%} of {len(replay.pool)} labels")
        tasks = [partial(replay.run, strategy, share, seed) for seed in range(seeds)]
        by_model[strategy, share] = np.array(fit_side_by_side(tasks, spec.model.threads))
    everything = np.arange(len(replay.pool))
    full = fit_side_by_side([partial(replay.scores, everything, replay.newer)], 1)[0]
    truth = replay.newer["label"].to_numpy(dtype=np.float64)
    scores = CurveScores(truth, by_model, label_counts(replay.history, SHARES), np.asarray(full))
    return draw_curves(scores, auc, np.random.default_rng(spec.model.seed), len(replay.pool))


def _labeled(spec: UseCaseSpec, state: UseCaseState) -> pd.DataFrame:
    """Read the matured examples with a label and their features, in order of time."""
    lake = state.lake
    for table in ("features", "labels"):
        if not lake.has(table):
            raise MissingTableError(f"{spec.name} has no {table} yet; run `ml-assets batch {spec.name}` first")
    with state.connect() as connection:
        lake.relation(connection, "features").create_view("_features")
        lake.relation(connection, "labels").create_view("_labels")
        newest = connection.sql("SELECT max(batch_date) FROM _features").fetchall()[0][0]
        return connection.sql(
            "SELECT l.label, f.* FROM _features AS f JOIN (SELECT example_id, arg_max(label, (known_at, batch_date)) "
            f"AS label FROM _labels GROUP BY example_id) AS l USING (example_id) WHERE f.prediction_at <= "
            f"TIMESTAMPTZ '{spec.matured_by(newest).isoformat()}' ORDER BY f.prediction_at, f.example_id"
        ).df()


def _prepare(spec: UseCaseSpec, rows: pd.DataFrame) -> _Replay:
    """Cut labeled examples into those to buy from and newer ones; of many, so many are drawn by a seed."""
    at = round(len(rows) * (1 - _NEWER))
    older, newer = rows.iloc[:at], rows.iloc[at:]
    positives = int(newer["label"].sum())
    rarest = min(positives, len(newer) - positives)
    if len(older) < LEAST or rarest < LEAST_OF_A_CLASS or older["label"].nunique() < 2:
        raise TooFewHiddenLabelsError(
            f"{spec.name}: {len(older)} labels to buy from, {rarest} of the rarer class among the {len(newer)} newer "
            f"ones that measure; {LEAST} and {LEAST_OF_A_CLASS} are needed"
        )
    rng = np.random.default_rng(spec.model.seed)
    pool, newer = (_draw(each, rng) for each in (older, newer))
    points = feature_points(spec, pool)
    return _Replay(spec, pool, newer, LabelHistory(points, cut_rounds(len(pool), ROUNDS)))


def _draw(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    if len(rows) > MOST:
        rows = rows.iloc[np.sort(rng.choice(len(rows), MOST, replace=False))]
    return rows.reset_index(drop=True)
