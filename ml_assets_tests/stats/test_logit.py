from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.stats.logit import SMALLEST, logit, sigmoid


@given(p=st.floats(SMALLEST, 1 - SMALLEST))
def test_log_odds_and_back_is_the_probability(p: float) -> None:
    assert float(sigmoid(logit(p))) == pytest.approx(p, rel=1e-9)


@given(odds=st.floats(allow_nan=False, allow_infinity=False))
def test_every_log_odds_has_a_probability_and_its_opposite_the_rest(odds: float) -> None:
    found, opposite = sigmoid([odds, -odds])

    assert 0 <= found <= 1
    assert found + opposite == pytest.approx(1)


def test_certainty_has_finite_log_odds() -> None:
    assert logit([0, 1]).tolist() == pytest.approx([np.log(1e-7), -np.log(1e-7)], abs=1e-6)
