from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import ModelCandidate
from ml_assets.training.candidate_parameters import FitOptions
from ml_assets.training.feature_value import fit_feature_value
from ml_assets.training.model_kind import FitRequest

FRAME = pd.DataFrame({"last_week": [3.0, np.nan, -2.0], "place": ["a", "b", None]})
LABELS = np.array([4.0, 6.0, 5.0])


def request(*features: str, task: str = "regression") -> FitRequest:
    candidate = ModelCandidate(name="naive", kind="feature_value", features=features)
    return FitRequest(candidate, FRAME, LABELS, 0, FitOptions(task=task))


def test_it_says_what_the_column_says_and_the_mean_where_that_is_unknown() -> None:
    assert fit_feature_value(request("last_week")).predict(FRAME).tolist() == [3.0, 5.0, -2.0]


def test_no_count_is_negative() -> None:
    assert fit_feature_value(request("last_week", task="count")).predict(FRAME).tolist() == [3.0, 5.0, 0.0]


@pytest.mark.parametrize("names", [(), ("place",), ("last_week", "place")])
def test_it_takes_one_number(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="candidate 'naive' is a feature value: `features` names one number"):
        fit_feature_value(request(*names))
