"""Expanding windows of time: what may be trained on, and what is scored ahead of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.stats.task import varied

if TYPE_CHECKING:
    import pandas as pd

    from ml_assets.spec.model import Folds

CHOSEN, GROUP = "_is_chosen", "_group_"  # columns of a training set that say what may measure, and what goes together
LEAST_VARIED = 20  # labels that are not the commonest one: with fewer a fold measures nothing


@dataclass(frozen=True)
class Fold:
    """One window: boolean masks over the training rows, in their order.

    Attributes
    ----------
    train
        Rows whose label had matured when the window began.
    test
        Rows predicted in the window.
    """

    train: NDArray[np.bool_]
    test: NDArray[np.bool_]


def time_folds(rows: pd.DataFrame, folds: Folds, matures_after: timedelta) -> list[Fold]:
    """Cut the newest training rows into windows, oldest first; the last one ends with the newest row.

    A label is known `matures_after` after its prediction: rows closer than that to a window are in neither part, as
    they would not have been known. A window is left out when the labels of either part hardly vary, or when what
    is before it is shorter than the window itself; so a short history has fewer folds, or none.

    Parameters
    ----------
    rows
        Training rows: `prediction_at`, `label`. Where weak labels are among them, windows hold rows of `label_origin`
        gold alone: a model is not measured by what functions say; nor on rows that are `_is_chosen`, whose label only a
        strategy of the review queue led to. A row with the same value as one of the window in a column `_group_...` is
        not trained on before it.

    >>> import pandas as pd
    >>> from ml_assets.spec.model import Folds
    >>> days = pd.date_range("2013-01-01", periods=40, tz="UTC").repeat(60)
    >>> rows = pd.DataFrame({"prediction_at": days, "label": [0, 1] * 1200})
    >>> found = time_folds(rows, Folds(count=3, length="10d"), timedelta(days=2))
    >>> [(int(fold.train.sum()) // 60, int(fold.test.sum()) // 60) for fold in found]
    [(18, 10), (28, 10)]
    """
    return list(_folds(rows, folds, matures_after))


def _folds(rows: pd.DataFrame, folds: Folds, matures_after: timedelta) -> Iterator[Fold]:
    moments = rows["prediction_at"]
    labels = rows["label"].to_numpy()
    measures = np.ones(len(rows), bool)
    if "label_origin" in rows.columns:
        measures &= (rows["label_origin"] == "gold").to_numpy()
    if CHOSEN in rows.columns:
        measures &= ~rows[CHOSEN].to_numpy(dtype=bool)
    groups = [rows[name] for name in rows.columns if name.startswith(GROUP)]
    if moments.empty:
        return
    oldest, newest = moments.min(), moments.max()
    for back in range(folds.count, 0, -1):
        start, end = newest - back * folds.length, newest - (back - 1) * folds.length
        train = (moments <= start - matures_after).to_numpy()
        test = ((moments > start) & (moments <= end)).to_numpy() & measures
        for group in groups:
            train &= ~(group.isin(group[test].dropna()) & group.notna()).to_numpy()
        is_long = start - matures_after - oldest >= folds.length
        if is_long and _varies(labels[train]) and _varies(labels[test]):
            yield Fold(train, test)


def _varies(labels: NDArray[np.float64]) -> bool:
    return varied(labels) >= LEAST_VARIED
