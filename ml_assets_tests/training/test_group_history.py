from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import ModelCandidate
from ml_assets.training.group_history import fit_group_history
from ml_assets_tests.training.conftest import fit_request

ROWS = pd.DataFrame({"carrier": ["AA", "AA", "AA", "UA", None], "hour": [6, 6, 7, 6, 6]})
LABELS = np.array([1.0, 1.0, 0.0, 0.0, 0.0])


def _candidate(*group_by: str, **parameters: float | int | str) -> ModelCandidate:
    return ModelCandidate(name="history", kind="group_history", group_by=group_by, parameters=parameters)


def test_small_groups_are_drawn_to_the_overall_share() -> None:
    model = fit_group_history(fit_request(_candidate("carrier", "hour", prior_strength=2), ROWS, LABELS))

    found = model.predict(ROWS)

    mean = 2 / 5
    assert found == pytest.approx(
        [(2 + 2 * mean) / 4, (2 + 2 * mean) / 4, (0 + 2 * mean) / 3, (0 + 2 * mean) / 3, mean]
    )


def test_a_group_never_seen_gets_the_overall_share() -> None:
    model = fit_group_history(fit_request(_candidate("carrier", "hour"), ROWS, LABELS))

    scored = pd.DataFrame({"carrier": ["AA", "ZZ", "UA"], "hour": [8, 6, np.nan]})

    assert model.predict(scored).tolist() == [0.4, 0.4, 0.4]


def test_an_hour_is_the_same_group_as_integer_and_as_float() -> None:
    model = fit_group_history(fit_request(_candidate("hour", prior_strength=0), ROWS, LABELS))

    assert model.predict(pd.DataFrame({"hour": [6.0, 7.0]})).tolist() == [0.5, 0.0]


def test_a_candidate_without_groups_is_refused() -> None:
    with pytest.raises(ValueError, match="'history' is a group history and names no group_by columns"):
        fit_group_history(fit_request(_candidate(), ROWS, LABELS))
    with pytest.raises(ValueError, match="prior_strength must be zero or more"):
        fit_group_history(fit_request(_candidate("hour", prior_strength=-1), ROWS, LABELS))
    with pytest.raises(ValueError, match="feature columns are missing: airport"):
        fit_group_history(fit_request(_candidate("airport"), ROWS, LABELS))
