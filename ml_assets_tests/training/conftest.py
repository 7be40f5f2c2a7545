from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import Rung
from ml_assets.training.model_kind import FitRequest
from ml_assets.training.model_kind_conformance import made_up_rows
from ml_assets.training.rung_parameters import PLAIN, FitOptions

RUNGS = {
    "group_history": Rung(name="history", kind="group_history", group_by=("carrier", "hour")),
    "logistic_regression": Rung(name="linear", kind="logistic_regression", parameters={"min_frequency": 20}),
    "xgboost": Rung(name="trees", kind="xgboost", parameters={"rounds": 12, "max_depth": 3}),
}


def fit_request(
    rung: Rung, features: pd.DataFrame, labels: Any, *, seed: int = 0, options: FitOptions = PLAIN
) -> FitRequest:
    return FitRequest(rung, features, np.asarray(labels, dtype=np.float64), seed, options)


@pytest.fixture(params=sorted(RUNGS))
def rung(request: pytest.FixtureRequest) -> Rung:
    return RUNGS[request.param]


@pytest.fixture
def training_rows() -> tuple[pd.DataFrame, np.ndarray]:
    """Made-up flights in which the carrier and the hour matter, with every kind of unknown."""
    return made_up_flights()


def made_up_flights(n: int = 600) -> tuple[pd.DataFrame, np.ndarray]:
    frame, labels = made_up_rows(n)
    return frame, labels.astype(int)
