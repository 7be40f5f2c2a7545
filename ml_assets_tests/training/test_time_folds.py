from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.spec.model import Folds
from ml_assets.training.time_folds import LEAST_VARIED, time_folds

TWO_DAYS = timedelta(days=2)


def rows_of(days: int, a_day: int = 60, share: float = 0.5) -> pd.DataFrame:
    moments = pd.date_range("2013-01-01 09:00", periods=days, tz="UTC").repeat(a_day)
    labels = (np.arange(days * a_day) % a_day < share * a_day).astype(float)
    return pd.DataFrame({"prediction_at": moments, "label": labels})


@given(
    days=st.integers(10, 60),
    count=st.integers(1, 5),
    length=st.integers(1, 14),
    delay=st.integers(0, 6),
    seed=st.integers(0, 9),
)
def test_no_label_is_trained_on_before_it_had_matured_and_no_row_is_scored_twice(
    days: int, count: int, length: int, delay: int, seed: int
) -> None:
    rows = rows_of(days).sample(frac=0.8, random_state=seed)
    window, matures_after = timedelta(days=length), timedelta(days=delay)

    folds = time_folds(rows, Folds(count=count, length=window), matures_after)

    moments = rows["prediction_at"]
    starts = []
    for fold in folds:
        first, last = moments[fold.test].min(), moments[fold.test].max()
        assert moments[fold.train].max() <= last - window - matures_after + timedelta(days=1)
        assert moments[fold.train].max() < first - matures_after + timedelta(days=1)
        assert last - first < window
        starts.append(first)
    assert starts == sorted(starts)
    if folds:
        assert np.sum([fold.test for fold in folds], axis=0).max() == 1
        assert moments[folds[-1].test].max() == moments.max()
        grows = [int(fold.train.sum()) for fold in folds]
        assert grows == sorted(grows)


def test_rows_too_close_to_a_window_to_have_matured_are_in_neither_part() -> None:
    rows = rows_of(30)

    (fold,) = time_folds(rows, Folds(count=1, length=timedelta(days=5)), timedelta(days=3))

    day = np.arange(30).repeat(60)
    assert set(day[fold.test]) == set(range(25, 30))
    assert set(day[fold.train]) == set(range(22))  # the 24th day begins the window; 22 and 23 had not matured


def test_order_of_the_rows_changes_no_fold() -> None:
    rows = rows_of(40)
    shuffled = rows.sample(frac=1, random_state=1)

    plain = time_folds(rows, Folds(count=3, length=timedelta(days=7)), TWO_DAYS)
    again = time_folds(shuffled, Folds(count=3, length=timedelta(days=7)), TWO_DAYS)

    assert len(plain) == len(again) == 3
    for one, other in zip(plain, again, strict=True):
        assert set(rows.index[one.test]) == set(shuffled.index[other.test])
        assert set(rows.index[one.train]) == set(shuffled.index[other.train])


def test_window_with_too_few_of_a_class_is_left_out() -> None:
    rows = rows_of(40)
    newest = rows["prediction_at"] > rows["prediction_at"].max() - timedelta(days=7)
    rows.loc[newest, "label"] = 0.0
    rows.loc[rows.index[newest][: LEAST_VARIED - 1], "label"] = 1.0
    folds = Folds(count=2, length=timedelta(days=7))

    without = time_folds(rows, folds, TWO_DAYS)
    rows.loc[rows.index[newest][:LEAST_VARIED], "label"] = 1.0

    assert len(without) == 1
    assert len(time_folds(rows, folds, TWO_DAYS)) == 2


def test_history_that_is_too_short_has_no_fold() -> None:
    assert time_folds(rows_of(15), Folds(count=3, length=timedelta(days=14)), TWO_DAYS) == []
    assert time_folds(rows_of(15).iloc[:0], Folds(), TWO_DAYS) == []


def test_groups_of_a_window_are_not_trained_on_before_it_and_unknown_ones_are() -> None:
    days = pd.date_range("2013-01-01", periods=40, tz="UTC").repeat(60)
    rows = pd.DataFrame({"prediction_at": days, "label": [0, 1] * 1200})
    customers = np.arange(2400) % 700  # who comes back after eleven days or so
    rows["_group_customer"] = pd.Series(customers).astype(str).where(customers % 7 != 0)

    plain = time_folds(
        rows.drop(columns=["_group_customer"]), Folds(count=2, length=timedelta(days=5)), timedelta(days=2)
    )
    grouped = time_folds(rows, Folds(count=2, length=timedelta(days=5)), timedelta(days=2))

    assert len(plain) == len(grouped) == 2
    for fold, before in zip(grouped, plain, strict=True):
        assert (fold.test == before.test).all()
        inside = set(rows.loc[fold.test, "_group_customer"].dropna())
        assert not inside & set(rows.loc[fold.train, "_group_customer"].dropna())
        assert fold.train.sum() < before.train.sum()
        unknown = rows["_group_customer"].isna().to_numpy()
        assert (fold.train & unknown).sum() == (before.train & unknown).sum()


def test_rows_that_a_strategy_chose_measure_nothing_and_train() -> None:
    days = pd.date_range("2013-01-01", periods=40, tz="UTC").repeat(60)
    rows = pd.DataFrame({"prediction_at": days, "label": [0, 1] * 1200, "_is_chosen": np.arange(2400) % 3 == 0})

    (fold,) = time_folds(rows, Folds(count=1, length=timedelta(days=10)), timedelta(days=2))

    assert not rows.loc[fold.test, "_is_chosen"].any()
    assert rows.loc[fold.train, "_is_chosen"].mean() == pytest.approx(1 / 3)
