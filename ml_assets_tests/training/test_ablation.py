from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import Folds, ModelCandidate, TrainingRecipe
from ml_assets.training.ablation import (
    AblationData,
    Full,
    ablate,
    compress,
    measure_full,
    prune,
    reseed,
    smaller,
    with_trees,
)
from ml_assets.training.candidate import fit_candidates
from ml_assets_tests.training.conftest import made_up_flights

LINE = ModelCandidate(name="line", kind="logistic_regression", parameters={"min_frequency": 20})
TREES = ModelCandidate(name="trees", kind="xgboost", parameters={"rounds": 12, "eta": 0.1, "max_depth": 4})
BLEND = ModelCandidate(name="blend", kind="blend", members=("line", "trees"))
CONSTANT = ModelCandidate(name="constant", kind="constant")


def _ground(*, calibration: str = "none") -> AblationData:
    """Forty days of twenty flights, a week held out; a clock that ticks once a look."""
    frame, labels = made_up_flights(800)
    day = np.repeat(np.arange(40), 20)
    start = pd.Timestamp("2013-01-01", tz="UTC")
    rows = frame.assign(
        label=labels,
        prediction_at=[start + timedelta(days=int(each)) for each in day],
        batch_date=[(start + timedelta(days=int(each))).date() for each in day],
        split=np.where(day >= 33, "holdout", "train"),
    )
    recipe = TrainingRecipe.model_validate({
        "threads": 1, "calibration": calibration, "matures_after": timedelta(days=2),
        "folds": Folds(count=2, length=timedelta(days=8)), "candidates": (CONSTANT, LINE, TREES, BLEND),
    })  # fmt: skip
    ticks = count()
    return AblationData(recipe, "blend", rows, tuple(map(str, frame)), lambda: float(next(ticks)))


@pytest.fixture(scope="module")
def ground() -> AblationData:
    return _ground()


@pytest.fixture(scope="module")
def full(ground: AblationData) -> Full:
    return measure_full(ground)


@pytest.mark.parametrize("calibration", ["none", "platt"])
def test_the_full_model_is_what_the_candidates_make_and_measures(calibration: str) -> None:
    ground = _ground(calibration=calibration)

    found = measure_full(ground)
    made = fit_candidates(ground.recipe, ground.rows, ground.features)[-1]

    assert found.model.to_files() == made.model.to_files()
    assert made.ahead is not None
    assert found.measured.log_loss == pytest.approx(made.ahead["log_loss"])
    assert found.measured.cost is not None
    assert found.measured.cost.holdout_auc == pytest.approx(made.measures["auc"])


def test_bytes_are_of_all_files_and_times_are_of_the_clock_given(full: Full) -> None:
    files, cost = full.model.to_files(), full.measured.cost

    assert cost is not None
    assert cost.n_bytes == sum(len(content) for content in files.values())
    assert cost.tree_bytes == len(files["trees/booster.ubj"])
    assert cost.fit_s == 1.0
    assert cost.us_per_row == pytest.approx(1e6 / 800)


def test_without_what_matters_it_loses_and_without_what_says_nothing_it_does_not(
    ground: AblationData, full: Full
) -> None:
    time, gate = ablate(ground, full, {"time": ("hour",), "gate": ("gate",)})

    assert time.gain is not None
    assert gate.gain is not None
    assert (time.name, time.n_features, time.cost) == ("time", 4, None)
    assert time.log_loss > full.measured.log_loss + 0.02
    assert time.gain.upper < 0
    assert abs(gate.gain.estimate) < 0.01  # not zero: trees draw other columns


def test_a_group_without_which_a_candidate_has_nothing_is_not_left_out(ground: AblationData, full: Full) -> None:
    only = LINE.model_copy(update={"features": ("hour",)})
    narrow = replace(ground, recipe=ground.recipe.with_candidate(only))

    assert [each.name for each in ablate(narrow, full, {"time": ("hour",), "wind": ("wind_speed_mph",)})] == ["wind"]


def test_pruning_keeps_what_matters_first_and_sizes_beyond_are_not_measured(ground: AblationData, full: Full) -> None:
    two, one = prune(ground, full, [1, 2, 5, 99, 0])

    assert [two.name, one.name] == ["first 2", "first 1"]
    assert two.log_loss < one.log_loss
    assert one.auc > 0.65  # the hour
    assert one.cost is not None
    assert two.cost is not None
    assert one.cost.n_bytes < two.cost.n_bytes


def test_smaller_variants_take_fewer_bytes(ground: AblationData, full: Full) -> None:
    found = {each.name: each for each in compress(ground, full)}

    assert list(found)[:2] == ["line alone", "trees alone"]
    assert full.measured.cost is not None
    assert all(each.cost is not None and each.cost.n_bytes < full.measured.cost.n_bytes for each in found.values())
    line = found["line alone"].cost
    assert line is not None
    assert line.tree_bytes == 0


def test_fewer_trees_learn_as_much_together() -> None:
    small = with_trees(TREES, 6, 3)

    assert small.parameters == {"rounds": 6, "max_depth": 3, "eta": 0.2}
    assert with_trees(TREES, 1, 3).parameters["eta"] == 0.3


def test_trees_that_are_shallow_get_no_deeper(ground: AblationData) -> None:
    shallow = ground.recipe.with_candidate(with_trees(TREES, 12, 2))

    assert {each[1].candidate("trees").parameters["max_depth"] for each in smaller(shallow, "trees")} == {2}


def test_a_history_too_short_to_look_ahead_is_refused(ground: AblationData) -> None:
    with pytest.raises(ValueError, match="too few for a window of 8 days"):
        measure_full(replace(ground, rows=ground.rows.iloc[-300:]))


def test_another_seed_is_the_noise_that_differences_are_held_against(ground: AblationData, full: Full) -> None:
    again, other = reseed(ground, full, [ground.recipe.seed, 7])

    assert again[0].gain is not None
    assert again[0].gain.estimate == 0.0
    assert again[1].to_files() == full.model.to_files()
    assert other[0].name == "seed 7"
    assert 0 < abs(other[0].log_loss - full.measured.log_loss) < 0.02
