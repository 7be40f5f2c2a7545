"""What the evidence rests on: candidate, champion and baseline on the newest rows that none of them has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.pipeline.champion.record import CandidateRow, read_candidate, read_champion_before
from ml_assets.pipeline.features.versions import definitions_of, lost_features
from ml_assets.pipeline.training.training_set import TABLE as TRAINING_SET
from ml_assets.serving.routing import Part, Promotion
from ml_assets.stats.task import Task
from ml_assets.stats.tasks import task_of
from ml_assets.stores.model_store import ModelBundle
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.evaluation import newest_unseen
from ml_assets.training.model_kind import FittedModel

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

_MOST_OLD_ROWS = 20_000


@dataclass(frozen=True, eq=False)
class Comparison:
    """The candidate and what it is held against.

    Attributes
    ----------
    incumbent, champion
        What serves the candidate's as_of, and its model; None before the first promotion. The model is None, too,
        where features that it was trained on are declared otherwise by now, or not at all: it can score nothing.
    lacking
        Those features.
    champion_until
        The newest `prediction_at` that what serves may have trained on, whether it can be compared or not.
    window
        The newest matured rows that neither trained on; grain: a labelled example.
    scores
        By role (candidate, baseline, and champion if there is one), in the order of `window`.
    train_share
        Mean label of the candidate's training rows.
    n_train
        Those rows; None where they were not counted.
    old_losses
        Of a candidate that went on from the champion: the log loss of both, by role, on `n_old` rows of what the
        champion was trained on. Empty of one that was trained anew.
    """

    row: CandidateRow
    incumbent: Promotion | None
    candidate: ModelBundle
    champion: ModelBundle | None
    window: pd.DataFrame
    scores: dict[str, NDArray[np.float64]]
    train_share: float
    lacking: tuple[str, ...] = ()
    champion_until: datetime | None = None
    n_train: int | None = None
    old_losses: Mapping[str, float] = field(default_factory=dict[str, float])
    n_old: int = 0

    @property
    def task(self) -> Task:
        """What the candidate predicts, and how that is measured."""
        return task_of(self.candidate.recipe.task)

    @property
    def labels(self) -> NDArray[np.float64]:
        """The outcomes of the window."""
        return self.window["label"].to_numpy(dtype=np.float64)

    @property
    def days(self) -> list[str]:
        """The drop of each row of the window."""
        return self.window["batch_date"].astype(str).str[:10].tolist()

    @property
    def features(self) -> pd.DataFrame:
        """What the candidate is given of each row."""
        return self.window[list(self.candidate.features)]


def compare(state: UseCaseState) -> Comparison:
    """Load the newest candidate and the champion serving its as_of, and score the window with both.

    The same two are compared once a run, which looks at them five times.
    """
    lake = state.lake
    with state.connect() as connection:
        row = read_candidate(connection, lake)
        incumbent = read_champion_before(connection, lake, row.as_of)
        for each in (row, *([] if incumbent is None else [incumbent])):
            state.models.verify(each.model_version, each.artifact_sha256)
        return state.keep_newest("comparison", (row, incumbent), lambda: _compare(state, connection, row, incumbent))


def _compare(
    state: UseCaseState, connection: DuckDBPyConnection, row: CandidateRow, incumbent: Promotion | None
) -> Comparison:
    lake = state.lake
    drawn = lake.relation(connection, TRAINING_SET, version=row.training_set_version)
    rows = drawn.filter("split = 'holdout'").order("batch_date, example_id").df()
    candidate = state.models.load(row.model_version, row.artifact_sha256)
    train = learned_from(drawn, candidate).filter("split = 'train'")
    train_share, n_train = train.aggregate("avg(label), count(*)").fetchall()[0]
    champion, lacking = None, ()
    old = rows.iloc[:0]
    if incumbent is not None:
        champion = state.models.load(incumbent.model_version, incumbent.artifact_sha256)
        now = definitions_of(lake, row.training_set_version)
        lacking = lost_features(connection, lake, incumbent.model_version, champion.features, now)
        if not lacking and candidate.started_from == incumbent.model_version:
            old = _old_rows(drawn, datetime.fromisoformat(champion.trained_until))
    found = compare_models(row, incumbent, candidate, champion, rows, (float(train_share), n_train), tuple(lacking))
    old_losses: dict[str, float] = {}
    if found.champion is not None and len(old):  # of its model, also while its baseline serves as the fallback
        labels = old["label"].to_numpy(dtype=np.float64)
        both = {"candidate": candidate.judged_model, "champion": found.champion.model}
        old_losses = {
            role: task_of(candidate.recipe.task).loss(labels, model.predict(old)) for role, model in both.items()
        }
    return replace(found, old_losses=old_losses, n_old=len(old))


def compare_models(  # noqa: PLR0913, PLR0917 - what is compared, and on what
    row: CandidateRow,
    incumbent: Promotion | None,
    candidate: ModelBundle,
    champion: ModelBundle | None,
    rows: pd.DataFrame,
    trained_on: tuple[float, int],
    lacking: tuple[str, ...] = (),
) -> Comparison:
    """Score the newest rows that neither candidate nor champion has seen, with both and the baseline.

    Parameters
    ----------
    champion
        The model of `incumbent`; None before the first.
    rows
        The holdout of the candidate's training set.
    trained_on
        Mean label and number of its training rows.
    lacking
        Features of the champion that are declared otherwise by now: with any, it is not compared.
    """
    unseen_from = datetime.fromisoformat(candidate.judged_until)
    champion_until, opponent = None, None
    if incumbent is not None and champion is not None:
        champion_until = datetime.fromisoformat(champion.trained_until)
        opponent, unseen_after = _opponent(champion, unseen_from, incumbent.serves)
        unseen_from = max(unseen_from, unseen_after)
        champion = None if lacking else champion
    window = newest_unseen(rows, unseen_from)
    scores = {
        "candidate": candidate.judged_model.predict(window),
        "baseline": candidate.judged_baseline.predict(window),
    }
    if champion is not None and opponent is not None:
        said, is_wrong = opponent.predict(window), task_of(candidate.recipe.task).scale.is_wrong
        # where the champion gives no score, its baseline is what would serve
        scores["champion"] = np.where(is_wrong(said), champion.judged_baseline.predict(window), said)
    train_share, n_train = trained_on
    return Comparison(
        row, incumbent, candidate, champion, window, scores, train_share, lacking, champion_until, n_train
    )  # fmt: skip


def learned_from(drawn: DuckDBPyRelation, candidate: ModelBundle) -> DuckDBPyRelation:
    """Give the rows of a training set that a candidate was given: none older than its history, and the holdout.

    A history that begins at a change leaves out most of a training set.
    """
    after = candidate.recipe.history_after
    if after is None:
        return drawn
    return drawn.filter(f"split <> 'train' OR prediction_at > TIMESTAMPTZ '{after.isoformat()}'")


def _old_rows(drawn: DuckDBPyRelation, until: datetime) -> pd.DataFrame:
    """Give rows that a champion was trained on, spread over all of them, to see what of them is forgotten.

    After the backward transfer of Lopez-Paz and Ranzato, "Gradient episodic memory for continual learning" (2017).
    """
    known = drawn.filter(f"split = 'train' AND prediction_at <= TIMESTAMPTZ '{until.isoformat()}'")
    rows = known.order("prediction_at, example_id").df()
    return rows.iloc[:: -(-len(rows) // _MOST_OLD_ROWS) or 1]


def _opponent(champion: ModelBundle, holdout_after: datetime, serves: Part) -> tuple[FittedModel, datetime]:
    """Give what of the champion is compared, and the newest `prediction_at` it may have learned from.

    That is what would serve instead: its model, or its baseline while that serves as the fallback.

    What serves has learned its own holdout. Where that reaches into the candidate's, the model that was judged then is
    compared: it saw as little of this window as the candidate did.
    """
    served_until = datetime.fromisoformat(champion.trained_until)
    if champion.judged is None or served_until <= holdout_after:
        return champion.model if serves == "model" else champion.baseline, served_until
    judged = champion.judged_model if serves == "model" else champion.judged_baseline
    return judged, datetime.fromisoformat(champion.judged_until)
