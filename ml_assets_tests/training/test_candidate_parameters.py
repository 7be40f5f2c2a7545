from __future__ import annotations

import pytest

from ml_assets.spec.model import ModelCandidate
from ml_assets.training.candidate_parameters import candidate_parameters

DEFAULTS: dict[str, float] = {"eta": 0.05, "rounds": 300}


def _candidate(**parameters: float | str) -> ModelCandidate:
    return ModelCandidate(name="trees", kind="xgboost", parameters=parameters)


def test_what_is_not_set_keeps_its_default() -> None:
    assert candidate_parameters(_candidate(rounds=10), DEFAULTS) == {"eta": 0.05, "rounds": 10}


def test_a_name_nobody_reads_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(
        ValueError, match=r"'round' \(did you mean 'rounds'\?\); a candidate of xgboost allows eta, rounds"
    ):
        candidate_parameters(_candidate(round=10), DEFAULTS)


@pytest.mark.parametrize(
    ("name", "value"), [("rounds", 1.5), ("eta", "small"), ("rounds", float("inf")), ("eta", float("nan"))]
)
def test_a_value_of_another_kind_is_refused(name: str, value: float | str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' must be a"):
        candidate_parameters(_candidate(**{name: value}), DEFAULTS)
