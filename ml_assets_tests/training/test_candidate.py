from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import CalibrationMethod, Folds, Imbalance, ModelCandidate, TrainingRecipe, WarmStart
from ml_assets.stats.classification import expected_calibration_error, summary
from ml_assets.training.blend import Blend
from ml_assets.training.boosted_trees import FittedBoostedTrees
from ml_assets.training.calibration import CalibratedModel
from ml_assets.training.candidate import MeasuredCandidate, Start, fit_candidates, going_on, score_ahead
from ml_assets.training.constant import Constant
from ml_assets.training.estimators import fit_candidate, part_of
from ml_assets.training.model_kind import FittedModel
from ml_assets.training.time_folds import time_folds

DAYS, A_DAY, HOLDOUT = 40, 60, 32
START = datetime(2013, 1, 1, 9, tzinfo=UTC)
FEATURES = ["carrier", "hour"]
CONSTANT = ModelCandidate(name="constant", kind="constant")
HISTORY = ModelCandidate(name="history", kind="group_history", group_by=("carrier",))
LINE = ModelCandidate(name="line", kind="logistic_regression", parameters={"min_frequency": 5})
TREES = ModelCandidate(name="trees", kind="xgboost", parameters={"rounds": 10, "max_depth": 2, "eta": 0.3})
WARM = TREES.model_copy(update={"warm_start": WarmStart(rounds=3, replay_share=0.5)})
BLEND = ModelCandidate(name="blend", kind="blend", members=("line", "trees"))


def recipe_of(
    *candidates: ModelCandidate,
    calibration: CalibrationMethod = "none",
    imbalance: Imbalance = "none",
    windows: int = 2,
) -> TrainingRecipe:
    return TrainingRecipe(
        threads=1, folds=Folds(count=windows, length=timedelta(days=6)), matures_after=timedelta(days=2),
        calibration=calibration, imbalance=imbalance, candidates=candidates,
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Flights of forty days, one in six late; the newest eight days are held out."""
    rng = np.random.default_rng(1)
    day = np.arange(DAYS).repeat(A_DAY)
    frame = pd.DataFrame(
        {
            "prediction_at": [START + timedelta(days=int(each)) for each in day],
            "split": np.where(day < HOLDOUT, "train", "holdout"),
            "carrier": rng.choice(["AA", "UA", "B6"], day.size),
            "hour": rng.integers(5, 23, day.size).astype(float),
        }
    )
    odds = (frame["hour"] - 14) / 5 + (frame["carrier"] == "B6") * 0.8 - 2.3
    return frame.assign(label=(rng.random(day.size) < 1 / (1 + np.exp(-odds))).astype(float))


def candidate_of(measured: list[MeasuredCandidate], name: str) -> MeasuredCandidate:
    return next(each for each in measured if each.candidate.name == name)


def bytes_of(measured: list[MeasuredCandidate]) -> list[dict[str, bytes]]:
    return [each.model.to_files() for each in measured]


def test_labels_of_the_holdout_change_no_model_and_nothing_it_is_chosen_by(rows: pd.DataFrame) -> None:
    recipe = recipe_of(CONSTANT, HISTORY, LINE, TREES, BLEND, calibration="platt")
    flipped = rows.assign(label=np.where(rows["split"] == "holdout", 1 - rows["label"], rows["label"]))

    plain, other, again = (fit_candidates(recipe, each, FEATURES) for each in (rows, flipped, rows))

    assert bytes_of(plain) == bytes_of(other) == bytes_of(again)
    assert [each.ahead for each in plain] == [each.ahead for each in other]
    assert all(one.measures != two.measures for one, two in zip(plain, other, strict=True))
    assert [each.candidate.name for each in plain] == ["constant", "history", "line", "trees", "blend"]


def test_measures_ahead_are_those_of_models_trained_before_each_window(rows: pd.DataFrame) -> None:
    train = rows.loc[rows["split"] == "train"]
    recipe = recipe_of(HISTORY, LINE)
    folds = time_folds(train, recipe.folds, recipe.matures_after)
    parts = [score_ahead(recipe, LINE, train, FEATURES, fold) for fold in folds]
    expected = summary(np.concatenate([y for _, y in parts]), np.concatenate([p for p, _ in parts]))

    measured = candidate_of(fit_candidates(recipe, rows, FEATURES), "line")

    assert len(folds) == 2
    assert measured.ahead == expected
    assert measured.measures == summary(rows.loc[rows["split"] == "holdout", "label"], measured.holdout_scores)


@pytest.mark.parametrize("imbalance", ["weights", "undersample"])
@pytest.mark.parametrize("calibration", ["platt", "isotonic"])
def test_scores_of_balanced_rows_are_far_off_and_calibration_brings_them_back(
    imbalance: Imbalance, calibration: CalibrationMethod, rows: pd.DataFrame
) -> None:
    holdout = rows.loc[rows["split"] == "holdout"]
    share = holdout["label"].mean()

    bare, mended = (
        candidate_of(
            fit_candidates(recipe_of(HISTORY, LINE, imbalance=imbalance, calibration=how), rows, FEATURES), "line"
        )
        for how in ("none", calibration)
    )

    assert bare.holdout_scores.mean() > share + 0.2
    assert mended.holdout_scores.mean() == pytest.approx(share, abs=0.03)
    assert expected_calibration_error(holdout["label"], mended.holdout_scores) < 0.05
    assert mended.measures["log_loss"] < bare.measures["log_loss"] - 0.1
    assert mended.ahead is not None
    assert mended.ahead["ece"] < 0.06


def test_shares_are_counted_evenly_whatever_the_balance(rows: pd.DataFrame) -> None:
    train = rows.loc[rows["split"] == "train", "label"]

    measured = fit_candidates(recipe_of(CONSTANT, HISTORY, imbalance="weights"), rows, FEATURES)

    assert measured[0].model == Constant(float(train.mean()))


def test_short_history_has_no_measures_ahead_and_is_neither_calibrated_nor_weighed(rows: pd.DataFrame) -> None:
    measured = fit_candidates(
        recipe_of(HISTORY, LINE, TREES, BLEND, calibration="platt"), rows.iloc[24 * A_DAY :], FEATURES
    )

    blend = candidate_of(measured, "blend").model
    assert [each.ahead for each in measured] == [None] * 4
    assert isinstance(blend, Blend)
    assert blend.weights == (0.5, 0.5)
    assert [each.model.kind for each in measured] == ["group_history", "logistic_regression", "xgboost", "blend"]


def test_one_window_alone_measures_a_blend_by_even_shares_it_was_not_weighed_on(rows: pd.DataFrame) -> None:
    recipe = recipe_of(HISTORY, LINE, TREES, BLEND, windows=1)
    train = rows.loc[rows["split"] == "train"]
    (fold,) = time_folds(train, recipe.folds, recipe.matures_after)
    members = tuple(
        fit_candidate(candidate, train.loc[fold.train, FEATURES], train.loc[fold.train, "label"], seed=0)
        for candidate in (LINE, TREES)
    )
    even = Blend(("line", "trees"), members, (0.5, 0.5)).predict(train.loc[fold.test, FEATURES])

    measured = candidate_of(fit_candidates(recipe, rows, FEATURES), "blend")

    assert measured.ahead == summary(train.loc[fold.test, "label"], even)


def start_of(model: FittedModel, day: int = 20) -> Start:
    return Start(model, START + timedelta(days=day), "champion")


def test_warm_start_adds_its_rounds_to_the_champions_trees(rows: pd.DataFrame) -> None:
    train = rows.loc[rows["split"] == "train"]
    old = train.loc[train["prediction_at"] <= START + timedelta(days=20)]
    champion = fit_candidate(TREES, old[FEATURES], old["label"], seed=0)
    recipe = recipe_of(HISTORY, WARM)

    warm = candidate_of(fit_candidates(recipe, rows, FEATURES, start=start_of(champion)), "trees").model
    in_blend = candidate_of(
        fit_candidates(recipe, rows, FEATURES, start=start_of(Blend(("trees",), (champion,), (1.0,)))), "trees"
    ).model

    assert isinstance(warm, FittedBoostedTrees)
    assert warm.booster.num_boosted_rounds() == 13
    assert in_blend.to_files() == warm.to_files()
    assert going_on(recipe, WARM, train, FEATURES, start_of(champion)) is not None


def test_warm_start_from_a_champion_that_is_no_trees_learns_all_rows_anew(rows: pd.DataFrame) -> None:
    train = rows.loc[rows["split"] == "train"]
    line = fit_candidate(LINE, train[FEATURES], train["label"], seed=0)
    recipe = recipe_of(HISTORY, WARM)

    cold, other = (
        candidate_of(fit_candidates(recipe, rows, FEATURES, start=each), "trees") for each in (None, start_of(line))
    )

    assert other.model.to_files() == cold.model.to_files()
    assert going_on(recipe, WARM, train, FEATURES, start_of(line)) is None
    assert part_of(CalibratedModel(line, curve=None), "trees") is line  # type: ignore[arg-type]


def test_replay_shows_older_rows_again_by_their_share_and_the_same_each_time(rows: pd.DataFrame) -> None:
    train = rows.loc[rows["split"] == "train"]
    champion = fit_candidate(TREES, train[FEATURES], train["label"], seed=0)
    shares = [WARM.model_copy(update={"warm_start": WarmStart(rounds=3, replay_share=share)}) for share in (0, 0.5, 1)]

    none, half, whole = (
        candidate_of(
            fit_candidates(recipe_of(HISTORY, each), rows, FEATURES, start=start_of(champion)), "trees"
        ).model.to_files()
        for each in shares
    )
    again = fit_candidates(recipe_of(HISTORY, shares[1]), rows, FEATURES, start=start_of(champion))

    assert none != half != whole
    assert candidate_of(again, "trees").model.to_files() == half
