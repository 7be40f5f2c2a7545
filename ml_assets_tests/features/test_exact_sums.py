from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.features.exact_sums import (
    choose_layout,
    put_together,
    put_together_twice,
    running,
    take_apart,
)

ORDINARY = st.sampled_from([1.0, 2.0, 0.1, -0.1, 7 / 3, 0.5, 1e15, -1e15, 2.0**53 + 2])
ANY = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x == 0 or 1e-250 < abs(x) < 1e300)


@settings(max_examples=300)
@given(values=st.lists(ORDINARY | ANY, max_size=30), bounds=st.tuples(st.integers(0, 30), st.integers(0, 30)))
def test_sum_of_a_slice_is_the_nearest_float_to_the_exact_one(values: list[float], bounds: tuple[int, int]) -> None:
    start, end = sorted(min(bound, len(values)) for bound in bounds)
    layout = choose_layout(np.array(values))
    sums = [running(limb) for limb in take_apart(np.array(values), layout)]

    high, low = put_together_twice([limb[[end]] - limb[[start]] for limb in sums], layout)

    exact = sum(map(Fraction, values[start:end]), Fraction(0))
    assert high[0] == math.fsum(values[start:end])
    assert low[0] == float(exact - Fraction(high[0]))


def test_small_numbers_are_counted_in_one_limb_and_wide_ranges_in_many() -> None:
    assert choose_layout(np.array([15.0, -3.0, 0.25])).exponents == (-2,)
    assert choose_layout(np.zeros(3)).exponents == (0,)
    assert len(choose_layout(np.array([1e15, 0.1])).exponents) > 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [([2.0**53, 1.0, 2.0**-40], 2.0**53 + 2), ([2.0**53, 1.0], 2.0**53), ([2.0**53, 1.0, -(2.0**-40)], 2.0**53)],
    ids=["above a half", "a half goes to even", "below a half"],
)
def test_what_is_far_below_decides_a_half(values: list[float], expected: float) -> None:
    layout = choose_layout(np.array(values))

    found = put_together([limb.sum(keepdims=True) for limb in take_apart(np.array(values), layout)], layout)

    assert found.tolist() == [expected]
