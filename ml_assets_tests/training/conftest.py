from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import ModelCandidate
from ml_assets.training.candidate_parameters import PLAIN, FitOptions
from ml_assets.training.model_kind import FitRequest
from ml_assets.training.model_kind_conformance import made_up_rows

CANDIDATES = {
    "group_history": ModelCandidate(name="history", kind="group_history", group_by=("carrier", "hour")),
    "logistic_regression": ModelCandidate(name="linear", kind="logistic_regression", parameters={"min_frequency": 20}),
    "xgboost": ModelCandidate(name="trees", kind="xgboost", parameters={"rounds": 12, "max_depth": 3}),
}


def fit_request(
    candidate: ModelCandidate, features: pd.DataFrame, labels: Any, *, seed: int = 0, options: FitOptions = PLAIN
) -> FitRequest:
    return FitRequest(candidate, features, np.asarray(labels, dtype=np.float64), seed, options)


@pytest.fixture(params=sorted(CANDIDATES))
def candidate(request: pytest.FixtureRequest) -> ModelCandidate:
    return CANDIDATES[request.param]


@pytest.fixture
def training_rows() -> tuple[pd.DataFrame, np.ndarray]:
    """Made-up flights in which the carrier and the hour matter, with every kind of unknown."""
    return made_up_flights()


def made_up_flights(n: int = 600) -> tuple[pd.DataFrame, np.ndarray]:
    frame, labels = made_up_rows(n)
    return frame, labels.astype(int)
