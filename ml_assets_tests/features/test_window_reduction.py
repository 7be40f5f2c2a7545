from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.features.window_reduction import reduce_slices

FINITE = st.floats(-1e15, 1e15, allow_nan=False)


@st.composite
def sliced_columns(draw: st.DrawFn) -> tuple[list[float], list[tuple[int, int]]]:
    column = draw(st.lists(FINITE, max_size=40))
    positions = st.integers(0, len(column))
    slices = draw(st.lists(st.tuples(positions, positions), min_size=1, max_size=8))
    return column, slices


def reduced(column: list[float], slices: list[tuple[int, int]], ufunc: np.ufunc, identity: float) -> list[float]:
    starts, ends = np.array(slices, dtype=np.int64).T
    return reduce_slices(np.array(column).reshape(-1, 1), starts, ends, ufunc, identity).ravel().tolist()


@given(drawn=sliced_columns())
def test_sum_of_a_slice_is_the_exact_one_within_the_rounding_of_its_own_values(
    drawn: tuple[list[float], list[tuple[int, int]]],
) -> None:
    column, slices = drawn

    for (start, end), found in zip(slices, reduced(column, slices, np.add, 0.0), strict=True):
        values = column[start:end]
        rounding = 1e-15 * math.fsum(abs(value) for value in values)
        assert found == pytest.approx(math.fsum(values), rel=0, abs=rounding)


@given(drawn=sliced_columns())
def test_extremes_of_a_slice_are_exact(drawn: tuple[list[float], list[tuple[int, int]]]) -> None:
    column, slices = drawn

    least = [min(column[start:end], default=math.inf) for start, end in slices]
    most = [max(column[start:end], default=-math.inf) for start, end in slices]

    assert reduced(column, slices, np.minimum, math.inf) == least
    assert reduced(column, slices, np.maximum, -math.inf) == most


@given(drawn=sliced_columns(), other=st.lists(FINITE, min_size=1, max_size=40))
def test_values_outside_a_slice_change_no_bit_of_its_sum(
    drawn: tuple[list[float], list[tuple[int, int]]], other: list[float]
) -> None:
    column, slices = drawn
    start, end = slices[0]
    changed = [value if start <= at < end else other[at % len(other)] for at, value in enumerate(column)]

    assert reduced(changed, [(start, end)], np.add, 0.0) == reduced(column, [(start, end)], np.add, 0.0)


def test_columns_are_reduced_apart() -> None:
    values = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])

    found = reduce_slices(values, np.array([0, 1, 2]), np.array([3, 3, 2]), np.add, 0.0)

    assert found.tolist() == [[7.0, 70.0], [6.0, 60.0], [0.0, 0.0]]
    assert values.tolist() == [[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]
