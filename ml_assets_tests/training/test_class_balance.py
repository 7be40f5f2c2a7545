from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.training.class_balance import balanced

label_lists = st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=60).filter(lambda each: len(set(each)) == 2)


@given(labels=label_lists)
def test_weights_let_both_classes_weigh_half_of_all_rows(labels: list[float]) -> None:
    y = np.array(labels)

    taken, weights = balanced("weights", y, np.random.default_rng(0))

    assert weights is not None
    assert taken.tolist() == list(range(y.size))
    assert np.isclose(weights[y == 1].sum(), y.size / 2)
    assert np.isclose(weights[y == 0].sum(), y.size / 2)


@given(labels=label_lists, seed=st.integers(0, 20))
def test_undersampling_takes_as_many_of_each_class_once_in_order_and_all_of_the_rarer(
    labels: list[float], seed: int
) -> None:
    y = np.array(labels)

    taken, weights = balanced("undersample", y, np.random.default_rng(seed))

    n_rarer = int(min(y.sum(), y.size - y.sum()))
    assert weights is None
    assert np.bincount(y[taken].astype(int), minlength=2).tolist() == [n_rarer, n_rarer]
    assert (np.diff(taken) > 0).all()
    assert balanced("undersample", y, np.random.default_rng(seed))[0].tolist() == taken.tolist()


def test_no_rule_takes_every_row_evenly() -> None:
    taken, weights = balanced("none", np.array([0.0, 0.0, 1.0]), np.random.default_rng(0))

    assert (taken.tolist(), weights) == ([0, 1, 2], None)
