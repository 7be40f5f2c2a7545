"""Which candidate is taken where behaviours are declared: the best that keeps them, and no mere count instead."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from ml_assets.pipeline.evaluation.behaviours import broken_by
from ml_assets.pipeline.training.candidate import take_candidate
from ml_assets.spec.behaviours import Behaviour
from ml_assets.spec.model import ModelCandidate, TrainingRecipe
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.candidate import MeasuredCandidate, fit_candidates
from ml_assets_tests.rehearsal import flagship

TREES = ModelCandidate(
    name="trees", kind="xgboost", features=("wind", "rain"), parameters={"rounds": 30, "max_depth": 3}
)
CALM = ModelCandidate(name="calm", kind="xgboost", features=("rain",), parameters={"rounds": 30, "max_depth": 3})
CANDIDATES = (ModelCandidate(name="constant", kind="constant"), CALM, TREES)
RECIPE = TrainingRecipe(matures_after=timedelta(days=1), threads=1, calibration="none", candidates=CANDIDATES)
NO_WIND = Behaviour(name="no_wind", kind="perturbation", missing=("wind",), max_change=0.01)
NO_RAIN = Behaviour(name="no_rain", kind="perturbation", missing=("rain",), max_change=0.01)


def days() -> pd.DataFrame:
    """Sixty days of fifty rows; the label hangs on wind by much and on rain by less."""
    rng = np.random.default_rng(3)
    day = np.repeat(np.arange(60), 50)
    wind, rain = rng.normal(size=day.size), rng.normal(size=day.size)
    odds = 2 * wind + rain
    return pd.DataFrame(
        {
            "prediction_at": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=int(each)) for each in day],
            "split": np.where(day < 50, "train", "holdout"),
            "wind": wind,
            "rain": rain,
            "label": (rng.random(day.size) < 1 / (1 + np.exp(-odds))).astype(float),
        }
    )


def declaring(*behaviours: Behaviour) -> UseCaseSpec:
    spec = flagship()
    return spec.model_copy(update={"model": spec.model.model_copy(update={"behaviours": behaviours})})


def taken(spec: UseCaseSpec, folder: Path, candidates: list[MeasuredCandidate]) -> tuple[str, str]:
    """Give the candidate taken, and what is said of the trees."""
    state, rows = UseCaseState(spec.name, StatePaths(folder)), days()
    holdout = rows.loc[rows["split"] == "holdout", ["wind", "rain"]]
    found = take_candidate(
        RECIPE, candidates, 0.01, lambda model: broken_by(spec, state, model, holdout, date(2024, 3, 1))
    )
    return found.name, next(reason for reason in found.reasons if reason.startswith("trees"))


def test_the_best_that_keeps_all_behaviours_is_taken_and_what_it_passed_over_is_told(tmp_path: Path) -> None:
    candidates = fit_candidates(RECIPE, days(), ["wind", "rain"])

    assert taken(declaring(), tmp_path, candidates)[0] == "trees"
    name, said = taken(declaring(NO_WIND), tmp_path, candidates)
    assert name == "calm"
    assert "it breaks no_wind (the score moves by 0." in said


def test_a_behaviour_that_only_warns_decides_nothing(tmp_path: Path) -> None:
    warning = NO_WIND.model_copy(update={"severity": "warning"})

    assert taken(declaring(warning), tmp_path, fit_candidates(RECIPE, days(), ["wind", "rain"]))[0] == "trees"


def test_where_all_that_learn_break_one_the_best_goes_to_the_gate_which_names_it(tmp_path: Path) -> None:
    name, said = taken(declaring(NO_WIND, NO_RAIN), tmp_path, fit_candidates(RECIPE, days(), ["wind", "rain"]))

    assert name == "trees"
    assert "taken" in said
