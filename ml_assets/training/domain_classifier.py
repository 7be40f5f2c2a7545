"""Whether the examples of now are others than those of before: a classifier that is asked which they are.

It guesses where they are alike, so how well it tells days apart that it was not fitted on is a measure of all features
together (Lopez-Paz and Oquab, 2017), and what it leans on names those that moved. What it says of a row of before also
weighs that row by how much it looks like one of now.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.model import ModelCandidate
from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.measured_intervals import measured_intervals
from ml_assets.training.estimators import fit_candidate

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]
MOST_ROWS = 20_000  # of either side that are fitted on: enough to tell apart what matters, in seconds
N_DRIVERS = 3
LEVEL, RESAMPLES = 0.9, 400
LEAST_DAYS = 4
_TREES = ModelCandidate(
    name="domain",
    kind="xgboost",
    parameters={"rounds": 80, "eta": 0.1, "max_depth": 3, "min_child_weight": 20, "colsample_bytree": 0.5},
)


@dataclass(frozen=True, eq=False)
class DomainShift:
    """How far two sets of examples can be told apart.

    Attributes
    ----------
    auc
        On days that the classifier was not fitted on, with the interval from resampled days; 0.5 where it guesses.
    drivers
        The features that it leans on most, with their share of its importance.
    before
        What it says of each row of before being one of now.
    usual
        The same measure between the older and the newer half of the rows of before: what a few weeks differ by
        anyway. NaN where they are of too few days.
    """

    auc: Interval
    drivers: tuple[tuple[str, float], ...]
    before: FloatArray
    usual: float = math.nan

    @property
    def is_sure(self) -> bool:
        """Whether they surely differ, and by more than is usual."""
        return self.auc.lower > max(0.5, 0.5 if math.isnan(self.usual) else self.usual)


def tell_apart(
    before: pd.DataFrame, now: pd.DataFrame, features: Sequence[str], days: str, seed: int
) -> DomainShift | None:
    """Fit the classifier on every other day of both sides and score the days between, and the reverse.

    None where either side has fewer than four days, or there is no feature.

    Parameters
    ----------
    days
        The column that names the day of a row.
    """
    found = _told_apart(before, now, features, days, seed)
    names = np.sort(before[days].unique())
    is_older = before[days].isin(names[: names.size // 2]).to_numpy()
    usual = _told_apart(before.loc[is_older], before.loc[~is_older], features, days, seed)
    return found if found is None or usual is None else replace(found, usual=usual.auc.estimate)


def _told_apart(
    before: pd.DataFrame, now: pd.DataFrame, features: Sequence[str], days: str, seed: int
) -> DomainShift | None:
    import pandas as pd

    if not features or min(before[days].nunique(), now[days].nunique()) < LEAST_DAYS:
        return None
    rows = pd.concat([before, now], ignore_index=True)
    labels = np.concatenate([np.zeros(len(before)), np.ones(len(now))])
    is_even = np.concatenate([_is_even(side[days]) for side in (before, now)])
    names, scores, importance = list(features), np.empty(len(rows)), dict.fromkeys(features, 0.0)
    rng = np.random.default_rng(seed)
    for fitted, scored in ((is_even, ~is_even), (~is_even, is_even)):
        taken = np.concatenate([_drawn(rng, np.flatnonzero(fitted & (labels == side))) for side in (0, 1)])
        model = fit_candidate(_TREES, rows.iloc[taken][names], labels[taken], seed=seed)
        # as if both sides had as many rows: the weights put their numbers right
        scores[scored] = _as_many(model.predict(rows.loc[scored, names]), float(labels[taken].mean()), labels)
        for name, value in model.importance().items():
            importance[name] = importance.get(name, 0.0) + abs(value)
    named = np.concatenate([np.char.add(side[days].astype(str).to_numpy(dtype=str), mark)
                            for side, mark in ((before, "b"), (now, "n"))])  # fmt: skip
    found = measured_intervals(labels, scores, named, rng=rng, resamples=RESAMPLES, level=LEVEL)["auc"]
    total = sum(importance.values()) or 1.0
    most = sorted(importance.items(), key=lambda each: (-each[1], each[0]))[:N_DRIVERS]
    drivers = tuple((name, value / total) for name, value in most if value > 0)
    return DomainShift(found, drivers, scores[: len(before)])


def _is_even(days: pd.Series) -> NDArray[np.bool_]:
    _, place = np.unique(days.astype(str).to_numpy(dtype=str), return_inverse=True)
    return place % 2 == 0


def _drawn(rng: np.random.Generator, places: NDArray[np.int64]) -> NDArray[np.int64]:
    if places.size <= MOST_ROWS:
        return places
    return np.sort(rng.choice(places, MOST_ROWS, replace=False))


def _as_many(scores: FloatArray, fitted_share: float, labels: FloatArray) -> FloatArray:
    """Give scores as if the share of now among the fitted rows had been that among all rows."""
    share = float(labels.mean())
    odds = scores / np.clip(1 - scores, 1e-9, None) * (share / (1 - share)) / (fitted_share / (1 - fitted_share))
    return odds / (1 + odds)
