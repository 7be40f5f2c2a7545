"""How far the features and the score of recent drops lie from a reference, in the unit of the reference's own weeks.

The window of a drop is compared with two references: `before`, the drops just before the window (something changed
abruptly), and `training`, what the champion was trained on (the world moved on since). The deciding statistic is
PSI over bins learned from the reference; its logarithm is put beside that of placebo windows inside the reference,
each of them left out of what it is compared with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml_assets.monitoring.standing import Standing, effective_monitors, standing_of
from ml_assets.stats.binning import (
    CategoryBins,
    FloatArray,
    IntArray,
    NumericBins,
    histograms_by_group,
    learn_category_bins,
    learn_numeric_bins,
)
from ml_assets.stats.divergence import jensen_shannon, ks, psi, psi_of_rows, wasserstein

ReferenceName = Literal["before", "training"]
SCORE = "score"

_LOG_PSI_FLOOR = 0.25  # placebos whose log PSI varies less than this say little of what would be unusual
_TINY = 1e-6  # PSI of two equal histograms is 0, whose logarithm is not finite
_QUANTILES = 2001  # points that stand for the reference in KS and Wasserstein: both move by less than 1/2000 of a share


@dataclass(frozen=True)
class FeatureRows:
    """Rows of some drops. `columns` are float64 or object (text, None where unknown); `days` gives each row's drop."""

    drops: tuple[date, ...]
    days: IntArray
    columns: Mapping[str, NDArray[np.float64] | NDArray[np.object_]]


@dataclass(frozen=True)
class DriftReading:
    """One feature in one drop against one reference.

    `standing.value` is the natural logarithm of `psi`. `ks` and `wasserstein` (in the feature's unit, against the
    reference at 2,001 quantiles) are NaN for text; `detail` names what is odd about the column itself.
    """

    drop: date
    reference: ReferenceName
    feature: str
    standing: Standing
    psi: float
    jensen_shannon: float
    ks: float
    wasserstein: float
    null_share: float
    reference_null_share: float
    unseen_share: float
    n_window: int
    n_reference: int
    detail: str


@dataclass(frozen=True)
class _Column:
    """A feature of the reference: its bins, its histogram a drop, and its values at quantiles (numbers alone)."""

    bins: NumericBins | CategoryBins
    by_day: NDArray[np.int64]
    quantiles: FloatArray | None
    log_psi_placebos: FloatArray


class DriftReference:
    """Learns bins and placebos from the rows of a reference, once, and compares windows with it."""

    def __init__(self, name: ReferenceName, rows: FeatureRows, window: int) -> None:
        self.name: ReferenceName = name
        self.drops = rows.drops
        self.window = window
        self._n = int(rows.days.size)
        self._columns = {feature: _learn(values, rows, window) for feature, values in rows.columns.items()}

    @property
    def n_independent(self) -> float:
        """How many windows fit into the reference side by side."""
        return len(self.drops) / self.window

    @property
    def features(self) -> tuple[str, ...]:
        """The features it knows."""
        return tuple(self._columns)

    @property
    def n_effective(self) -> float:
        """How many independent monitors would vary as the features do in the placebos."""
        if not self._columns:
            return 1.0
        return effective_monitors(np.column_stack([column.log_psi_placebos for column in self._columns.values()]))

    def placebos(self, feature: str) -> FloatArray:
        """Log PSI of each window inside the reference against the rest of it, in order of time."""
        return self._columns[feature].log_psi_placebos

    def compare(self, drop: date, window: FeatureRows, rate: float) -> list[DriftReading]:
        """Compare the rows of a window, one reading a feature; a feature the reference lacks is named as new."""
        return [
            self._compare(drop, feature, window.columns.get(feature), rate)
            for feature in sorted({*self._columns, *window.columns})
            if feature in self._columns or feature in window.columns
        ]

    def _compare(
        self, drop: date, feature: str, values: NDArray[np.float64] | NDArray[np.object_] | None, rate: float
    ) -> DriftReading:
        column = self._columns.get(feature)
        if column is None or values is None or not len(values) or not self._n:
            unknown = standing_of(math.nan, [], rate=rate, floor=_LOG_PSI_FLOOR)
            detail = "gone: not in the window" if values is None else "new: not in the reference" if not column else ""
            n = 0 if values is None else len(values)
            nan = math.nan
            return DriftReading(
                drop, self.name, feature, unknown, nan, nan, nan, nan, nan, nan, nan, n, self._n, detail
            )  # fmt: skip
        codes = column.bins.code(values)
        counts = np.bincount(codes, minlength=column.bins.n_bins).astype(np.int64)
        reference = column.by_day.sum(axis=0)
        distance = psi(reference, counts)
        independent = self.n_independent if len(self.drops) >= 3 * self.window else 0.0
        standing = standing_of_log_psi(reference, counts, column.log_psi_placebos, rate, independent)
        null = column.bins.labels.index("null")
        distances = _distances(column.quantiles, values)
        return DriftReading(
            drop,
            self.name,
            feature,
            standing,
            distance,
            jensen_shannon(reference, counts),
            *distances,
            float(counts[null] / counts.sum()),
            float(reference[null] / max(1, reference.sum())),
            _unseen(column.bins, counts),
            int(counts.sum()),
            int(reference.sum()),
            _oddity(column.bins, counts, reference),
        )


def _learn(values: NDArray[np.float64] | NDArray[np.object_], rows: FeatureRows, window: int) -> _Column:
    quantiles: FloatArray | None = None
    if values.dtype == object:
        bins: NumericBins | CategoryBins = learn_category_bins(values)
    else:
        bins = learn_numeric_bins(values)
        numbers = values.astype(np.float64, copy=False)
        finite = np.sort(numbers[np.isfinite(numbers)])
        if finite.size:
            places = np.linspace(0, finite.size - 1, min(_QUANTILES, finite.size)).round().astype(np.int64)
            quantiles = finite[places]
    by_day = histograms_by_group(bins.code(values), rows.days, len(rows.drops), bins.n_bins)
    return _Column(bins, by_day, quantiles, log_psi_of_windows(by_day, window))


def log_psi_of_windows(by_day: NDArray[np.int64], window: int) -> FloatArray:
    """Give the log PSI of each run of `window` drops against all other drops, in order of time: the placebos.

    `by_day` has the shape (drops, bins).
    """
    if by_day.shape[0] <= window:
        return np.empty(0)
    total = by_day.sum(axis=0)
    before = np.vstack([np.zeros((1, by_day.shape[1]), dtype=np.int64), by_day.cumsum(axis=0)])
    windows = before[window:] - before[:-window]
    return np.log(psi_of_rows(total - windows, windows) + _TINY)


def standing_of_log_psi(
    reference: NDArray[np.int64], window: NDArray[np.int64], placebos: FloatArray, rate: float, n_independent: float
) -> Standing:
    """Put the log PSI of a window's histogram beside the placebos of its reference."""
    log_psi = math.log(psi(reference, window) + _TINY)
    return standing_of(log_psi, placebos, rate=rate, floor=_LOG_PSI_FLOOR, n_independent=n_independent)


def _distances(quantiles: FloatArray | None, values: NDArray[np.float64] | NDArray[np.object_]) -> tuple[float, float]:
    if quantiles is None or values.dtype == object:
        return math.nan, math.nan
    ordered = np.sort(values.astype(np.float64))
    return ks(quantiles, ordered, is_sorted=True), wasserstein(quantiles, ordered, is_sorted=True)


def _unseen(bins: NumericBins | CategoryBins, counts: NDArray[np.int64]) -> float:
    if isinstance(bins, NumericBins):
        return 0.0
    return float(counts[bins.labels.index("unseen")] / counts.sum())


def _oddity(bins: NumericBins | CategoryBins, counts: NDArray[np.int64], reference: NDArray[np.int64]) -> str:
    """Name what is odd about the column itself, whatever its distance."""
    labels = bins.labels
    null = labels.index("null")
    if counts[null] == counts.sum():
        return "all null"
    if reference[null] == reference.sum():
        return "new: null throughout the reference"
    if "infinite" in labels and counts[labels.index("infinite")]:
        return f"{counts[labels.index('infinite')]} infinite"
    if np.count_nonzero(counts) == 1 and np.count_nonzero(reference) > 1:
        return f"constant: {labels[int(np.argmax(counts))]}"
    return ""


@dataclass(frozen=True)
class Block:
    """The drops first..last, as many as a window holds, and the reference `before` that they share."""

    first: date
    last: date
    reference_first: date
    reference_last: date


def block_of(drop: date, start: date, every: timedelta, window: timedelta, before: timedelta) -> Block:
    """Give the block of windows of `drop`, anchored on the calendar, so that a range changes nothing.

    The reference ends just before the window of the block's first drop begins, so it lies at most one window away.

    >>> week, day = timedelta(days=7), timedelta(days=1)
    >>> block_of(date(2013, 4, 3), date(2013, 1, 1), day, week, 4 * week).reference_last
    datetime.date(2013, 3, 26)
    """
    first = start + ((drop - start) // window) * window
    last = first + window - every
    reference_last = first - window
    return Block(first, last, max(start, reference_last - before + every), reference_last)


def window_rows(rows: FeatureRows, drop: date, window: timedelta) -> FeatureRows:
    """Cut the rows of the window that ends with `drop` out of more rows."""
    kept = [position for position, day in enumerate(rows.drops) if drop - window < day <= drop]
    is_kept = np.isin(rows.days, kept)
    columns: dict[str, NDArray[np.float64] | NDArray[np.object_]] = {
        name: values[is_kept] for name, values in rows.columns.items()
    }
    drops = tuple(rows.drops[position] for position in kept)
    return FeatureRows(drops, rows.days[is_kept] - (kept[0] if kept else 0), columns)


def count_drops(length: timedelta, every: timedelta) -> int:
    """Give how many drops fall into a length of time, at least one."""
    return max(1, length // every)


def median_placebo(placebos: Sequence[float]) -> float:
    """Give the median PSI of placebo windows, for people; NaN without any."""
    return float(np.exp(np.median(placebos))) if len(placebos) else math.nan
