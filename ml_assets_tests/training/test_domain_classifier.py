"""A classifier tells days apart where their examples differ, and guesses where they do not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml_assets.training.domain_classifier import tell_apart


def days_of(seed: int, n_days: int, first: int, moved: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = 150 * n_days
    return pd.DataFrame(
        {
            "day": (first + np.arange(n_days)).repeat(150),
            "a": rng.normal(moved, 1, n),
            "b": rng.normal(size=n),
            "c": rng.choice(["x", "y"], n),
        }
    )


def test_moved_feature_is_told_apart_and_named_first() -> None:
    found = tell_apart(days_of(1, 12, 0), days_of(2, 8, 12, moved=1.0), ["a", "b", "c"], "day", 1)

    assert found is not None
    assert found.is_sure
    assert 0.7 < found.auc.estimate < 0.8  # of two normal distributions one deviation apart it is 0.76
    assert found.drivers[0][0] == "a"
    assert abs(found.usual - 0.5) < 0.05
    assert found.before.size == 1800
    assert 0.2 < found.before.mean() < 0.4  # two of five rows are of now, fewer among those that look like before


def test_days_alike_are_not_told_apart() -> None:
    found = tell_apart(days_of(1, 12, 0), days_of(2, 8, 12), ["a", "b", "c"], "day", 1)

    assert found is not None
    assert not found.is_sure
    assert abs(found.auc.estimate - 0.5) < 0.05


def test_days_that_always_differ_are_no_change() -> None:
    before = days_of(1, 12, 0)
    before.loc[before["day"] >= 6, "a"] += 1.5

    found = tell_apart(before, days_of(2, 8, 12, moved=0.8), ["a", "b"], "day", 1)

    assert found is not None
    assert found.usual > found.auc.lower
    assert not found.is_sure


def test_too_few_days_or_no_feature_tell_nothing() -> None:
    assert tell_apart(days_of(1, 12, 0), days_of(2, 3, 12), ["a"], "day", 1) is None
    assert tell_apart(days_of(1, 12, 0), days_of(2, 8, 12), [], "day", 1) is None


def test_same_rows_and_seed_give_the_same_to_the_bit() -> None:
    one, other = (tell_apart(days_of(1, 10, 0), days_of(2, 8, 12, 0.5), ["a", "b"], "day", 7) for _ in range(2))

    assert one is not None
    assert other is not None
    assert (one.auc, one.drivers) == (other.auc, other.drivers)
    assert np.array_equal(one.before, other.before)
