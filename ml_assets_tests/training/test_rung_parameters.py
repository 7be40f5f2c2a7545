from __future__ import annotations

import pytest

from ml_assets.spec.model import Rung
from ml_assets.training.rung_parameters import rung_parameters

DEFAULTS: dict[str, float] = {"eta": 0.05, "rounds": 300}


def _rung(**parameters: float | str) -> Rung:
    return Rung(name="trees", kind="xgboost", parameters=parameters)


def test_what_is_not_set_keeps_its_default() -> None:
    assert rung_parameters(_rung(rounds=10), DEFAULTS) == {"eta": 0.05, "rounds": 10}


def test_a_name_nobody_reads_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ValueError, match=r"'round' \(did you mean 'rounds'\?\); a rung of xgboost allows eta, rounds"):
        rung_parameters(_rung(round=10), DEFAULTS)


@pytest.mark.parametrize(
    ("name", "value"), [("rounds", 1.5), ("eta", "small"), ("rounds", float("inf")), ("eta", float("nan"))]
)
def test_a_value_of_another_kind_is_refused(name: str, value: float | str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' must be a"):
        rung_parameters(_rung(**{name: value}), DEFAULTS)
