"""Krippendorff's alpha against published worked examples, and against a second implementation in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.labeling.agreement import Metric, krippendorff_alpha, measure_agreement

# Krippendorff, Computing Krippendorff's alpha-reliability (2011), sections A, B and C; "." is missing
BINARY = ("0100000010", "1110010000")
NOMINAL = ("aabbdcccedda", "babbbcccEddd".lower())
FOUR_OBSERVERS = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def _units(observers: tuple[str, ...]) -> list[list[str | None]]:
    return [[None if value == "." else value for value in unit] for unit in zip(*observers, strict=True)]


def _table(observers: tuple[str, ...]) -> np.ndarray:
    names = sorted({value for row in observers for value in row} - {"."})
    coded = {name: float(name) if name.isdigit() else float(names.index(name)) for name in names}
    return np.array([[np.nan if value is None else coded[value] for value in unit] for unit in _units(observers)])


def _exact_alpha(table: np.ndarray, metric: Metric) -> Fraction | None:
    """Sum disagreements pair by pair in fractions: within units, and between all values that pair."""
    units = [[Fraction(value) for value in row if not np.isnan(value)] for row in table.tolist()]
    units = [unit for unit in units if len(unit) >= 2]
    values = [value for unit in units for value in unit]

    def distance(a: Fraction, b: Fraction) -> Fraction:
        if metric == "nominal":
            return Fraction(a != b)
        if metric == "interval":
            return (a - b) ** 2
        low, high = min(a, b), max(a, b)
        between = sum(low <= value <= high for value in values)
        return (between - Fraction(values.count(a) + values.count(b), 2)) ** 2 if a != b else Fraction(0)

    observed = sum(
        (sum((distance(a, b) for a, b in permutations(unit, 2)), Fraction(0)) / (len(unit) - 1) for unit in units),
        Fraction(0),
    )
    expected = sum((distance(a, b) for a, b in permutations(values, 2)), Fraction(0))
    return 1 - (len(values) - 1) * observed / expected if expected else None


@pytest.mark.parametrize(
    ("observers", "metric", "published"),
    [
        (BINARY, "nominal", 0.095),
        (NOMINAL, "nominal", 0.692),
        (FOUR_OBSERVERS, "nominal", 0.743),
        (FOUR_OBSERVERS, "ordinal", 0.815),
        (FOUR_OBSERVERS, "interval", 0.849),
    ],
)
def test_alpha_equals_the_published_worked_examples(
    observers: tuple[str, ...], metric: Metric, published: float
) -> None:
    table = _table(observers)

    found = krippendorff_alpha(table, metric)

    exact = _exact_alpha(table, metric)
    assert exact is not None
    assert round(found, 3) == published
    assert abs(found - float(exact)) < 1e-9


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.sampled_from([1.0, 2.0, 3.0, 7.0, np.nan]), min_size=3, max_size=3), min_size=1, max_size=8),
    st.sampled_from(["nominal", "ordinal", "interval"]),
)
def test_alpha_equals_the_definition_in_fractions(rows: list[list[float]], metric: Metric) -> None:
    table = np.array(rows)

    found, exact = krippendorff_alpha(table, metric), _exact_alpha(table, metric)

    assert np.isnan(found) if exact is None else abs(found - float(exact)) < 1e-9


def test_interval_of_alpha_holds_it_and_narrows_with_more_units() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 400)
    said = np.stack([np.where(rng.random(400) < 0.8, truth, rng.integers(0, 3, 400)) for _ in range(3)], axis=1)
    said = np.where(rng.random(said.shape) < 0.3, np.nan, said)

    few = measure_agreement(said[:60], "nominal", rng=np.random.default_rng(1), resamples=400)
    many = measure_agreement(said, "nominal", rng=np.random.default_rng(1), resamples=400)

    assert many.low < many.alpha < many.high
    assert many.high - many.low < 0.6 * (few.high - few.low)
    assert many.units < 400  # a unit with one value pairs with nothing
    assert many.values == int((~np.isnan(said))[(~np.isnan(said)).sum(axis=1) >= 2].sum())


def test_alpha_of_one_value_only_is_unknown() -> None:
    found = measure_agreement([[1.0, 1.0], [1.0, np.nan]], "nominal", rng=np.random.default_rng(0))

    assert np.isnan(found.alpha)
    assert np.isnan(found.low)
    assert found.units == 1
