from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd

from ml_assets.spec.model import Folds, ModelCandidate, TrainingRecipe
from ml_assets.training.blend import Blend
from ml_assets.training.candidate import fit_candidates
from ml_assets.training.refit import departs, refit

RECIPE = TrainingRecipe(
    matures_after=timedelta(days=1),
    folds=Folds(count=2, length=timedelta(days=5)),
    calibration="platt",
    threads=1,
    candidates=(
        ModelCandidate(name="group_history", kind="group_history", group_by=("site",)),
        ModelCandidate(name="line", kind="logistic_regression"),
        ModelCandidate(name="trees", kind="xgboost", parameters={"rounds": 10}),
        ModelCandidate(name="blend", kind="blend", members=("line", "trees")),
    ),
)


def rows(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(30), 40)
    reading = rng.normal(size=day.size) + np.where(day >= 25, 3, 0)
    return pd.DataFrame(
        {
            "prediction_at": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(day, unit="D"),
            "split": np.where(day >= 25, "holdout", "train"),
            "label": (rng.random(day.size) < 1 / (1 + np.exp(-reading))).astype(float),
            "reading": reading,
            "site": rng.choice(list("NS"), size=day.size),
        }
    )


def test_a_refit_has_learned_the_holdout_and_keeps_weights_and_calibration() -> None:
    given = rows()
    for measured in fit_candidates(RECIPE, given, ["reading", "site"]):
        again = refit(RECIPE, measured.candidate, measured.model, given, ["reading", "site"])
        assert again.kind == measured.model.kind == "calibrated"
        assert again.curve == measured.model.curve  # type: ignore[union-attr]
        if isinstance(measured.model.model, Blend):  # type: ignore[union-attr]
            assert again.model.weights == measured.model.model.weights  # type: ignore[union-attr]
        assert not np.array_equal(again.predict(given), measured.model.predict(given))


def test_a_refit_that_does_worse_on_rows_it_has_learned_departs_from_what_was_judged() -> None:
    given = rows()
    holdout = given.loc[given["split"] == "holdout"]
    line = next(each for each in fit_candidates(RECIPE, given, ["reading", "site"]) if each.candidate.name == "line")
    turned = refit(RECIPE, line.candidate, line.model, given.assign(label=1 - given["label"]), ["reading", "site"])
    assert departs(line.model, turned, holdout).startswith("its log loss on the holdout, which it has learned, is ")


def test_a_refit_on_the_training_rows_alone_is_what_was_judged() -> None:
    given = rows()
    train = given.loc[given["split"] == "train"]
    for measured in fit_candidates(RECIPE, given, ["reading", "site"]):
        again = refit(RECIPE, measured.candidate, measured.model, train, ["reading", "site"])
        np.testing.assert_allclose(again.predict(given), measured.model.predict(given), atol=1e-12)
