from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import Rung

RUNGS = {
    "group_history": Rung(name="history", kind="group_history", group_by=("carrier", "hour")),
    "logistic_regression": Rung(name="linear", kind="logistic_regression", parameters={"min_frequency": 20}),
    "xgboost": Rung(name="trees", kind="xgboost", parameters={"rounds": 12, "max_depth": 3}),
}


@pytest.fixture(params=sorted(RUNGS))
def rung(request: pytest.FixtureRequest) -> Rung:
    return RUNGS[request.param]


@pytest.fixture
def training_rows() -> tuple[pd.DataFrame, np.ndarray]:
    """Made-up flights in which the carrier and the hour matter, with every kind of unknown."""
    return made_up_flights()


def made_up_flights(n: int = 600) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "carrier": rng.choice(
                np.array(["AA", "B6", "UA", "OO", None], dtype=object), n, p=[0.3, 0.3, 0.2, 0.01, 0.19]
            ),
            "hour": rng.integers(5, 23, n),
            "wind_speed_mph": rng.gamma(2, 5, n),
            "is_holiday": rng.random(n) < 0.1,
            "gate": pd.Series([None] * n, dtype=object),
        }
    )
    logit = (frame["hour"] - 14) / 5 + (frame["carrier"] == "B6") * 0.8 - 1
    labels = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int).to_numpy()
    frame.loc[:30, "wind_speed_mph"] = np.nan
    frame.loc[31, "wind_speed_mph"] = np.inf
    return frame, labels
