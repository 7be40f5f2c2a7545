from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import Folds, ModelCandidate, TrainingRecipe, WarmStart
from ml_assets.training.boosted_trees import FittedBoostedTrees
from ml_assets.training.candidate import Start, fit_bare, fit_candidates, going_on
from ml_assets.training.estimators import part_of
from ml_assets.training.time_folds import time_folds
from ml_assets_tests.training.conftest import made_up_flights

BEGIN = pd.Timestamp("2013-01-01", tz="UTC")
FEATURES = ["carrier", "hour", "wind_speed_mph", "is_holiday", "gate"]
TREES = ModelCandidate(name="trees", kind="xgboost", parameters={"rounds": 10, "max_depth": 3})
LINE = ModelCandidate(name="line", kind="logistic_regression", parameters={"min_frequency": 20})
BLEND = ModelCandidate(name="blend", kind="blend", members=("line", "trees"))


def _warm(rounds: int = 4, replay_share: float = 0.0) -> ModelCandidate:
    return TREES.model_copy(update={"warm_start": WarmStart(rounds=rounds, replay_share=replay_share)})


def _recipe(*candidates: ModelCandidate) -> TrainingRecipe:
    return TrainingRecipe(
        threads=1, matures_after=timedelta(days=2), folds=Folds(count=1, length=timedelta(days=8)),
        candidates=(ModelCandidate(name="constant", kind="constant"), *candidates),
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Thirty days of twenty flights, all of them to train on."""
    frame, labels = made_up_flights(600)
    moments = [BEGIN + timedelta(days=int(day)) for day in np.repeat(np.arange(30), 20)]
    return frame.assign(label=labels.astype(float), prediction_at=moments, split="train")


@pytest.fixture(scope="module")
def start(rows: pd.DataFrame) -> Start:
    """Trees of the first twenty days."""
    until = BEGIN + timedelta(days=19)
    model = fit_bare(_recipe(TREES), TREES, rows.loc[rows["prediction_at"] <= until], FEATURES)
    return Start(model, until.to_pydatetime(), "champion")


def test_rounds_are_added_to_the_champions_trees_on_the_newer_rows(rows: pd.DataFrame, start: Start) -> None:
    warm = _warm(rounds=4)
    found = going_on(_recipe(warm), warm, rows, FEATURES, start)

    assert found is not None
    assert rows.loc[found[1], "prediction_at"].min() == BEGIN + timedelta(days=20)
    assert int(found[1].sum()) == 200
    model = fit_bare(_recipe(warm), warm, rows, FEATURES, start)
    assert isinstance(model, FittedBoostedTrees)
    assert model.booster.num_boosted_rounds() == 14
    assert model.to_files() == fit_bare(_recipe(warm), warm, rows, FEATURES, start).to_files()


def test_a_share_of_the_older_rows_is_shown_again_and_the_newer_ones_all(rows: pd.DataFrame, start: Start) -> None:
    warm = _warm(replay_share=0.25)
    found = going_on(_recipe(warm), warm, rows, FEATURES, start)

    assert found is not None
    is_new = (rows["prediction_at"] > start.trained_until).to_numpy()
    assert found[1][is_new].all()
    assert 0.18 < found[1][~is_new].mean() < 0.32


@pytest.mark.parametrize("kind", ["line", "other features", "no warm start", "nothing new"])
def test_what_cannot_go_on_is_trained_anew_on_all_rows(rows: pd.DataFrame, start: Start, kind: str) -> None:
    warm, names = _warm(), FEATURES
    if kind == "line":
        start = Start(fit_bare(_recipe(LINE), LINE, rows, FEATURES), start.trained_until, "champion")
    elif kind == "other features":
        names = FEATURES[:-1]
    elif kind == "no warm start":
        warm = TREES
    else:
        start = Start(start.model, rows["prediction_at"].max().to_pydatetime(), "champion")

    assert going_on(_recipe(warm), warm, rows, names, start) is None
    anew = fit_bare(_recipe(TREES), TREES, rows, names)
    assert fit_bare(_recipe(warm), warm, rows, names, start).to_files() == anew.to_files()


def test_a_member_goes_on_from_the_champions_member_of_its_name(rows: pd.DataFrame) -> None:
    held = rows.assign(split=np.where(rows["prediction_at"] > BEGIN + timedelta(days=25), "holdout", "train"))
    before = fit_candidates(_recipe(LINE, TREES, BLEND), held, FEATURES)[-1].model
    start = Start(before, (BEGIN + timedelta(days=15)).to_pydatetime(), "champion")

    after = fit_candidates(_recipe(LINE, _warm(rounds=3), BLEND), held, FEATURES, start=start)[-1].model

    trees = part_of(after, "trees")
    assert isinstance(trees, FittedBoostedTrees)
    assert trees.booster.num_boosted_rounds() == 13


def test_windows_ahead_are_scored_by_trees_that_went_on_as_the_candidate_does(rows: pd.DataFrame, start: Start) -> None:
    warm = _warm(rounds=4)
    is_held = rows["prediction_at"] > BEGIN + timedelta(days=26)
    parts = rows.assign(split=np.where(is_held, "holdout", "train"))
    train = parts.loc[~is_held]
    (fold,) = time_folds(train, _recipe(warm).folds, timedelta(days=2))

    cold, going = (
        next(
            each
            for each in fit_candidates(_recipe(warm), parts, FEATURES, start=given)
            if each.candidate.name == "trees"
        )
        for given in (None, start)
    )

    before = train.loc[fold.train]
    age = train["prediction_at"].max() - pd.Timestamp(start.trained_until)
    until = before["prediction_at"].max() - age
    older = before.loc[before["prediction_at"] <= until]
    model = fit_bare(_recipe(warm), warm, older, FEATURES)
    model = fit_bare(_recipe(warm), warm, before, FEATURES, Start(model, until.to_pydatetime(), ""))
    assert going.ahead_scores.tolist() == model.predict(train.loc[fold.test, FEATURES]).tolist()
    assert cold.ahead_scores.tolist() != going.ahead_scores.tolist()
