from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import Folds, ModelCandidate, Range, TrainingRecipe, Tuning
from ml_assets.stats.classification import log_loss
from ml_assets.training import tuning
from ml_assets.training.candidate import score_ahead
from ml_assets.training.time_folds import time_folds
from ml_assets.training.tuning import Trial, tune_candidates

HISTORY = ModelCandidate(name="history", kind="group_history", group_by=("carrier",))
TREES = ModelCandidate(
    name="trees",
    kind="xgboost",
    parameters={"rounds": 4, "max_depth": 2, "eta": 0.3},
    search={"max_depth": Range(low=1, high=5), "eta": Range(low=0.01, high=1, log=True)},
)
FEATURES = ["carrier", "hour"]
TALKS: list[str] = []


def recipe_of(trees: ModelCandidate = TREES, seed: int = 3) -> TrainingRecipe:
    folds = Folds(count=2, length=timedelta(days=6))
    return TrainingRecipe(
        seed=seed, threads=1, folds=folds, matures_after=timedelta(days=1), candidates=(HISTORY, trees)
    )


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 30 * 40
    frame = pd.DataFrame(
        {
            "prediction_at": pd.date_range("2013-01-01", periods=30, tz="UTC").repeat(40),
            "split": np.where(np.arange(n) < 26 * 40, "train", "holdout"),
            "carrier": rng.choice(["AA", "UA"], n),
            "hour": rng.integers(5, 23, n).astype(float),
        }
    )
    odds = (frame["hour"] - 14) / 4 * np.where(frame["carrier"] == "UA", 1, -1)
    return frame.assign(label=(rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float))


def tune(
    rows: pd.DataFrame, recipe: TrainingRecipe, trials: int, minutes: float = 5
) -> tuple[ModelCandidate, list[Trial]]:
    found, tried = tune_candidates(recipe, Tuning(trials=trials, minutes=minutes), rows, FEATURES, TALKS.append)
    assert found.candidates[0] == HISTORY
    return found.candidate("trees"), tried


def loss_ahead(rows: pd.DataFrame, candidate: ModelCandidate) -> float:
    """Score a candidate ahead by hand: the mean log loss over the windows."""
    train = rows.loc[rows["split"] == "train"]
    recipe = recipe_of()
    folds = time_folds(train, recipe.folds, recipe.matures_after)
    scored = [score_ahead(recipe, candidate, train, FEATURES, fold) for fold in folds]
    return float(np.mean([log_loss(labels, scores) for scores, labels in scored]))


def test_best_is_never_worse_than_what_is_declared_and_its_loss_is_that_of_its_windows(rows: pd.DataFrame) -> None:
    best, trials = tune(rows, recipe_of(), trials=10)

    marked = [trial for trial in trials if trial.is_best]
    complete = [trial.loss for trial in trials if trial.outcome == "complete"]
    assert len(trials) == 10
    assert trials[0].parameters == {"max_depth": 2, "eta": 0.3}
    assert trials[0].loss == pytest.approx(loss_ahead(rows, TREES), abs=1e-12)
    assert [trial.loss for trial in marked] == [min(complete)]
    assert marked[0].loss < trials[0].loss
    assert best.parameters == {"rounds": 4, **marked[0].parameters}
    assert loss_ahead(rows, best) == pytest.approx(marked[0].loss, abs=1e-12)
    assert isinstance(best.parameters["max_depth"], int)


def test_same_seed_searches_the_same_way_and_another_differently(rows: pd.DataFrame) -> None:
    one, same, other = (tune(rows, recipe_of(seed=seed), trials=4)[1] for seed in (3, 3, 4))

    assert repr(one) == repr(same)  # as text, for a loss may be NaN
    assert [trial.parameters for trial in one[1:]] != [trial.parameters for trial in other[1:]]


def test_rows_of_the_holdout_change_nothing(rows: pd.DataFrame) -> None:
    poisoned = rows.assign(label=np.where(rows["split"] == "holdout", 1 - rows["label"], rows["label"]))

    assert repr(tune(rows, recipe_of(), 2)) == repr(tune(poisoned, recipe_of(), 2))


def test_trial_above_the_median_is_stopped_after_its_first_window_and_is_not_the_best(
    rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([*[0.5, 0.5] * 5, 0.9, 0.4, 0.4])  # five whole trials, one that begins badly, one that is good
    monkeypatch.setattr(tuning, "score_ahead", lambda *_: (np.full(2, 0.5), np.array([0.0, 1.0])))
    monkeypatch.setattr(tuning, "log_loss", lambda *_: next(losses))

    _, trials = tune(rows, recipe_of(), trials=7)

    assert [(trial.outcome, trial.windows) for trial in trials[4:]] == [("complete", 2), ("pruned", 1), ("complete", 2)]
    assert np.isnan(trials[5].loss)
    assert [trial.is_best for trial in trials] == [False] * 6 + [True]


def test_budget_of_time_ends_the_search_after_the_trial_that_is_on(rows: pd.DataFrame) -> None:
    best, trials = tune(rows, recipe_of(), trials=50, minutes=1e-6)

    assert [(trial.outcome, trial.is_best) for trial in trials] == [("complete", True)]
    assert best.parameters == TREES.parameters


@pytest.mark.parametrize(
    ("declared", "first"),
    [
        ({"rounds": 4, "max_depth": 2}, {"max_depth": 2, "eta": 0.05}),  # what is not said is as the kind has it
        ({"rounds": 4, "max_depth": 7, "eta": 0.3}, {"max_depth": 7, "eta": 0.3}),  # out of the range
    ],
)
def test_search_begins_with_what_holds_without_it(
    declared: dict[str, float], first: dict[str, float], rows: pd.DataFrame
) -> None:
    candidate = TREES.model_copy(update={"parameters": declared})

    _, trials = tune(rows, recipe_of(candidate), trials=1)

    assert trials[0].parameters == first
    assert trials[0].loss == pytest.approx(loss_ahead(rows, candidate), abs=1e-12)


def test_nothing_to_search_and_no_window_to_search_on_are_said(rows: pd.DataFrame) -> None:
    bare = recipe_of(TREES.model_copy(update={"search": {}}))

    with pytest.raises(ValueError, match="no candidate declares `search`"):
        tune(rows, bare, trials=1)
    with pytest.raises(ValueError, match="too few for a window of 6 days"):
        tune(rows.iloc[: 10 * 40], recipe_of(), trials=1)
