"""Windows that an earlier training set scored are not fitted again, and give what they would have given."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import Folds, ModelCandidate, TrainingRecipe
from ml_assets.training import candidate as fitting
from ml_assets.training.candidate import fit_candidates
from ml_assets.training.kept_ahead import KeptScoresAhead

RECIPE = TrainingRecipe(
    matures_after=timedelta(days=2), folds=Folds(count=2, length=timedelta(days=10)), threads=1,
    candidates=(ModelCandidate(name="baseline", kind="constant"),
                ModelCandidate(name="line", kind="logistic_regression", parameters={"C": 1.0})),
)  # fmt: skip


def rows(n_days: int, held_out: int) -> pd.DataFrame:
    """Give days of fifty examples each, the newest held out; the same days are the same whatever their number."""
    parts = []
    for day in range(n_days):
        rng = np.random.default_rng(day)
        x = rng.normal(size=50)
        parts.append(
            pd.DataFrame(
                {
                    "prediction_at": pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(days=day),
                    "batch_date": pd.Timestamp("2024-01-01") + pd.Timedelta(days=day),
                    "label": (rng.random(50) < 1 / (1 + np.exp(-x))).astype(float),
                    "x": x,
                    "split": "train" if day < n_days - held_out else "holdout",
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the rows of each fit of a window."""
    counted: list[int] = []
    score = fitting.score_ahead

    def counting(*arguments: object, **named: object) -> object:
        counted.append(1)
        return score(*arguments, **named)  # pyright: ignore[reportArgumentType] - passed on as they are

    monkeypatch.setattr(fitting, "score_ahead", counting)
    return counted


def test_retraining_ten_days_later_fits_one_new_window_and_is_the_same_to_the_bit(fits: list[int]) -> None:
    kept: KeptScoresAhead = {}
    fit_candidates(RECIPE, rows(50, 5), ["x"], kept_ahead=kept)
    first = len(fits)

    shared = fit_candidates(RECIPE, rows(60, 5), ["x"], kept_ahead=kept)
    second = len(fits) - first
    alone = fit_candidates(RECIPE, rows(60, 5), ["x"])

    assert (first, second) == (4, 2)  # two candidates, two windows; then one window of each is new
    for one, other in zip(shared, alone, strict=True):
        assert one.ahead == other.ahead
        assert np.array_equal(one.ahead_scores, other.ahead_scores)
        assert np.array_equal(one.holdout_scores, other.holdout_scores)


def test_label_that_was_corrected_since_makes_the_window_another_one(fits: list[int]) -> None:
    kept: KeptScoresAhead = {}
    fit_candidates(RECIPE, rows(50, 5), ["x"], kept_ahead=kept)
    corrected = rows(50, 5)
    corrected["label"] = np.where(corrected.index == 0, 1 - corrected["label"], corrected["label"])

    fit_candidates(RECIPE, corrected, ["x"], kept_ahead=kept)

    assert len(fits) == 8
