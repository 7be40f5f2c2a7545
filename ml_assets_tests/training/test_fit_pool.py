"""Fits side by side: the same models as one after the other, and the first failure is told."""

from __future__ import annotations

import threading
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info

from ml_assets.spec.model import Folds, ModelCandidate, TrainingRecipe
from ml_assets.training.candidate import fit_candidates
from ml_assets.training.fit_pool import fit_pool, fit_side_by_side

CANDIDATES = (
    ModelCandidate(name="constant", kind="constant"),
    ModelCandidate(name="linear", kind="logistic_regression"),
    ModelCandidate(name="trees", kind="xgboost", parameters={"rounds": 20}),
    ModelCandidate(name="blend", kind="blend", members=("linear", "trees")),
)


def training_rows(n: int = 900) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    level, noise = rng.normal(size=n), rng.normal(size=n)
    moments = pd.date_range("2024-01-01", periods=n, freq="2h", tz="UTC")
    return pd.DataFrame(
        {
            "batch_date": moments.date,
            "prediction_at": moments,
            "split": np.where(np.arange(n) < n - 150, "train", "holdout"),
            "label": (rng.random(n) < 1 / (1 + np.exp(-level))).astype(float),
            "level": level,
            "noise": noise,
        }
    )


def test_models_do_not_depend_on_how_many_are_fitted_at_once() -> None:
    rows, found = training_rows(), []
    for threads in (1, 2, 3):
        recipe = TrainingRecipe(
            threads=threads, folds=Folds(count=2, length=timedelta(days=10)), matures_after=timedelta(days=1),
            candidates=CANDIDATES,
        )  # fmt: skip
        measured = fit_candidates(recipe, rows, ["level", "noise"])
        found.append([(each.model.to_files(), each.ahead_scores.tolist()) for each in measured])

    assert found[0] == found[1] == found[2]


def test_results_come_in_order_and_two_run_at_once() -> None:
    meet = threading.Barrier(2, timeout=10)  # passed only where two are there at once

    def work(number: int) -> int:
        meet.wait()
        return number

    assert fit_side_by_side([lambda n=n: work(n) for n in range(4)], 2) == [0, 1, 2, 3]


def test_first_failure_is_raised_and_what_waits_is_given_up() -> None:
    begun: list[int] = []

    def fail() -> None:
        raise ValueError("no rows")

    def fit_all() -> None:
        with fit_pool(1) as pool:
            failed = pool.submit(fail)
            for number in range(1000):
                pool.submit(begun.append, number)
            failed.result()

    with pytest.raises(ValueError, match="no rows"):
        fit_all()
    assert len(begun) < 1000


def test_what_fits_computes_with_one_thread() -> None:
    with fit_pool(2) as pool:
        limits = pool.submit(lambda: [each["num_threads"] for each in threadpool_info()]).result()

    assert limits
    assert set(limits) == {1}
