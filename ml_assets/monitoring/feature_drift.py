"""How far the features and the score of recent drops lie from a reference, in the unit of the reference's own weeks.

The window of a drop is compared with two references: `before`, the drops just before the window (something changed
abruptly), and `training`, what the champion was trained on (the world moved on since). The deciding statistic is the
steady PSI over bins learned from the reference: PSI of the window without the drop that moves it most, so that no
holiday and no storm decides alone. Its logarithm is put beside that of placebo windows inside the reference, each of
them left out of what it is compared with, and what fewer rows than theirs add to it by chance is allowed for.
Where the reference never varied, or lacks the categories of the window, `sure_change` decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml_assets.monitoring.coded_rows import CodedRows, FeatureRows
from ml_assets.monitoring.placebo_family import MIN_WINDOWS, PlaceboFamily
from ml_assets.monitoring.placebo_z_score import PlaceboZScore
from ml_assets.monitoring.reference_columns import LearnedColumns, learn_column
from ml_assets.monitoring.sure_change import CONSTANT_CHANGED, UsualValues, learn_constant
from ml_assets.monitoring.window_psi import TINY_PSI, chance_psi, log_psi_of_windows, log_steady_psi, n_varying_windows
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.drop import DropKey
from ml_assets.spec.monitoring import MonitoringSpec
from ml_assets.stats.binning import CategoryBins, FloatArray, IntArray, NumericBins
from ml_assets.stats.divergence import expected_psi, jensen_shannon, ks, psi, wasserstein
from ml_assets.stats.not_computed import measured

ReferenceName = Literal["before", "training"]
SCORE = "score"
OVERALL = "all features"

LOG_PSI_FLOOR = 0.25  # placebos whose log PSI varies less than this say little of what would be unusual
_NAMED = 5  # features named with the whole


_FAILED = "not computed: the measure failed"


@dataclass(frozen=True)
class DriftReading:
    """One feature, or all of them together, in one drop against one reference.

    `z_score.value` is the natural logarithm of `steady_psi`, whose median over the placebos is `usual`. `ks` and
    `wasserstein` (in the feature's unit, against the reference at 2,001 quantiles) are NaN for text; `detail` names
    what is odd about the column itself. Where `statistic` is `constant_changed`, `z_score` is that of the share of
    values the reference does not have (see `sure_change`) and `detail` says so; `psi_z` is the z of the PSI. Of all
    features together, `z_score.value` is their mean z, weighted by importance, `detail` names those that contribute
    most among the features over their own threshold, and there is no PSI.
    """

    drop: DropKey
    reference: ReferenceName
    feature: str
    z_score: PlaceboZScore
    n_window: int
    n_reference: int
    detail: str = ""
    steady_psi: float = math.nan
    usual: float = math.nan
    psi: float = math.nan
    jensen_shannon: float = math.nan
    ks: float = math.nan
    wasserstein: float = math.nan
    null_share: float = math.nan
    reference_null_share: float = math.nan
    unseen_share: float = math.nan
    statistic: str = "steady_psi"
    psi_z: float = math.nan


@dataclass(frozen=True)
class FamilyMeasure:
    """One of the two measures that decide for all features against a reference, and what its threshold rests on.

    `placebos` holds the measure of each placebo window, in order of time.
    """

    reference: ReferenceName
    measure: Literal["largest z", "mean z by importance"]
    placebos: FloatArray
    threshold: float


class DriftReference:
    """Holds bins and placebos of a reference, and compares windows with it; `learn_reference` makes one from rows.

    `family` is None where the reference holds fewer than three windows side by side. A feature that varied in fewer
    of them is no member: no placebo says what would be unusual for it. Such a feature is judged by the share of other
    values in the window, see `sure_change`.
    """

    def __init__(self, name: ReferenceName, learned: LearnedColumns, window: int) -> None:
        self.name: ReferenceName = name
        self.drops = learned.drops
        self._n = learned.n_rows
        self._columns = learned.columns
        placebos = {
            feature: log_psi_of_windows(column.by_day, window)
            for feature, column in self._columns.items()
            if n_varying_windows(column.by_day, window) >= MIN_WINDOWS
        }
        self.judged = tuple(placebos)
        enough = placebos and len(next(iter(placebos.values()))) >= MIN_WINDOWS
        values = np.column_stack(list(placebos.values())) if enough else None
        self.family = PlaceboFamily(values, LOG_PSI_FLOOR) if values is not None else None
        self._thresholds: dict[float, float] = {}
        self._usual = {feature: float(np.exp(np.median(self.placebos(feature)))) for feature in self.judged if enough}
        self._constants = {
            feature: learn_constant(column.by_day, column.bins.labels, window)
            for feature, column in self._columns.items()
            if feature not in placebos
        }
        self._chance = {feature: chance_psi(self._columns[feature].by_day, window) for feature in placebos}

    @property
    def features(self) -> tuple[str, ...]:
        """The features it knows."""
        return tuple(self._columns)

    def placebos(self, feature: str) -> FloatArray:
        """Log steady PSI of each window inside the reference against the rest of it, in order of time."""
        if self.family is None or feature not in self.judged:
            return np.empty(0)
        return self.family.values[:, self.judged.index(feature)]

    def code(self, rows: FeatureRows) -> CodedRows:
        """Count the rows of a stretch of drops once, for the windows in it."""
        return CodedRows(self._columns, rows)

    def compare(
        self,
        drop: DropKey,
        window: FeatureRows,
        rate: float,
        importance: Mapping[str, float],
        coded: CodedRows | None = None,
    ) -> list[DriftReading]:
        """Compare the rows of a window: one reading a feature, then one of all together.

        Parameters
        ----------
        rate
            How often one of the two measures, the largest z and the weighted mean, may be over by chance.
        importance
            What each feature weighs in the mean; features weigh alike where none of them weighs anything.
        coded
            What `code` gave of a stretch that holds the window; None counts the window alone.
        """
        counted = self.code(window) if coded is None else coded
        readings = [
            measured(
                f"drift of {feature}",
                lambda name=feature: self._compare(drop, name, window, rate, counted),
                DriftReading(drop, self.name, feature, _unknown(), 0, self._n, _FAILED),
            )
            for feature in sorted({*self._columns, *window.columns})
        ]
        together = [each for each in readings if each.detail != _FAILED]
        return [*readings, self._compare_all(drop, window, together, rate, importance)]

    def _compare(self, drop: DropKey, feature: str, window: FeatureRows, rate: float, coded: CodedRows) -> DriftReading:
        column, values = self._columns.get(feature), window.columns.get(feature)
        if column is None or values is None or not len(values) or not self._n:
            detail = "gone: not in the window" if values is None else "new: not in the reference" if not column else ""
            n = 0 if values is None else len(values)
            return DriftReading(drop, self.name, feature, _unknown(), n, self._n, detail)
        by_day, unseen = coded.of_window(feature, window)
        counts, reference = by_day.sum(axis=0), column.total
        log_psi = float(log_steady_psi(reference[np.newaxis], by_day[np.newaxis])[0])
        null = column.bins.labels.index("null")
        ks_, wasserstein_ = _distances(column.quantiles, values)
        z_score = self._z_score(feature, log_psi, counts, rate)
        usual, sure = self._sure_change(feature, by_day, unseen, rate)
        is_sure = usual is not None and (sure.is_over or (math.isnan(z_score.z) and math.isfinite(sure.z)))
        return DriftReading(
            drop,
            self.name,
            feature,
            sure if is_sure else z_score,
            n_window=int(counts.sum()),
            n_reference=int(reference.sum()),
            detail=usual.describe(sure.value) if usual and sure.is_over else _oddity(column.bins, counts, reference),
            steady_psi=math.exp(log_psi) - TINY_PSI,
            usual=self._usual.get(feature, math.nan),
            psi=psi(reference, counts),
            jensen_shannon=jensen_shannon(reference, counts),
            ks=ks_,
            wasserstein=wasserstein_,
            null_share=float(counts[null] / counts.sum()),
            reference_null_share=float(reference[null] / max(1, reference.sum())),
            unseen_share=float(unseen.sum() / counts.sum()),
            statistic=CONSTANT_CHANGED if is_sure else "steady_psi",
            psi_z=z_score.z,
        )

    def _sure_change(
        self, feature: str, by_day: NDArray[np.int64], unseen: IntArray, rate: float
    ) -> tuple[UsualValues | None, PlaceboZScore]:
        """Judge values that the reference does not have: other ones than its only one, else unseen categories."""
        rows, column = by_day.sum(axis=1), self._columns[feature]
        constant = self._constants.get(feature)
        if constant is not None:
            return constant, constant.judge(rows - by_day[:, int(column.total.argmax())], rows, rate)
        return column.seen, column.seen.judge(unseen, rows, rate) if column.seen else _unknown()

    def _z_score(self, feature: str, log_psi: float, counts: NDArray[np.int64], rate: float) -> PlaceboZScore:
        if self.family is None or feature not in self.judged:
            return _unknown(log_psi)
        place = self.judged.index(feature)
        mean, deviation = float(self.family.means[place]), float(self.family.deviations[place])
        mean += self._widening(feature, mean, counts)
        threshold, n = self._largest_threshold(self.family, rate), self.family.n_windows
        return PlaceboZScore(log_psi, (log_psi - mean) / deviation, threshold, mean, deviation, n, n)

    def _largest_threshold(self, family: PlaceboFamily, rate: float) -> float:
        """Give the threshold of the largest z: one for all features and windows."""
        if rate not in self._thresholds:
            self._thresholds[rate] = family.largest_threshold(rate)
        return self._thresholds[rate]

    def _widening(self, feature: str, mean: float, counts: NDArray[np.int64]) -> float:
        """Give by how much the log PSI of a window with so many rows lies above that of the placebos by chance.

        Of the placebos' PSI, what rows alone explain changes with their number; the rest stays.
        """
        usual, chance, reference = math.exp(mean), self._chance[feature], self._columns[feature].total
        n_bins = int(np.count_nonzero(reference))
        excess = expected_psi(float(reference.sum()), float(counts.sum()), n_bins) - chance
        return math.log1p(excess * min(1 / usual, 1 / chance))

    def measures(self, rate: float, importance: Mapping[str, float]) -> list[FamilyMeasure]:
        """Give the two measures that decide, as placebo windows had them; none without placebos enough."""
        if self.family is None:
            return []
        weights = self._weights(importance)
        largest, mean = self.family.largest_threshold(rate), self.family.mean_threshold(rate, weights)
        return [
            FamilyMeasure(self.name, "largest z", self.family.placebo_largest, largest),
            FamilyMeasure(self.name, "mean z by importance", self.family.placebo_mean(weights), mean),
        ]

    def _weights(self, importance: Mapping[str, float]) -> FloatArray:
        """Give what each judged feature weighs in the mean of all; the score is no feature."""
        weights = np.array([0.0 if feature == SCORE else importance.get(feature, 0.0) for feature in self.judged])
        return weights / weights.sum() if weights.sum() > 0 else np.full(len(weights), 1 / len(weights))

    def _compare_all(
        self,
        drop: DropKey,
        window: FeatureRows,
        readings: list[DriftReading],
        rate: float,
        importance: Mapping[str, float],
    ) -> DriftReading:
        z = {reading.feature: reading.psi_z for reading in readings}
        judged = [z.get(feature, math.nan) for feature in self.judged]
        n_window = len(window.days)
        if self.family is None or not all(map(math.isfinite, judged)):
            return DriftReading(drop, self.name, OVERALL, _unknown(), n_window, self._n)
        weights = self._weights(importance)
        placebos, n = self.family.placebo_mean(weights), self.family.n_windows
        mean, deviation = float(placebos.mean()), float(placebos.std(ddof=1))
        value = float(np.array(judged) @ weights)
        threshold = self.family.mean_threshold(rate, weights)
        largest = self._largest_threshold(self.family, rate)
        most = sorted(zip(weights * np.array(judged), self.judged, judged, strict=True), reverse=True)
        named = [f"{feature} (z {each:.1f})" for _, feature, each in most if each > largest][:_NAMED]
        detail = f"most: {', '.join(named)}" if named else "none alone"
        z_score = PlaceboZScore(value, value, threshold, mean, deviation, n, n)
        return DriftReading(drop, self.name, OVERALL, z_score, n_window, self._n, detail)


def learn_columns(rows: FeatureRows, window: int) -> LearnedColumns:
    """Learn the columns of a reference from its rows; `window` is how many drops a window holds."""
    n_drops = len(rows.drops)
    columns = {name: learn_column(values, rows.days, n_drops, window) for name, values in rows.columns.items()}
    return LearnedColumns(rows.drops, int(rows.days.size), columns)


def learn_reference(name: ReferenceName, rows: FeatureRows, window: int) -> DriftReference:
    """Learn bins and placebos from the rows of a reference."""
    return DriftReference(name, learn_columns(rows, window), window)


def _unknown(value: float = math.nan) -> PlaceboZScore:
    return PlaceboZScore(value, math.nan, math.inf, math.nan, math.nan, 0, 0.0)


def _distances(quantiles: FloatArray | None, values: NDArray[np.float64] | NDArray[np.object_]) -> tuple[float, float]:
    if quantiles is None or values.dtype == object:
        return math.nan, math.nan
    ordered = np.sort(values.astype(np.float64))
    return ks(quantiles, ordered, is_sorted=True), wasserstein(quantiles, ordered, is_sorted=True)


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

    first: DropKey
    last: DropKey
    reference_first: DropKey
    reference_last: DropKey


def block_of(drop: DropKey, calendar: Calendar, monitoring: MonitoringSpec) -> Block:
    """Give the block of windows of `drop`, anchored on the calendar, so that a range changes nothing.

    The reference ends just before the window of the block's first drop begins, so it lies at most one window away.

    >>> from datetime import date
    >>> calendar = Calendar(start="2013-01-01", at="04:00", timezone="America/New_York")
    >>> block_of(date(2013, 4, 3), calendar, MonitoringSpec(window="7d", reference_window="28d")).reference_last
    datetime.date(2013, 3, 26)
    """
    length = calendar.drops_in(monitoring.window)
    first = calendar.shift(calendar.first_drop, calendar.steps(calendar.first_drop, drop) // length * length)
    reference_last = calendar.shift(first, -length)
    reference_first = calendar.window_start(reference_last, monitoring.reference_window)
    return Block(first, calendar.shift(first, length - 1), max(calendar.first_drop, reference_first), reference_last)


def window_rows(rows: FeatureRows, first: DropKey, last: DropKey) -> FeatureRows:
    """Cut the rows of the drops first..last out of more rows."""
    kept = [position for position, drop in enumerate(rows.drops) if first <= drop <= last]
    is_kept = np.isin(rows.days, kept)
    columns: dict[str, NDArray[np.float64] | NDArray[np.object_]] = {
        name: values[is_kept] for name, values in rows.columns.items()
    }
    drops = tuple(rows.drops[position] for position in kept)
    return FeatureRows(drops, rows.days[is_kept] - (kept[0] if kept else 0), columns)
