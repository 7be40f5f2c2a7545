from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import PoissonRegressor, Ridge

from ml_assets.spec.model import ModelCandidate
from ml_assets.training.candidate_parameters import FitOptions
from ml_assets.training.feature_matrix import learn_columns
from ml_assets.training.linear_model import FittedLinearRegression, load_linear_model
from ml_assets.training.linear_regression import LINEAR, POISSON
from ml_assets.training.logistic_regression import pipeline_frame, unfitted_pipeline
from ml_assets.training.model_kind import FitRequest, ModelKind
from ml_assets.training.model_kind_conformance import made_up_rows

OF_SKLEARN = {
    "linear_regression": Ridge(alpha=2.0, solver="cholesky"),
    "poisson_regression": PoissonRegressor(alpha=2.0, max_iter=300, solver="newton-cholesky"),
}


def fitted(kind: ModelKind, weights: np.ndarray | None = None):
    frame, labels = made_up_rows(task=kind.tasks[0])
    candidate = ModelCandidate(name="line", kind=kind.name, parameters={"alpha": 2.0, "min_frequency": 20})
    request = FitRequest(candidate, frame, labels, 0, FitOptions(weights, task=kind.tasks[0]))
    return kind.fit(request), frame, labels


@pytest.mark.parametrize("kind", [LINEAR, POISSON], ids=lambda kind: kind.name)
@pytest.mark.parametrize("is_weighed", [False, True])
def test_scores_are_those_of_scikit_learns_pipeline(kind: ModelKind, is_weighed: bool) -> None:
    weights = np.random.default_rng(1).uniform(0.2, 3, 600) if is_weighed else None
    model, frame, labels = fitted(kind, weights)
    columns = learn_columns(frame)
    pipeline = unfitted_pipeline(OF_SKLEARN[kind.name], columns, 20)
    asked = {} if weights is None else {"regression__sample_weight": weights}
    pipeline.fit(pipeline_frame(frame, columns), labels, **asked)

    found = model.predict(frame)

    assert found == pytest.approx(pipeline.predict(pipeline_frame(frame, columns)), rel=1e-9, abs=1e-9)


def test_a_line_does_not_run_away_beyond_what_it_learned() -> None:
    model, frame, _ = fitted(LINEAR)
    odd = frame.iloc[[60]].assign(hour=1e9)

    assert model.predict(odd) == pytest.approx(model.predict(odd.assign(hour=frame["hour"].max())))


def test_the_file_of_one_kind_is_not_read_as_another_with_missing_keys() -> None:
    model, _, _ = fitted(LINEAR)

    assert load_linear_model(FittedLinearRegression, model.to_files()) == model
    with pytest.raises(ValueError, match=r"linear_model\.json: intercept"):
        load_linear_model(FittedLinearRegression, {"linear_model.json": b'{"names": [], "numeric": {}, "text": {}}'})
