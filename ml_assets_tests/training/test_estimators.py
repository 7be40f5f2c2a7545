from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import ModelCandidate
from ml_assets.stats.classification import auc
from ml_assets.training.estimators import fit_candidate, load_model, needs_both_classes
from ml_assets.training.model_kind import FittedModel

Rows = tuple[pd.DataFrame, np.ndarray]


def _fit(candidate: ModelCandidate, rows: Rows) -> FittedModel:
    return fit_candidate(candidate, rows[0], rows[1], seed=1)


def test_every_candidate_ranks_better_than_chance_with_probabilities(
    candidate: ModelCandidate, training_rows: Rows
) -> None:
    model = _fit(candidate, training_rows)

    found = model.predict(training_rows[0])

    assert model.kind == candidate.kind
    assert found.dtype == np.float64
    assert auc(training_rows[1], found) > 0.7
    assert found.mean() == pytest.approx(training_rows[1].mean(), abs=0.05)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "there are no training rows"),
        ([np.nan] * 3, "all 3 training labels are missing"),
        ([0, 1, np.nan], "1 of 3 training labels are missing: unknown is not negative"),
        ([0, 1, 2], "must be 0 or 1: 1 are not"),
    ],
)
def test_rows_that_teach_nothing_are_refused(
    candidate: ModelCandidate, labels: list[float], message: str, training_rows: Rows
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_candidate(candidate, training_rows[0].iloc[: len(labels)], np.array(labels), seed=1)


def test_one_class_teaches_nothing_to_what_learns_and_is_counted_by_what_counts(
    candidate: ModelCandidate, training_rows: Rows
) -> None:
    rows, labels = training_rows[0].iloc[:3], np.ones(3)
    if not needs_both_classes(candidate):
        assert set(fit_candidate(candidate, rows, labels, seed=1).predict(rows)) == {1.0}
        return
    with pytest.raises(ValueError, match="all 3 training labels are 1: one class alone"):
        fit_candidate(candidate, rows, labels, seed=1)


def test_rows_and_labels_of_different_length_are_refused(candidate: ModelCandidate, training_rows: Rows) -> None:
    with pytest.raises(ValueError, match="600 rows of features and labels of shape"):
        fit_candidate(candidate, training_rows[0], training_rows[1][:-1], seed=1)


def test_importance_names_every_column_where_it_exists(candidate: ModelCandidate, training_rows: Rows) -> None:
    found = _fit(candidate, training_rows).importance()

    assert list(found) == ([] if candidate.kind == "group_history" else list(training_rows[0].columns))


def test_an_unknown_kind_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ValueError, match=r"no kind of model 'xgbost'; known are .*; nearest: xgboost"):
        load_model("xgbost", {})
