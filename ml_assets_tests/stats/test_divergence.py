from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.stats.binning import histogram, learn_category_bins, learn_numeric_bins
from ml_assets.stats.divergence import jensen_shannon, ks, psi, psi_of_rows, wasserstein

NAN = math.nan
INF = math.inf

COUNT_VECTORS = [
    ([50, 50], [80, 20]),
    ([10], [3]),  # one category
    ([1, 2, 3], [1, 2, 3]),
    ([1, 2, 3], [10, 20, 30]),
    ([5, 0, 5], [5, 5, 5]),  # a bin that was empty
    ([5, 5, 5], [0, 10, 5]),  # a bin that became empty
    ([5, 0, 0, 5], [9, 0, 0, 1]),  # bins empty on both sides
    ([10, 0], [0, 3]),  # nothing in common
    ([0, 0, 7], [0, 0, 1]),
    ([100000, 1, 1], [99, 1, 0]),
    ([300, 300, 300, 100], [1, 1, 1, 0]),
    ([910, 10, 10, 10, 60], [0, 40, 30, 10, 20]),
    ([3.5, 1.5], [0.25, 4.0]),  # weights
    ([1] * 10, [1] * 9 + [2]),
    ([2, 2, 2, 2], [2, 2, 2, 2]),
    ([0, 1, 0, 1, 0], [1, 0, 1, 0, 1]),
    ([7, 11, 13, 17, 19], [19, 17, 13, 11, 7]),
    ([336776, 8255, 1175], [7000, 160, 0]),
    ([1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]),
    ([25, 25, 25, 25, 0], [24, 26, 25, 25, 40]),
]

VALUE_VECTORS = [
    ([1, 2, 3, 4], [3, 4, 4, 5]),
    ([0], [0]),
    ([0], [1]),
    ([0, 0, 0, 0], [0, 0]),
    ([0, 0, 0, 1], [0, 1, 1, 1]),
    ([0, 0, 0, 0.1, 0.3], [0.1, 0.2, 0.3, 0.3]),
    ([1, 1, 2, 2, 3, 3], [2, 2, 2]),
    ([2], [1, 1, 2, 2, 3, 3]),
    ([1, 2, 3], [10, 20, 30]),
    ([10, 20, 30], [1, 2, 3]),
    ([3, 1, 2], [2, 3, 1]),
    ([-5, -5, 0, 5, 5], [0, 0, 0]),
    ([-1, 1] * 10, [0]),
    ([1.5, 2.5, 2.5, 9.0], [2.5, 2.5, 2.5, 2.5, 9.0]),
    (list(range(100)), list(range(50, 60))),
    (list(range(10)), list(range(0, 1000, 7))),
    ([0.1 + 0.2, 0.3], [0.3, 0.3]),
    ([1e9, 1e9 + 1], [1e9, 1e9, 1e9 + 2]),
    ([0] * 95 + [3] * 5, [3] * 7),
    ([1, 4, 4, 4, 7, 7, 8], [1, 4, 7, 7, 7, 8, 8, 8, 12]),
]


def _psi_by_formula(reference: Sequence[float], window: Sequence[float], pseudo_count: float) -> float:
    pairs = [(r + pseudo_count, w + pseudo_count) for r, w in zip(reference, window, strict=True) if r or w]
    n_reference = sum(r for r, _ in pairs)
    n_window = sum(w for _, w in pairs)
    return math.fsum((w / n_window - r / n_reference) * math.log((w / n_window) / (r / n_reference)) for r, w in pairs)


@pytest.mark.parametrize(("reference", "window"), COUNT_VECTORS)
def test_psi_is_that_of_the_formula(reference: list[float], window: list[float]) -> None:
    assert psi(reference, window) == pytest.approx(_psi_by_formula(reference, window, 0.5), abs=1e-9)
    assert psi(reference, window, pseudo_count=2) == pytest.approx(_psi_by_formula(reference, window, 2), abs=1e-9)


def test_psi_without_pseudo_count_is_the_plain_formula() -> None:
    assert psi([50, 50], [80, 20], pseudo_count=0) == pytest.approx(0.3 * math.log(1.6) + 0.3 * math.log(2.5))
    assert psi([50, 50, 0], [80, 20, 0], pseudo_count=0) == psi([50, 50], [80, 20], pseudo_count=0)
    assert psi([5, 0], [5, 5], pseudo_count=0) == INF
    assert psi([5, 5], [5, 0], pseudo_count=0) == INF


def test_psi_leaves_out_bins_that_are_empty_on_both_sides() -> None:
    assert psi([5, 0, 0, 5], [9, 0, 0, 1]) == psi([5, 5], [9, 1])


def test_psi_of_rows_is_psi_row_by_row_whatever_the_layout() -> None:
    rng = np.random.default_rng(5)
    reference, window = rng.poisson(2, size=(50, 33)), rng.poisson(1, size=(50, 33))
    window[7] = 0

    one_by_one = [psi(r, w) for r, w in zip(reference, window, strict=True)]

    assert psi_of_rows(reference, window).tolist() == pytest.approx(one_by_one, abs=0, rel=0, nan_ok=True)
    by_column = np.asfortranarray(reference), np.asfortranarray(window)
    assert psi_of_rows(*by_column).tolist() == pytest.approx(one_by_one, abs=0, rel=0, nan_ok=True)
    assert math.isnan(one_by_one[7])
    assert psi_of_rows(np.empty((0, 3)), np.empty((0, 3))).shape == (0,)


def _jensen_shannon_by_formula(reference: Sequence[float], window: Sequence[float]) -> float:
    pairs = [(r / sum(reference), w / sum(window)) for r, w in zip(reference, window, strict=True)]
    bits = (share * math.log2(2 * share / (r + w)) for r, w in pairs for share in (r, w) if share)
    return math.sqrt(max(math.fsum(bits), 0.0) / 2)


@pytest.mark.parametrize(("reference", "window"), COUNT_VECTORS)
def test_jensen_shannon_is_that_of_the_formula(reference: list[float], window: list[float]) -> None:
    assert jensen_shannon(reference, window) == pytest.approx(_jensen_shannon_by_formula(reference, window), abs=1e-7)


def test_distributions_with_nothing_in_common_are_one_apart() -> None:
    assert jensen_shannon([10, 0, 3], [0, 7, 0]) == 1.0


@pytest.mark.parametrize(("reference", "window"), VALUE_VECTORS)
def test_ks_and_wasserstein_are_those_of_scipy(reference: list[float], window: list[float]) -> None:
    from scipy import stats

    assert ks(reference, window) == pytest.approx(stats.ks_2samp(reference, window)[0], abs=1e-9)
    assert wasserstein(reference, window) == pytest.approx(stats.wasserstein_distance(reference, window), abs=1e-9)


def test_ks_and_wasserstein_of_many_rows_are_those_of_scipy() -> None:
    from scipy import stats

    rng = np.random.default_rng(11)
    reference = rng.normal(size=20_000).round(2)
    window = rng.normal(0.1, 1.2, size=700).round(1)

    by_scipy = stats.ks_2samp(reference, window, method="asymp")[0]
    assert ks(np.sort(reference), np.sort(window), is_sorted=True) == pytest.approx(by_scipy, abs=1e-12)
    by_scipy = stats.wasserstein_distance(reference, window)
    assert wasserstein(np.sort(reference), np.sort(window), is_sorted=True) == pytest.approx(by_scipy, abs=1e-12)


def test_a_shift_moves_every_value_by_as_much() -> None:
    delays_min = np.array([-5.0, 0.0, 3.0, 120.0])

    assert wasserstein(delays_min, delays_min + 15) == pytest.approx(15)


def test_what_is_not_finite_is_left_out_of_ks_and_wasserstein() -> None:
    reference, window = np.array([1.0, 2.0, 3.0]), np.array([2.0, 5.0])
    holed_reference = np.array([NAN, 3.0, INF, 1.0, -INF, 2.0, NAN])
    holed_window = np.array([5.0, NAN, 2.0, -INF])

    for measure in (ks, wasserstein):
        expected = measure(reference, window)
        assert measure(holed_reference, holed_window) == expected
        assert measure(np.sort(holed_reference), np.sort(holed_window), is_sorted=True) == expected


@pytest.mark.parametrize("empty", [[], [NAN, NAN], [INF, -INF]])
def test_without_finite_values_there_is_no_distance(empty: list[float]) -> None:
    for measure in (ks, wasserstein):
        assert math.isnan(measure(empty, [1.0]))
        assert math.isnan(measure([1.0], empty))
        assert math.isnan(measure(np.sort(empty), np.array([1.0]), is_sorted=True))


@pytest.mark.parametrize("counts", [[0, 0], []])
def test_without_rows_there_is_no_divergence(counts: list[int]) -> None:
    filled = [1] * len(counts)

    for measure in (psi, jensen_shannon):
        assert math.isnan(measure(counts, filled))
        assert math.isnan(measure(filled, counts))
        assert math.isnan(measure(counts, counts))
    assert math.isnan(psi(counts, filled, pseudo_count=0))


def test_counts_that_cannot_be_are_refused() -> None:
    for measure in (psi, jensen_shannon):
        with pytest.raises(ValueError, match=r"one shape .* got shapes \(2,\) and \(1,\)"):
            measure([1, 2], [1])
        with pytest.raises(ValueError, match="reference_counts must be finite and at least 0: 1 are not"):
            measure([1, -2], [1, 2])
        with pytest.raises(ValueError, match="window_counts must be finite and at least 0: 2 are not"):
            measure([1, 2], [NAN, INF])
    with pytest.raises(ValueError, match="2 dimension"):
        psi_of_rows([1, 2], [1, 2])
    with pytest.raises(ValueError, match="pseudo_count must be finite and at least 0, got -1"):
        psi([1, 2], [1, 2], pseudo_count=-1)
    with pytest.raises(ValueError, match="one-dimensional"):
        ks([[1.0]], [1.0])


def test_psi_sees_a_zero_inflated_column_that_loses_its_zeros_and_deciles_do_not() -> None:
    rng = np.random.default_rng(1)
    rain = np.where(rng.random(5000) < 0.95, 0.0, rng.exponential(0.2, size=5000))
    wet = rain[rain > 0]

    bins = learn_numeric_bins(rain)
    of_atoms = psi(*(histogram(bins.code(rows), bins.n_bins) for rows in (rain, wet)))
    deciles = np.unique(np.quantile(rain, np.arange(11) / 10))
    of_deciles = psi(*(np.histogram(rows, deciles)[0] for rows in (rain, wet)))

    assert deciles.tolist() == [0.0, rain.max()]  # ten bins became one
    assert of_deciles == 0
    assert of_atoms > 1


def test_psi_sees_a_category_that_never_was_and_a_column_that_became_null() -> None:
    origins = ["EWR"] * 50 + ["JFK"] * 40 + ["LGA"] * 10
    bins = learn_category_bins(origins)
    reference = histogram(bins.code(origins), bins.n_bins)

    assert psi(reference, histogram(bins.code(["EWR"] * 40 + ["SWF"] * 60), bins.n_bins)) > 1
    assert psi(reference, histogram(bins.code(["EWR"] * 10 + [None] * 90), bins.n_bins)) > 1


counts_pairs = st.integers(1, 8).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 1000), min_size=n, max_size=n).filter(any)] * 2)
)
samples = st.lists(st.integers(-40, 40).map(lambda i: i / 8), min_size=1, max_size=40)


@settings(max_examples=150, deadline=None)
@given(counts_pairs)
def test_divergences_of_counts_are_symmetric_never_negative_and_zero_to_themselves(
    pair: tuple[list[int], list[int]],
) -> None:
    reference, window = pair

    for measure in (psi, jensen_shannon):
        assert measure(reference, window) == measure(window, reference) >= 0
        assert measure(reference, reference) == 0
    assert psi(reference, window, pseudo_count=0) == psi(window, reference, pseudo_count=0) >= 0
    assert jensen_shannon(reference, window) <= 1


@settings(max_examples=150, deadline=None)
@given(samples, samples, st.randoms(use_true_random=False))
def test_distances_of_values_obey_their_laws(reference: list[float], window: list[float], random) -> None:
    shuffled = window.copy()
    random.shuffle(shuffled)

    for measure in (ks, wasserstein):
        assert measure(reference, window) == pytest.approx(measure(window, reference), abs=1e-12)
        assert measure(reference, window) >= 0
        assert measure(reference, reference) == 0
        assert measure(reference, shuffled) == measure(reference, window)
        assert measure(np.sort(reference), np.sort(window), is_sorted=True) == measure(reference, window)


@settings(max_examples=150, deadline=None)
@given(samples, samples)
def test_ks_and_wasserstein_are_the_largest_and_the_summed_distance_of_the_distribution_functions(
    reference: list[float], window: list[float]
) -> None:
    at = np.unique([*reference, *window])
    gaps = np.array([abs(np.mean(np.array(reference) <= t) - np.mean(np.array(window) <= t)) for t in at])

    assert ks(reference, window) == pytest.approx(gaps.max(), abs=1e-12)
    assert wasserstein(reference, window) == pytest.approx((gaps[:-1] * np.diff(at)).sum(), abs=1e-12)
