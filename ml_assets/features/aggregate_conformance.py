"""What every aggregate that a package adds has to do. Import CHECKS into the tests of one that you add.

A check takes an AddedAggregate and raises ConformanceError, with a message, where it does not conform.

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_aggregate_conforms(check):
        check(AGGREGATE)
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ml_assets.spec.aggregates import AddedAggregate
from ml_assets.spec.conformance import require, require_a_number, require_unchanged

Floats = npt.NDArray[np.float64]


def _windows() -> Iterator[tuple[Floats, Floats]]:
    """Windows as the engine gives them: values in the order they became known, and how many hours ago that was."""
    rng = np.random.default_rng(20261130)
    for size in (1, 2, 3, 10, 1000):
        yield rng.normal(100, 20, size), np.sort(rng.uniform(0, 700, size))[::-1].copy()
    yield np.full(5, 7.0), np.linspace(48, 0, 5)  # no spread
    yield np.array([1.0, 2.0, 3.0]), np.zeros(3)  # all known at one moment, the very moment of the prediction
    yield np.array([0.0, -1e15, 1e15]), np.array([3.0, 2.0, 1.0])


def gives_a_number(aggregate: AddedAggregate) -> None:
    """Every window gives one number; NaN and infinity stand for null."""
    for values, ages_h in _windows():
        require_a_number(aggregate.of(values, ages_h), f"{aggregate.name} of {values.size} values")


def is_repeatable(aggregate: AddedAggregate) -> None:
    """Equal windows give equal results, to the bit, in any order of asking."""
    first = [float(aggregate.of(values.copy(), ages_h.copy())) for values, ages_h in _windows()]
    again = [float(aggregate.of(values.copy(), ages_h.copy())) for values, ages_h in reversed(list(_windows()))]
    for place, (one, other) in enumerate(zip(first, reversed(again), strict=True)):
        is_same = one == other or (math.isnan(one) and math.isnan(other))
        require(is_same, f"{aggregate.name} gave {one!r}, then {other!r} for window {place}")


def changes_nothing(aggregate: AddedAggregate) -> None:
    """The arrays that it is given stay as they are."""
    for window in _windows():
        require_unchanged(aggregate.of, window, f"{aggregate.name} of {window[0].size} values")


CHECKS = (gives_a_number, is_repeatable, changes_nothing)
