from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.stats.binning import (
    CategoryBins,
    NumericBins,
    histogram,
    histograms_by_group,
    learn_category_bins,
    learn_numeric_bins,
)

NAN = math.nan
INF = math.inf


def test_a_value_that_fills_the_column_has_a_bin_of_its_own_and_the_rest_shares_the_others() -> None:
    rain = np.concatenate([np.zeros(910), np.arange(1, 91) / 100])

    bins = learn_numeric_bins(rain, max_bins=10)

    assert bins.atoms == (0.0,)
    assert bins.edges == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    assert histogram(bins.code(rain), bins.n_bins).tolist() == [910, *[10] * 9, 0, 0]


def test_continuous_values_are_cut_at_deciles() -> None:
    values = np.random.default_rng(3).normal(size=1000)

    bins = learn_numeric_bins(values)

    assert bins.atoms == ()
    assert bins.edges == pytest.approx(np.quantile(values, np.arange(1, 10) / 10, method="inverted_cdf"))
    assert histogram(bins.code(values), bins.n_bins).tolist() == [100] * 10 + [0, 0]


def test_a_value_just_short_of_its_share_is_no_atom() -> None:
    rest = list(range(1, 91))

    assert learn_numeric_bins([0] * 10 + rest).atoms == (0.0,)
    assert learn_numeric_bins([0] * 9 + rest + [91]).atoms == ()


def test_labels_say_which_values_a_bin_holds() -> None:
    assert NumericBins(edges=(0.1, 0.35, 12.0), atoms=(0.0,)).labels == (
        *("= 0", "<= 0.1", "(0.1, 0.35]", "(0.35, 12]", "> 12"),
        *("null", "infinite"),
    )
    assert NumericBins(edges=(), atoms=(1.5,)).labels == ("= 1.5", "any other", "null", "infinite")
    assert NumericBins(edges=(), atoms=()).labels == ("any", "null", "infinite")


def test_labels_take_more_digits_where_values_are_close_and_none_where_they_are_whole() -> None:
    assert NumericBins(edges=(0.12345678, 0.12345679), atoms=()).labels[:2] == (
        "<= 0.12345678",
        "(0.12345678, 0.12345679]",
    )
    assert NumericBins(edges=(0.1 + 0.2, 20130101.0), atoms=()).labels[1:3] == ("(0.3, 20130101]", "> 20130101")


def test_an_edge_belongs_to_the_interval_below_it() -> None:
    bins = NumericBins(edges=(1.0, 2.0), atoms=())

    assert bins.code([1.0, 1.0000001, 2.0, 2.0000001]).tolist() == [0, 1, 1, 2]


def test_an_atom_between_two_edges_keeps_its_own_bin() -> None:
    bins = NumericBins(edges=(1.0, 2.0), atoms=(1.5, 5.0))

    assert bins.code([1.4, 1.5, 1.6, 5.0, 5.1]).tolist() == [3, 0, 3, 1, 4]


@pytest.mark.parametrize("values", [[], [NAN, NAN], [INF, -INF, NAN], [None, None]])
def test_a_reference_without_a_finite_value_gives_bins_that_still_take_every_value(values: list[float]) -> None:
    bins = learn_numeric_bins(values)

    assert bins == NumericBins(edges=(), atoms=())
    assert bins.code([0.0, 7.0, NAN, INF, -INF]).tolist() == [0, 0, 1, 2, 2]


def test_a_constant_column_sees_when_it_is_constant_no_longer() -> None:
    bins = learn_numeric_bins([4.0] * 50)

    assert bins == NumericBins(edges=(), atoms=(4.0,))
    assert bins.code([4.0, 3.9, 4.1]).tolist() == [0, 1, 1]


def test_booleans_are_zero_and_one() -> None:
    bins = learn_numeric_bins(np.array([True, False, True]))

    assert bins.atoms == (0.0, 1.0)
    assert bins.code(np.array([False, True])).tolist() == [0, 1]


def test_negative_zero_is_zero_whatever_the_order_of_rows() -> None:
    for rows in ([-0.0, 0.0], [0.0, -0.0], [-0.0]):
        bins = learn_numeric_bins(rows)
        assert bins.labels[0] == "= 0"
        assert bins.code([0.0, -0.0]).tolist() == [0, 0]


def test_atoms_that_use_up_all_bins_leave_one_interval_for_what_may_come() -> None:
    bins = learn_numeric_bins([1, 2] * 5, max_bins=2)

    assert bins == NumericBins(edges=(), atoms=(1.0, 2.0))
    assert bins.code([1, 2, 3]).tolist() == [0, 1, 2]


def test_equal_cuts_are_merged_and_a_cut_at_the_largest_value_is_left_out() -> None:
    values = np.repeat([0.0, 1.0, 2.0, 3.0], [900, 3, 30, 67])  # the ninths of the last hundred are 2, 2, 2, 3, ...

    bins = learn_numeric_bins(values, max_bins=10)

    assert bins == NumericBins(edges=(2.0,), atoms=(0.0,))
    assert histogram(bins.code(values), bins.n_bins).tolist() == [900, 33, 67, 0, 0]


def test_texts_and_timestamps_are_no_numbers() -> None:
    for values in (["1.5"], np.array(["1.5", None], dtype=object), np.array(["2013-01-01"], dtype="M8[D]")):
        with pytest.raises(TypeError, match="numeric bins take numbers or booleans"):
            learn_numeric_bins(values)


def test_what_cannot_be_binned_is_refused() -> None:
    with pytest.raises(ValueError, match="max_bins must be at least 1, got 0"):
        learn_numeric_bins([1.0], max_bins=0)
    with pytest.raises(ValueError, match="max_bins must be at least 1, got 0"):
        learn_category_bins(["a"], max_bins=0)
    with pytest.raises(ValueError, match=r"one-dimensional, got shape \(1, 2\)"):
        learn_numeric_bins([[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"one-dimensional, got shape \(1, 2\)"):
        learn_category_bins([["a", "b"]])


def test_categories_are_ranked_by_frequency_then_by_name() -> None:
    bins = learn_category_bins(["JFK", "EWR", "LGA", "LGA", None, NAN, "BOS"], max_bins=2)

    assert bins == CategoryBins(categories=("LGA", "BOS"), rare=frozenset({"EWR", "JFK"}))
    assert bins.labels == ("LGA", "BOS", "rare", "unseen", "null")


def test_a_new_category_is_counted_as_unseen() -> None:
    bins = learn_category_bins(["UA", "UA", "AA", "HA"], max_bins=2)

    n_of = histogram(bins.code(["UA", "ZZ", "ZZ", "HA", None, NAN]), bins.n_bins)

    assert dict(zip(bins.labels, n_of.tolist(), strict=True)) == {"UA": 1, "AA": 0, "rare": 1, "unseen": 2, "null": 2}


def test_categories_called_like_special_bins_are_told_apart_from_them() -> None:
    bins = learn_category_bins(["null", "nan", "unseen"])

    assert bins.labels == ("nan", "'null'", "'unseen'", "rare", "unseen", "null")
    assert bins.code(["null", None, "nan", NAN]).tolist() == [1, 5, 0, 5]


@pytest.mark.parametrize("values", [[], [None, NAN], np.full(2, NAN)])
def test_a_reference_without_a_category_finds_every_category_unseen(values: list[None]) -> None:
    bins = learn_category_bins(values)

    assert bins == CategoryBins(categories=(), rare=frozenset())
    assert bins.code(["a", None]).tolist() == [1, 2]


def test_arrays_of_text_and_of_objects_are_coded_alike() -> None:
    bins = learn_category_bins(np.array(["a", "b", "b"]))

    assert bins.code(np.array(["a", "b", "c"])).tolist() == [1, 0, 3]
    assert bins.code(np.array(["a", "b", "c"], dtype=object)).tolist() == [1, 0, 3]


def test_a_number_is_no_category() -> None:
    with pytest.raises(TypeError, match="categories are texts, with None or NaN as null; got 3, a int"):
        learn_category_bins(["a", 3])
    with pytest.raises(TypeError, match=r"got 1\.0, a float"):
        learn_category_bins(["a"]).code([1.0])


def test_histograms_by_group_count_each_group_apart_and_keep_empty_ones() -> None:
    codes = np.array([0, 1, 1, 3])
    groups = np.array([0, 0, 2, 2])

    assert histograms_by_group(codes, groups, n_groups=3, n_bins=4).tolist() == [
        [1, 1, 0, 0],
        [0, 0, 0, 0],
        [0, 1, 0, 1],
    ]


def test_no_rows_make_empty_histograms() -> None:
    nothing = np.array([], dtype=np.int64)

    assert histogram(nothing, 2).tolist() == [0, 0]
    assert histograms_by_group(nothing, nothing, n_groups=2, n_bins=2).tolist() == [[0, 0], [0, 0]]


def test_a_code_or_group_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"codes must be in \[0, 3\), got 0 to 3"):
        histogram(np.array([0, 3]), 3)
    with pytest.raises(ValueError, match=r"codes must be in \[0, 3\), got -1 to 0"):
        histogram(np.array([0, -1]), 3)
    with pytest.raises(ValueError, match=r"groups must be in \[0, 1\), got 0 to 1"):
        histograms_by_group(np.array([0, 0]), np.array([0, 1]), n_groups=1, n_bins=1)
    with pytest.raises(ValueError, match="one length"):
        histograms_by_group(np.array([0, 0]), np.array([0]), n_groups=1, n_bins=1)


# few distinct values, so that atoms and ties occur, mixed with any float at all
numbers = st.lists(
    st.one_of(st.integers(-3, 3).map(float), st.floats(), st.sampled_from([NAN, INF, -INF])), max_size=60
)
texts = st.lists(st.one_of(st.none(), st.just(NAN), st.sampled_from("abcdefg"), st.text(max_size=2)), max_size=60)


@settings(max_examples=150, deadline=None)
@given(numbers, numbers, st.integers(1, 12))
def test_every_number_gets_exactly_one_bin(reference: list[float], later: list[float], max_bins: int) -> None:
    bins = learn_numeric_bins(reference, max_bins=max_bins)

    codes = bins.code(later)

    assert bins.n_bins == len(bins.labels) == len(set(bins.labels))
    assert bins.n_bins <= max(max_bins, len(bins.atoms) + 1) + 2
    assert histogram(codes, bins.n_bins).sum() == len(later)
    assert [int(code) for code in codes] == [_bin_by_definition(bins, value) for value in later]


def _bin_by_definition(bins: NumericBins, value: float) -> int:
    if math.isnan(value):
        return bins.labels.index("null")
    if math.isinf(value):
        return bins.labels.index("infinite")
    if value in bins.atoms:
        return bins.atoms.index(value)
    bounds = (-INF, *bins.edges, INF)
    (interval,) = (i for i in range(len(bounds) - 1) if bounds[i] < value <= bounds[i + 1])
    return len(bins.atoms) + interval


@settings(max_examples=150, deadline=None)
@given(numbers, st.integers(1, 12))
def test_atoms_are_the_values_of_a_large_share_and_other_intervals_hold_some(
    reference: list[float], max_bins: int
) -> None:
    finite = [value for value in reference if math.isfinite(value)]

    bins = learn_numeric_bins(reference, max_bins=max_bins)

    assert set(bins.atoms) == {v for v in finite if finite.count(v) * max_bins >= len(finite)}
    n_of = histogram(bins.code(reference), bins.n_bins)
    assert n_of[: len(bins.atoms)].tolist() == [finite.count(atom) for atom in bins.atoms]
    if set(finite) - set(bins.atoms):
        assert n_of[:-2].min() > 0


@settings(max_examples=80, deadline=None)
@given(numbers, texts, st.randoms(use_true_random=False))
def test_the_order_of_reference_rows_is_irrelevant(values: list[float], names: list[str | None], random) -> None:
    shuffled_values, shuffled_names = values.copy(), names.copy()
    random.shuffle(shuffled_values)
    random.shuffle(shuffled_names)

    assert learn_numeric_bins(shuffled_values) == learn_numeric_bins(values)
    assert learn_category_bins(shuffled_names, max_bins=3) == learn_category_bins(names, max_bins=3)


@settings(max_examples=100, deadline=None)
@given(texts, texts, st.integers(1, 5))
def test_every_category_gets_exactly_one_bin(
    reference: list[str | None], later: list[str | None], max_bins: int
) -> None:
    bins = learn_category_bins(reference, max_bins=max_bins)
    rare, unseen, null = range(len(bins.categories), bins.n_bins)

    codes = bins.code(later)

    assert bins.n_bins == len(bins.labels) <= max_bins + 3
    assert histogram(codes, bins.n_bins).sum() == len(later)
    for name, code in zip(later, codes, strict=True):
        if not isinstance(name, str):
            assert code == null
        elif name in bins.categories:
            assert bins.categories[code] == name
        else:
            assert code == (rare if name in reference else unseen)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=40))
def test_histograms_by_group_are_the_histograms_of_the_groups(rows: list[tuple[int, int]]) -> None:
    groups = np.array([group for group, _ in rows], dtype=np.int64)
    codes = np.array([code for _, code in rows], dtype=np.int64)

    found = histograms_by_group(codes, groups, n_groups=4, n_bins=5)

    assert found.tolist() == [histogram(codes[groups == group], 5).tolist() for group in range(4)]
