from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import ModelCandidate
from ml_assets.stats.classification import auc
from ml_assets.training.boosted_trees import FittedBoostedTrees, fit_boosted_trees
from ml_assets_tests.training.conftest import fit_request

Rows = tuple[pd.DataFrame, np.ndarray]


def _fit(rows: Rows, *, seed: int = 0, **parameters: float) -> FittedBoostedTrees:
    candidate = ModelCandidate(name="trees", kind="xgboost", parameters={"rounds": 12, "max_depth": 3, **parameters})
    return fit_boosted_trees(fit_request(candidate, rows[0], rows[1].astype(float), seed=seed))


def test_trees_learn_what_the_rows_hold(training_rows: Rows) -> None:
    model = _fit(training_rows)

    assert auc(training_rows[1], model.predict(training_rows[0])) > 0.75
    importance = model.importance()
    assert list(importance) == list(training_rows[0].columns)
    assert max(importance, key=lambda name: importance[name]) == "hour"
    assert importance["gate"] == 0


def test_a_category_alone_is_learned() -> None:
    carrier = np.array(["AA", "UA"] * 200, dtype=object)
    rows = pd.DataFrame({"carrier": carrier}), (carrier == "UA").astype(int)

    found = _fit(rows, rounds=30, eta=0.3, min_child_weight=0, reg_lambda=0).predict(
        pd.DataFrame({"carrier": ["AA", "UA"]})
    )

    assert found[0] < 0.05
    assert found[1] > 0.95


def test_rounds_are_the_number_of_trees_and_the_seed_is_used(training_rows: Rows) -> None:
    assert _fit(training_rows, rounds=5).booster.num_boosted_rounds() == 5
    one, two = (_fit(training_rows, seed=seed).to_files()["booster.ubj"] for seed in (0, 1))
    assert one != two


def test_a_parameter_of_no_tree_is_refused(training_rows: Rows) -> None:
    with pytest.raises(ValueError, match=r"'max_dept' \(did you mean 'max_depth'\?\)"):
        _fit(training_rows, max_dept=3)
