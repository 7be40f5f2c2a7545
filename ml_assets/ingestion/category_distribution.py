"""How the values of a column are spread in one drop, beside some other drops."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.drop import DropKey
from ml_assets.spec.drop_rules import DistributionRule
from ml_assets.spec.key_arrays import key_moment
from ml_assets.stats.binning import CATEGORY_SPECIALS, histogram, learn_numeric_bins
from ml_assets.stats.divergence import psi

if TYPE_CHECKING:
    import pandas as pd

Days = NDArray[np.datetime64]


@dataclass(frozen=True)
class DistributionShift:
    """How far a drop lies from its reference, and the bin in which most of that is, in words."""

    psi: float
    most: str


class ColumnMix:
    """The values of a column, in order of their drops; any drop can be compared with any others."""

    def __init__(self, days: Days, is_null: NDArray[np.bool_]) -> None:
        self._days = days
        self._with_values = set(np.unique(days[~is_null]).tolist())

    @staticmethod
    def of_texts(days: Days, values: pd.Series) -> ColumnMix:
        """Take a column of texts; `days` ascend."""
        return _TextMix(days, values)

    @staticmethod
    def of_numbers(days: Days, values: pd.Series) -> ColumnMix:
        """Take a column of numbers, or of true and false; `days` ascend."""
        return _NumberMix(days, values)

    def has_values(self, drop: DropKey) -> bool:
        """Say whether a row of `drop` has a value: a column that was not sent yet is no reference."""
        return key_moment(drop).item() in self._with_values

    def compare(self, drop: DropKey, reference: Sequence[DropKey]) -> DistributionShift:
        """Compare the values of `drop` with those of the drops of `reference`, taken together."""
        names, before, now = self._counts(self._slice(drop), np.concatenate([self._slice(day) for day in reference]))
        shares = [counts / max(1, counts.sum()) for counts in (before, now)]
        most = int(np.argmax(np.abs(shares[1] - shares[0])))
        told = f"most of it {names[most]}: {shares[0][most]:.1%} to {shares[1][most]:.1%}"
        return DistributionShift(psi(before, now), told)

    def _slice(self, drop: DropKey) -> NDArray[np.int64]:
        first, last = (int(np.searchsorted(self._days, key_moment(drop), side)) for side in ("left", "right"))
        return np.arange(first, last)

    @abstractmethod
    def _counts(
        self, rows: NDArray[np.int64], reference: NDArray[np.int64]
    ) -> tuple[Sequence[str], NDArray[np.int64], NDArray[np.int64]]:
        """Give the bins that the reference makes, its rows in each, and those of the drop."""


class _TextMix(ColumnMix):
    def __init__(self, days: Days, values: pd.Series) -> None:
        import pandas as pd

        self._codes, names = pd.factorize(values, sort=True)  # in order of name: ties never depend on the range
        self._names = [str(name) for name in names]
        super().__init__(days, self._codes < 0)

    def _counts(
        self, rows: NDArray[np.int64], reference: NDArray[np.int64]
    ) -> tuple[Sequence[str], NDArray[np.int64], NDArray[np.int64]]:
        width = len(self._names) + 1
        before, now = (np.bincount(self._codes[part] + 1, minlength=width) for part in (reference, rows))
        ranked = np.argsort(-before[1:], kind="stable") + 1
        seen = ranked[before[ranked] > 0]
        own, rare, unseen = seen[: DistributionRule.TEXT_BINS], seen[DistributionRule.TEXT_BINS :], ranked[seen.size :]
        names = [*(self._names[code - 1] for code in own), *CATEGORY_SPECIALS]
        spread = [np.array([*part[own], part[rare].sum(), part[unseen].sum(), part[0]]) for part in (before, now)]
        return names, spread[0], spread[1]


class _NumberMix(ColumnMix):
    def __init__(self, days: Days, values: pd.Series) -> None:
        self._values = values.to_numpy(dtype=np.float64, na_value=np.nan)
        super().__init__(days, np.isnan(self._values))

    def _counts(
        self, rows: NDArray[np.int64], reference: NDArray[np.int64]
    ) -> tuple[Sequence[str], NDArray[np.int64], NDArray[np.int64]]:
        bins = learn_numeric_bins(self._values[reference], max_bins=DistributionRule.NUMERIC_BINS)
        before, now = (histogram(bins.code(self._values[part]), bins.n_bins) for part in (reference, rows))
        return bins.labels, before, now
