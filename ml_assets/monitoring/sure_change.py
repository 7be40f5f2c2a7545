"""Rows of a window whose values the reference never, or hardly ever, has: the surest change there is.

A column that was 0 in every row of the reference has no placebo that varies, so its PSI cannot be put beside anything.
It needs no placebo: the reference itself says how many rows may hold another value. In goes a reference, as counts by
drop; out comes, for a window, whether the share of other values lies above what the reference allows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml_assets.monitoring.placebo_z_score import PlaceboZScore, share_interval
from ml_assets.stats.binning import IntArray

CONSTANT_CHANGED = "constant_changed"
_MIN_WINDOWS = 3
_FEW_OTHERS = 0.05  # a reference with a larger share of other values has no constant


@dataclass(frozen=True)
class UsualValues:
    """The values of a column that are no surprise, and how many rows of a window may hold others.

    Attributes
    ----------
    kind
        `constant`: one value (or null) fills the reference; every other one counts. `unseen`: a category that the
        reference does not have counts.
    label
        The value of a constant, as people read it.
    n_rows, n_other
        Rows of the reference, and those among them that count as other. A category is other there when it appears in
        one window alone.
    n_drops
        Drops of the reference that hold rows.
    largest
        Largest share of other values in one window of the reference.
    """

    kind: Literal["constant", "unseen"]
    label: str
    n_rows: int
    n_other: int
    n_drops: int
    largest: float

    @property
    def allowed(self) -> float:
        """Share of a window that may be other: the largest seen, and the rule of three over the drops.

        What happened in none of n drops happens in at most 3/n of them, with 95 % confidence (Hanley and
        Lippman-Hand, 1983). Drops count and not rows: the rows of a drop share their cause.

        >>> UsualValues("constant", "0", 6000, 0, 60, 0.0).allowed
        0.05
        """
        return self.largest + 3 / self.n_drops if self.n_drops else math.inf

    def judge(self, others: IntArray, rows: IntArray, rate: float) -> PlaceboZScore:
        """Compare a window with the reference.

        The drop with most other values is left out, so that no holiday decides alone. `z` is the exact lower bound
        (Clopper and Pearson) of the share in the rest, at confidence 1 - `rate`; `threshold` is the share allowed.

        Parameters
        ----------
        others, rows
            Rows with another value, and all rows, by drop of the window.
        """
        share = float(others.sum() / rows.sum()) if rows.sum() else math.nan
        if not rows.sum() or self.allowed >= 1:
            return PlaceboZScore(share, math.nan, math.inf, math.nan, math.nan, 0, 0.0)
        worst = int(others.argmax())
        k, n = int(others.sum() - others[worst]), int(rows.sum() - rows[worst])
        if not n:  # one drop with rows is taken as it is
            k, n = int(others.sum()), int(rows.sum())
        lower = share_interval(k, n, 1 - 2 * rate)[0]
        usual = self.n_other / self.n_rows
        return PlaceboZScore(share, lower, self.allowed, usual, math.nan, self.n_drops, float(self.n_drops))

    def describe(self, share: float) -> str:
        """Say what was usual and what share of the window is other.

        >>> UsualValues("constant", "0", 5600, 0, 56, 0.0).describe(0.63)
        'was 0 in all 5,600 rows of the reference and is other in 63 % of the window'
        """
        if self.kind == "unseen":
            usual = self.n_other / self.n_rows
            return f"{_percent(share)} of the window hold values that the reference does not have (usual {usual:.1%})"
        same = f"all {self.n_rows:,}" if not self.n_other else f"{self.n_rows - self.n_other:,} of {self.n_rows:,}"
        return f"was {self.label} in {same} rows of the reference and is other in {_percent(share)} of the window"


def learn_constant(by_day: NDArray[np.int64], labels: Sequence[str], window: int) -> UsualValues | None:
    """Learn the one value that fills a reference, but for a few rows such as those of a holiday.

    None where it has none, and for a reference of fewer than three windows: eight dry days do not make rain a change.

    Parameters
    ----------
    by_day
        Rows a drop and bin.
    labels
        A text a bin.
    window
        Drops of a window.
    """
    rows = by_day.sum(axis=1)
    fullest = int(by_day.sum(axis=0).argmax())
    others = rows - by_day[:, fullest]
    if len(rows) // window < _MIN_WINDOWS or not rows.sum() or others.sum() > _FEW_OTHERS * rows.sum():
        return None
    label = labels[fullest].removeprefix("= ")
    return _learned("constant", label, others, rows, window)


def learn_seen(values: NDArray[np.object_], days: IntArray, n_drops: int, window: int) -> UsualValues | None:
    """Learn how often a category appears that no other window of the reference has; None below three windows.

    Parameters
    ----------
    values, days
        Texts (None or NaN where unknown), and the drop of each.
    n_drops, window
        Drops of the reference and of a window.
    """
    if not len(values) or n_drops // window < _MIN_WINDOWS:
        return None
    code_of: dict[str, int] = {}
    codes = np.array(
        [code_of.setdefault(item, len(code_of)) if isinstance(item, str) else -1 for item in values], dtype=np.int64
    )
    unit = _unit_of_drop(n_drops, window)[days]
    pairs = np.unique(np.column_stack([codes, unit]), axis=0)
    n_units = np.bincount(pairs[pairs[:, 0] >= 0, 0], minlength=max(1, len(code_of)))
    is_lone = (codes >= 0) & (n_units[codes] == 1)
    others = np.bincount(days[is_lone], minlength=n_drops)
    return _learned("unseen", "", others, np.bincount(days, minlength=n_drops), window)


def _learned(
    kind: Literal["constant", "unseen"], label: str, others: IntArray, rows: IntArray, window: int
) -> UsualValues:
    unit = _unit_of_drop(len(rows), window)
    inside = unit >= 0
    of_units = np.bincount(unit[inside], weights=others[inside])
    n_of_units = np.bincount(unit[inside], weights=rows[inside])
    largest = float((of_units / np.maximum(n_of_units, 1)).max(initial=0.0))
    return UsualValues(kind, label, int(rows.sum()), int(others.sum()), int((rows > 0).sum()), largest)


def _unit_of_drop(n_drops: int, window: int) -> IntArray:
    """Number windows side by side up to the last drop; drops before the first are -1."""
    first = n_drops % window
    return np.maximum((np.arange(n_drops) - first) // window, -1).astype(np.int64)


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")
