"""Columns that say the outcome: too well, by being absent, or only once it is over; and rows that both splits hold.

Recomputation catches what could not be known in time. A contract that claims a moment too early deceives it, so what a
column says about the outcome is looked at as well, out of time: what is learned on the training part, told on the
holdout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml_assets.stats.classification import auc

if TYPE_CHECKING:
    import pandas as pd

MAX_SINGLE_AUC = 0.8
MAX_ABSENCE = 0.3  # Cramér's V of being null and the outcome
MIN_ROWS = 30
_BINS = 20
_PRIOR_ROWS = 20.0


@dataclass(frozen=True)
class Finding:
    """What one column, or one group of rows, gives away.

    `kind` is target (it alone predicts the label), absence (being null goes with an outcome), afterwards (it is
    filled in only for what is over) or twins (rows of the holdout that training holds too). `value` above `limit` is an
    alarm; no `limit` is a report.
    """

    kind: str
    column: str
    value: float
    limit: float | None
    n: int
    says: str

    @property
    def is_alarm(self) -> bool:
        """Say whether it is above its limit."""
        return self.limit is not None and self.value > self.limit


def find_disguised_labels(frame: pd.DataFrame, columns: Sequence[str], limit: float = MAX_SINGLE_AUC) -> list[Finding]:
    """Measure how well each column alone ranks the examples of a drop of the holdout, by its rates in training.

    Only examples of the same drop are compared: in a week in which all is late, yesterday's lateness tells the days
    apart, and gives nothing away.

    Parameters
    ----------
    frame
        A training set: `label`, `split` (train or holdout), `batch_date` and `columns`. A number is cut into twenty
        parts of equal size, null is a part of its own.
    """
    is_train = (frame["split"] == "train").to_numpy()
    labels = frame["label"].to_numpy(dtype=np.float64)
    drops = frame["batch_date"].to_numpy()[~is_train]
    found = []
    if min(is_train.sum(), (~is_train).sum()) < MIN_ROWS:
        return found
    for column in columns:
        parts = _parts(_as_hours(frame, column), is_train)
        score = _rates(parts[is_train], labels[is_train])[parts[~is_train]]
        value = _auc_within(drops, labels[~is_train], score)
        if np.isnan(value):
            continue
        value = max(value, 1.0 - value)
        says = f"alone it ranks the examples of a drop with AUC {value:.3f}"
        found.append(Finding("target", column, value, limit, int((~is_train).sum()), says))
    return found


def _as_hours(frame: pd.DataFrame, column: str) -> pd.Series:
    """Give a time as hours since `prediction_at`: as it is, each would be a value of its own."""
    import pandas as pd

    values = frame[column]
    is_day = values.dtype == object and values.map(lambda value: isinstance(value, date)).any()
    if not (is_day or pd.api.types.is_datetime64_any_dtype(values)) or "prediction_at" not in frame:
        return values
    since = pd.to_datetime(values, utc=True, errors="coerce") - pd.to_datetime(frame["prediction_at"], utc=True)
    return since / pd.Timedelta(hours=1)


def _auc_within(drops: npt.NDArray[Any], labels: npt.NDArray[np.float64], score: npt.NDArray[np.float64]) -> float:
    """Give the chance that a positive is ranked above a negative of its drop; NaN below thirty of either."""
    pairs = right = 0.0
    positive = negative = 0
    for drop in np.unique(drops):
        mine = drops == drop
        ones = int(labels[mine].sum())
        zeros = int(mine.sum()) - ones
        if ones and zeros:
            right += auc(labels[mine], score[mine]) * ones * zeros
            pairs, positive, negative = pairs + ones * zeros, positive + ones, negative + zeros
    return right / pairs if min(positive, negative) >= MIN_ROWS else float("nan")


def _parts(values: pd.Series, is_train: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Give the part each value falls into, 0 for null; what training never held is null too."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        known = numbers[is_train & np.isfinite(numbers)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if known.size else np.zeros(0)
        return np.where(np.isfinite(numbers), 1 + np.searchsorted(edges, numbers, side="right"), 0)
    codes, names = pd.factorize(values.where(is_train))
    places = pd.Index(names).get_indexer(pd.Index(values))
    return np.where(places >= 0, places + 1, 0).astype(np.int64) if codes.size else np.zeros(0, dtype=np.int64)


def _rates(parts: npt.NDArray[np.int64], labels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    size = int(parts.max(initial=0)) + 2 + _BINS
    rows, positive = np.bincount(parts, minlength=size), np.bincount(parts, labels, minlength=size)
    return (positive + _PRIOR_ROWS * labels.mean()) / (rows + _PRIOR_ROWS)


def find_telling_absence(
    absent: Mapping[str, npt.NDArray[np.bool_]], outcomes: npt.NDArray[np.int64], limit: float = MAX_ABSENCE
) -> list[Finding]:
    """Measure how far being null goes with the outcome: Cramér's V over positive, negative and never labelled.

    Parameters
    ----------
    absent
        By column, where it is null, of matured examples.
    outcomes
        Their outcomes: 1, 0, or -1 for matured without a label.
    """
    found = []
    for column, is_null in absent.items():
        rows = int(is_null.sum())
        if min(rows, is_null.size - rows) < MIN_ROWS:
            continue
        sides = [is_null, ~is_null]
        table = np.array([[np.sum((outcomes == state) & side) for state in (1, 0, -1)] for side in sides])
        table = table[:, table.sum(axis=0) > 0].astype(np.float64)
        expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
        value = float(np.sqrt(((table - expected) ** 2 / expected).sum() / table.sum()))
        shares = [f"{np.mean(outcomes[is_null] == state):.0%} {name}" for state, name in
                  ((1, "positive"), (0, "negative"), (-1, "never labelled"))]  # fmt: skip
        found.append(Finding("absence", column, value, limit, rows, f"where it is null: {', '.join(shares)}"))
    return found


def find_filled_afterwards(
    filled: Mapping[str, tuple[float, float]], rows: tuple[int, int], limit: float = 0.5
) -> list[Finding]:
    """Find columns that are there for what has matured, and hardly for what is still open.

    Parameters
    ----------
    filled
        By column, the share of matured and of open examples that have a value.
    rows
        How many of both there are.
    """
    if min(rows) < MIN_ROWS:
        return []
    return [
        Finding("afterwards", column, matured - still_open, limit, rows[1],
                f"{matured:.0%} of matured examples have it, {still_open:.0%} of open ones")
        for column, (matured, still_open) in filled.items()
    ]  # fmt: skip


def report_twins(frame: pd.DataFrame, columns: Sequence[str]) -> list[Finding]:
    """Report the rows of the holdout that training holds too, feature by feature, and what they would gain a model.

    A model that remembers would rank them by the labels of their twins: the difference of its AUC to one half is the
    most that they can add.
    """
    import pandas as pd

    hashes = pd.util.hash_pandas_object(frame[list(columns)], index=False).to_numpy()
    is_train, labels = (frame["split"] == "train").to_numpy(), frame["label"].to_numpy(dtype=np.float64)
    known = pd.Series(labels[is_train]).groupby(hashes[is_train]).mean()
    remembered = known.reindex(hashes[~is_train]).to_numpy()
    is_twin = ~np.isnan(remembered)
    held = labels[~is_train]
    share = float(is_twin.mean()) if is_twin.size else 0.0
    says = f"{int(is_twin.sum()):,} of {is_twin.size:,} rows of the holdout have a twin in training"
    if is_twin.sum() >= MIN_ROWS and len(set(held[is_twin])) == 2:
        says += f"; the labels of the twins rank them with AUC {auc(held[is_twin], remembered[is_twin]):.3f}"
    return [Finding("twins", "all features", share, None, int(is_twin.sum()), says)]
