from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import Folds, ModelCandidate, TrainingRecipe
from ml_assets.training.final_values import measure_flattery

FEATURES = ("weather", "level")


def recipe(kind: str = "linear_regression") -> TrainingRecipe:
    return TrainingRecipe(
        task="regression",
        matures_after=timedelta(days=1),
        candidates=(ModelCandidate(name="one", kind=kind),),
        folds=Folds(count=3, length=timedelta(days=20)),
    )


def made_up(error: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give rows whose weather was forecast with an error, and the same rows with what came."""
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=100, tz="UTC").repeat(20)
    weather, level = rng.normal(size=(2, days.size))
    label = 5 * weather + level + rng.normal(0, 0.5, days.size)
    final = pd.DataFrame({"batch_date": days.strftime("%Y-%m-%d"), "prediction_at": days, "label": label,
                          "weather": weather, "level": level})  # fmt: skip
    return final.assign(weather=weather + error * rng.normal(size=days.size)), final


def test_final_values_promise_the_noise_alone_and_serve_worse_than_what_was_known() -> None:
    found = measure_flattery(recipe(), "one", made_up(0.5), FEATURES)

    assert found.features == ("weather",)
    assert found.final["mse"] == pytest.approx(0.25, rel=0.1)
    assert found.known["mse"] == pytest.approx(0.25 + 25 * 0.25 / 1.25, rel=0.1)  # the error, shrunk to what it tells
    assert found.mixed["mse"] == pytest.approx(0.25 + 25 * 0.25, rel=0.1)  # the error as it is
    assert found.promised.lower > 0.9
    assert found.kept.upper < 0
    assert found.is_flattered


def test_without_revisions_nothing_is_promised_and_nothing_is_lost() -> None:
    known, final = made_up(0.0)

    found = measure_flattery(recipe(), "one", (known, final), FEATURES)

    assert found.features == ()
    assert found.known == found.final == found.mixed
    assert (found.promised.estimate, found.kept.estimate, found.is_flattered) == (0.0, 0.0, False)


def test_too_short_a_past_is_refused() -> None:
    known, final = (rows.iloc[:300] for rows in made_up(0.5))

    with pytest.raises(ValueError, match="too few for a window of 20 days"):
        measure_flattery(recipe(), "one", (known, final), FEATURES)
