"""Features that act as a date: by them a model can tell the day apart, and what it learns of a day never comes again.

A feature that is the same for all examples of a drop gives as many observations as there are drops. If it also moves
on with time, no later drop has a value that was learned from: trees put every later drop into the last leaf, and a
line goes on for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

BETWEEN_DROPS = 0.99  # of the variance: what is left is the early flights of the next day
AT_THE_EDGE = (
    0.02  # of the training drops lie as far out as a value at the edge, or further: nothing is learned of so few
)
MOST_OUTSIDE = 0.5  # of the held-out drops: a record or two is weather, not time
MONOTONE = 0.9  # absolute rank correlation with time
LEAST_DROPS = 10  # fewer are in order by chance


@dataclass(frozen=True)
class TimeProxy:
    """One feature and why it acts as a date.

    Attributes
    ----------
    between_drops
        Share of its variance that lies between drops.
    outside
        Share of the held-out drops whose value is outside of the training drops' values or at their edge.
    with_time
        Rank correlation of a training drop's mean with its place in time.
    """

    name: str
    between_drops: float
    outside: float
    with_time: float

    @property
    def reason(self) -> str:
        """Say why, in a sentence."""
        said = f"{self.between_drops:.1%} of its variance lies between drops"
        if self.outside >= MOST_OUTSIDE:
            said += f"; {self.outside:.0%} of the held-out drops are outside of what was trained on, or at its edge"
        if abs(self.with_time) >= MONOTONE:
            said += (
                f"; it goes {'up' if self.with_time > 0 else 'down'} with time (rank correlation {self.with_time:+.2f})"
            )
        return said


def time_proxy_features(rows: pd.DataFrame, features: Sequence[str]) -> list[TimeProxy]:
    """Find the features that are the same for all examples of a drop and move on with time, in order of `features`.

    Parameters
    ----------
    rows
        A training set: `batch_date`, `split` and the features. A text counts by the order of its first appearance.
        Values that are not finite or missing are left out.

    Examples
    --------
    >>> import pandas as pd
    >>> day = pd.Series(range(20)).repeat(3).reset_index(drop=True)
    >>> rows = pd.DataFrame({"batch_date": day, "split": ["train"] * 45 + ["holdout"] * 15, "day": day,
    ...                      "weekday": day % 7, "hour": [6, 12, 18] * 20})
    >>> [found.name for found in time_proxy_features(rows, ["day", "weekday", "hour"])]
    ['day']
    """
    drops = rows["batch_date"].to_numpy()
    drops_in_order, number = np.unique(drops, return_inverse=True)
    is_train = np.zeros(drops_in_order.size, dtype=bool)
    is_train[number[(rows["split"] == "train").to_numpy()]] = True
    found: list[TimeProxy] = []
    if is_train.sum() < LEAST_DROPS:
        return found
    for name in features:
        looked_at = _looked_at(name, _numbers(rows[name]), number, is_train)
        if looked_at is not None:
            found.append(looked_at)
    return found


def _looked_at(
    name: str, values: NDArray[np.float64], number: NDArray[np.int64], is_train: NDArray[np.bool_]
) -> TimeProxy | None:
    from scipy.stats import spearmanr

    is_known = np.isfinite(values)
    values, of = values[is_known], number[is_known]
    if not values.size:
        return None
    count = np.bincount(of, minlength=is_train.size)
    means = np.bincount(of, weights=values, minlength=is_train.size) / np.maximum(count, 1)
    whole = float(((values - values.mean()) ** 2).sum())
    within = float(((values - means[of]) ** 2).sum())
    trained, held_out = means[is_train & (count > 0)], means[~is_train & (count > 0)]
    if whole <= 0 or 1 - within / whole < BETWEEN_DROPS or trained.size < LEAST_DROPS or np.ptp(trained) == 0:
        return None
    as_far_out = [min((trained <= value).mean(), (trained >= value).mean()) for value in held_out]
    outside = float(np.mean(np.array(as_far_out) <= AT_THE_EDGE)) if as_far_out else 0.0
    correlation: Any = spearmanr(trained, np.arange(trained.size))
    with_time = float(correlation.statistic)
    is_found = outside >= MOST_OUTSIDE or abs(with_time) >= MONOTONE
    return TimeProxy(name, 1 - within / whole, outside, with_time) if is_found else None


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    import pandas as pd
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if is_numeric_dtype(column) or is_bool_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    codes, _ = pd.factorize(column)
    return np.where(codes < 0, np.nan, codes.astype(np.float64))
