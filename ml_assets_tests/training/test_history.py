from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import Folds, ModelCandidate, TrainingRecipe
from ml_assets.training.history import choose_history, within_history

START = datetime(2024, 1, 1, tzinfo=UTC)
RECIPE = TrainingRecipe(
    matures_after=timedelta(days=2),
    folds=Folds(count=3, length=timedelta(days=7)),
    candidates=(
        ModelCandidate(name="group_history", kind="group_history", group_by=("reading",)),
        ModelCandidate(name="line", kind="logistic_regression", parameters={"C": 0.1}),
    ),
)


def world(days: int, changes_at: int | None, seed: int, rows: int = 100) -> pd.DataFrame:
    """Give `rows` a day; from `changes_at` on the reading works the other way round."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), rows)
    reading = rng.normal(size=day.size)
    sign = np.where(day >= (days if changes_at is None else changes_at), -1.0, 1.0)
    label = (rng.random(day.size) < 1 / (1 + np.exp(-1.5 * sign * reading))).astype(float)
    moments = pd.Series(pd.Timestamp(START) + pd.to_timedelta(day, unit="D"))
    return pd.DataFrame({"prediction_at": moments, "batch_date": moments.dt.date, "label": label, "reading": reading})


def test_rows_since_a_seen_change_are_taken_where_the_past_teaches_what_is_no_longer_true() -> None:
    rows = world(120, changes_at=108, seed=1)
    change = START + timedelta(days=107, hours=12)

    choice = choose_history(RECIPE, rows, ["reading"], [change])

    assert choice.after == change
    assert "since 2024-04-17" in choice.reason


@pytest.mark.parametrize("seed", range(5))
def test_all_history_is_taken_where_nothing_changed(seed: int) -> None:
    rows = world(200, changes_at=None, seed=seed)
    assert choose_history(RECIPE, rows, ["reading"], [START + timedelta(days=190)]).after is None


def test_a_change_that_nobody_told_of_is_answered_by_the_newest_part() -> None:
    rows = world(200, changes_at=165, seed=2)
    choice = choose_history(RECIPE, rows, ["reading"])
    assert choice.after is not None
    assert choice.after >= START + timedelta(days=160)


def test_too_few_rows_since_a_change_keep_all_of_them() -> None:
    rows = world(60, changes_at=58, seed=3, rows=20)
    assert choose_history(RECIPE, rows, ["reading"], [START + timedelta(days=57, hours=12)]).after is None


def test_the_holdout_stays_whatever_history_is_taken() -> None:
    rows = world(20, None, 4, rows=2).assign(split="train")
    rows.loc[rows["batch_date"] >= (START + timedelta(days=15)).date(), "split"] = "holdout"
    kept = within_history(RECIPE.model_copy(update={"history_after": START + timedelta(days=17)}), rows)
    assert (kept["split"] == "holdout").all()
    assert len(kept) == 10
