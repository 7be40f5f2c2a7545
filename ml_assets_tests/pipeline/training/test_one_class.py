"""Training rows of one class: what can be counted is fitted, and what learns is left out with its reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from ml_assets.pipeline.training.candidate import without_unfittable
from ml_assets.spec.model import ModelCandidate, TrainingRecipe
from ml_assets.training.candidate import fit_candidates

HISTORY = ModelCandidate(name="history", kind="group_history", group_by=("depot",))
CANDIDATES = (
    ModelCandidate(name="constant", kind="constant"),
    HISTORY,
    ModelCandidate(name="line", kind="logistic_regression"),
    ModelCandidate(name="trees", kind="xgboost"),
    ModelCandidate(name="blend", kind="blend", members=("line", "trees")),
)
RECIPE = TrainingRecipe(matures_after=timedelta(days=1), threads=1, calibration="platt", candidates=CANDIDATES)


def orders(label: float) -> pd.DataFrame:
    """Eighty orders of twenty days; all training rows have this label."""
    day = [number // 4 for number in range(80)]
    return pd.DataFrame(
        {
            "prediction_at": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=each) for each in day],
            "split": ["train" if each < 15 else "holdout" for each in day],
            "depot": ["E", "N"] * 40,
            "label": [label if each < 15 else float(number % 2) for number, each in enumerate(day)],
        }
    )


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_of_one_class_the_constant_and_the_baseline_remain_and_the_others_say_why_not(label: float) -> None:
    recipe, left_out = without_unfittable(RECIPE, orders(label))

    measured = fit_candidates(recipe, orders(label), ["depot"])

    assert [(each.candidate.name, set(each.holdout_scores)) for each in measured] == [
        ("constant", {label}),
        ("history", {label}),
    ]
    assert [each.partition(":")[0] for each in left_out] == ["line", "trees", "blend"]
    assert left_out[0].endswith(f"all 60 training labels are {label:.0f}, and it learns from both classes")


def test_of_both_classes_nothing_is_left_out() -> None:
    rows = orders(0.0)
    rows.loc[0, "label"] = 1.0

    assert without_unfittable(RECIPE, rows) == (RECIPE, ())
