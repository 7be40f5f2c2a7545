"""What the monitors of drift measure, drop by drop: rows are read here, and measured in monitoring/."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.graph.verdicts import read_promotions
from ml_assets.monitoring.diagnosis import FaultRecord, FaultyReading, diagnose_features, diagnose_feeds
from ml_assets.monitoring.drift_report import Row, feature_rows, feed_rows, history_key, settle_alarms
from ml_assets.monitoring.feature_drift import (
    OVERALL,
    SCORE,
    Block,
    DriftReference,
    FamilyMeasure,
    FeatureRows,
    block_of,
    count_drops,
    window_rows,
)
from ml_assets.monitoring.feed_health import FeedHealth
from ml_assets.monitoring.feed_profile import profile_source
from ml_assets.monitoring.standing import FAMILIES, false_alarm_rate, moving_rate
from ml_assets.serving.routing import Promotion, champion_of
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.model_store import ModelBundle
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb

TABLE = "drift_report"
_BLOCKS_AT_ONCE = 8  # windows whose rows are in memory together, with the reference before them
_MEASURES = 2  # of a family of features: the largest z, and the mean weighted by importance
_kept: dict[tuple[str, ...], DriftReference] = {}  # the newest training reference: a champion serves for weeks


def report_drops(
    connection: "duckdb.DuckDBPyConnection",
    spec: UseCaseSpec,
    state: UseCaseState,
    drops: Sequence[date],
    tell: Callable[[str], None],
) -> tuple[list[Row], list[FamilyMeasure]]:
    """Measure every monitor of `drops`, given what the report said of the drops before them.

    Returns the rows of all drops, and what the thresholds of features rest on in the newest one.
    """
    over, ratios = _earlier(connection, spec, state.lake, drops[0])
    faults = read_faults(connection, spec, state.lake, spec.calendar.previous_drop(drops[0]))
    by_drop = _feed_rows(connection, spec, state.lake, drops, over)
    for drop in drops:
        settle_alarms(by_drop[drop], ratios, spec.monitoring, spec.calendar.every)
        diagnose_feeds(by_drop[drop])
        faults.note(by_drop[drop])
    tell(f"{len(drops)} drops of feeds read")
    of_features, measures = _feature_rows(connection, spec, state, drops, faults)
    for drop in drops:
        settle_alarms(of_features[drop], ratios, spec.monitoring, spec.calendar.every)
        diagnose_features(of_features[drop], spec, faults)
    return [row for drop in drops for row in (*by_drop[drop], *of_features[drop])], measures


def read_faults(connection: "duckdb.DuckDBPyConnection", spec: UseCaseSpec, lake: Lake, known_by: date) -> FaultRecord:
    """Read which feeds looked broken in the drops up to `known_by`."""
    if not lake.has(TABLE):
        return FaultRecord(spec)
    feeds = lake.relation(connection, TABLE, (spec.calendar.start, known_by))
    broken = feeds.filter("kind = 'broken_feed' AND family = 'feed' AND ratio > 1").order("batch_date, monitor")
    rows = broken.project("monitor, source, batch_date, state = 'alarm'").fetchall()
    return FaultRecord(spec, (FaultyReading(*row) for row in rows))


def _earlier(
    connection: "duckdb.DuckDBPyConnection", spec: UseCaseSpec, lake: Lake, first: date
) -> tuple[dict[tuple[str, str, str], list[date]], dict[str, dict[date, float]]]:
    """Read which feeds were over in the drops before, and the newest ratios of every monitor."""
    over: dict[tuple[str, str, str], list[date]] = defaultdict(list)
    ratios: dict[str, dict[date, float]] = defaultdict(dict)
    monitoring, every = spec.monitoring, spec.calendar.every
    until = spec.calendar.previous_drop(first)
    if not lake.has(TABLE):
        return over, ratios
    since = first - 2 * monitoring.relearn_after - monitoring.feed_history
    columns = "batch_date, source, coalesce(column_name, ''), statistic"
    earlier = lake.relation(connection, TABLE, (since, until))
    for drop, source, column, statistic in earlier.filter("family = 'feed' AND ratio > 1").project(columns).fetchall():
        over[source, column, statistic].append(drop)
    recent = lake.relation(connection, TABLE, (first - monitoring.persistence.of * every, until))
    for drop, monitor, version, ratio in recent.project("batch_date, monitor, model_version, ratio").fetchall():
        ratios[history_key(monitor, version)][drop] = ratio
    return over, ratios


def _feed_rows(
    connection: "duckdb.DuckDBPyConnection",
    spec: UseCaseSpec,
    lake: Lake,
    drops: Sequence[date],
    over: Mapping[tuple[str, str, str], list[date]],
) -> dict[date, list[Row]]:
    monitoring = spec.monitoring
    first = max(spec.calendar.start, drops[0] - monitoring.feed_history - monitoring.relearn_after)
    series, categories = [], []
    for source in spec.sources:
        if source.arrives != "every drop":
            continue
        for prefix in ("raw", "quarantine"):
            name = f"{prefix}_{source.name}"
            rows = lake.relation(connection, name, (first, drops[-1]))
            if "_is_late" in rows.columns:  # the drop's own file: what comes late is no fault of it
                rows = rows.filter("NOT coalesce(_is_late, false)")
            rows.create_view(name, replace=True)
        start = spec.calendar.start
        beginning = (start, start + (monitoring.min_placebos - 1) * spec.calendar.every)
        lake.relation(connection, f"raw_{source.name}", beginning).create_view(f"first_{source.name}", replace=True)
        found = profile_source(connection, source, spec.calendar.drops_between(first, drops[-1]))
        series += found[0]
        categories += found[1]
    health = FeedHealth(spec, series, categories, over)
    return {drop: feed_rows(health.read(drop)) for drop in drops}


def _feature_rows(
    connection: "duckdb.DuckDBPyConnection",
    spec: UseCaseSpec,
    state: UseCaseState,
    drops: Sequence[date],
    faults: FaultRecord,
) -> tuple[dict[date, list[Row]], list[FamilyMeasure]]:
    monitoring, calendar = spec.monitoring, spec.calendar
    promotions = read_promotions(connection, state.lake)
    groups: dict[tuple[Block, Promotion | None], list[date]] = defaultdict(list)
    for drop in drops:
        block = block_of(drop, calendar.start, calendar.every, monitoring.window, monitoring.before)
        groups[block, champion_of(drop, promotions)].append(drop)
    found: dict[date, list[Row]] = {}
    measures: list[FamilyMeasure] = []
    champion: _Champion | None = None
    ordered = list(groups)
    for start in range(0, len(ordered), _BLOCKS_AT_ONCE):
        some = ordered[start : start + _BLOCKS_AT_ONCE]
        first = min(block.reference_first for block, _ in some)
        rows = _load(connection, spec, state.lake, first, groups[some[-1]][-1])
        for block, promotion in some:
            if promotion is None:
                champion = None
            elif champion is None or champion.promotion != promotion:
                champion = _champion(connection, spec, state, promotion, faults)
            broken = faults.broken_drops(calendar.previous_drop(block.first))
            reference = rows.cut(block.reference_first, block.reference_last, champion and champion.bundle, broken)
            before = DriftReference("before", reference, count_drops(monitoring.window, calendar.every))
            rows_of_drops, measures = _compare(spec, rows, before, groups[block, promotion], champion)
            found |= rows_of_drops
    return found, measures


@dataclass(frozen=True)
class _Champion:
    """The champion of some drops, and the reference of what it was trained on."""

    promotion: Promotion
    bundle: ModelBundle
    reference: DriftReference


def _compare(
    spec: UseCaseSpec, rows: "_Loaded", before: DriftReference, drops: Sequence[date], champion: "_Champion | None"
) -> tuple[dict[date, list[Row]], list[FamilyMeasure]]:
    """Compare the windows of drops that share a reference `before` and a champion with both references."""
    monitoring, every = spec.monitoring, spec.calendar.every
    length = count_drops(monitoring.window, every)
    bundle = champion.bundle if champion else None
    references = [before]
    importance = _importance_shares(champion.bundle) if champion else {}
    if champion is not None:
        references.append(champion.reference)
    windows = rows.cut(drops[0] - monitoring.window + every, drops[-1], bundle)
    rate = moving_rate(false_alarm_rate(monitoring.false_alarm_every, monitoring.window, _MEASURES, FAMILIES), length)
    version = champion.promotion.model_version if champion else None
    found: dict[date, list[Row]] = {}
    for drop in drops:
        window = window_rows(windows, drop, monitoring.window)
        found[drop] = [
            row
            for reference in references
            for row in feature_rows(reference.compare(drop, window, rate, importance), importance, version)
        ]
    return found, [measure for reference in references for measure in reference.measures(rate, importance)]


def _champion(
    connection: "duckdb.DuckDBPyConnection",
    spec: UseCaseSpec,
    state: UseCaseState,
    promotion: Promotion,
    faults: FaultRecord,
) -> _Champion:
    """Learn what a champion was trained on; kept until another champion or other features are asked for."""
    bundle = state.models.load(promotion.model_version, promotion.artifact_sha256)
    until = spec.calendar.drop_receiving(datetime.fromisoformat(bundle.trained_until))
    length = count_drops(spec.monitoring.window, spec.calendar.every)
    files = state.lake.files("features", drops=(spec.calendar.start, until)).files
    broken = faults.broken_drops(promotion.as_of)
    key = (spec.name, promotion.artifact_sha256, str(length), *map(str, broken), *files)
    if key not in _kept:
        _kept.clear()
        rows = _load(connection, spec, state.lake, spec.calendar.start, until)
        _kept[key] = DriftReference("training", rows.cut(spec.calendar.start, until, bundle, broken), length)
    return _Champion(promotion, bundle, _kept[key])


def _importance_shares(bundle: ModelBundle) -> dict[str, float]:
    from ml_assets.training.estimators import feature_importance

    weights = {name: abs(value) for name, value in feature_importance(bundle.model).items()}
    total = sum(weights.values())
    shares = {name: value / total for name, value in weights.items()} if total else {}
    return shares | {SCORE: 1.0, OVERALL: 1.0}


class _Loaded:
    """Feature rows of a stretch of drops, from which windows and references are cut."""

    def __init__(self, spec: UseCaseSpec, drops: Sequence[date], frame: Any) -> None:
        self.drops = tuple(drops)
        self._names = spec.features.feature_names()
        self._frame = frame
        days = frame["batch_date"].to_numpy().astype("datetime64[D]")
        self._days = np.searchsorted(np.array(drops, dtype="datetime64[D]"), days)
        self._columns = {name: _values(frame[name]) for name in self._names}

    def cut(self, first: date, last: date, bundle: ModelBundle | None, without: Sequence[date] = ()) -> FeatureRows:
        """Give the rows of first..last, those of the drops `without` left out; with a model also its scores."""
        kept = [position for position, drop in enumerate(self.drops) if first <= drop <= last]
        begin, end = (kept[0], kept[-1] + 1) if kept else (0, 0)
        left_out = [position for position, drop in enumerate(self.drops) if drop in without]
        rows = np.flatnonzero((self._days >= begin) & (self._days < end) & ~np.isin(self._days, left_out))
        columns = {name: values[rows] for name, values in self._columns.items()}
        if bundle is not None:
            columns[SCORE] = bundle.model.predict(self._frame.iloc[rows]) if rows.size else np.empty(0)
        return FeatureRows(self.drops[begin:end], self._days[rows] - begin, columns)


def _load(connection: "duckdb.DuckDBPyConnection", spec: UseCaseSpec, lake: Lake, first: date, last: date) -> _Loaded:
    drops = spec.calendar.drops_between(first, last)
    bounds = (drops[0], drops[-1]) if drops else (first, last)
    columns = ", ".join(f'"{name}"' for name in ("batch_date", "example_id", *spec.features.feature_names()))
    frame = lake.relation(connection, "features", bounds).project(columns).order("batch_date, example_id").df()
    return _Loaded(spec, drops, frame)


def feature_rows_of(
    connection: "duckdb.DuckDBPyConnection", spec: UseCaseSpec, lake: Lake, first: date, last: date
) -> FeatureRows:
    """Give the features of the drops first..last as columns."""
    return _load(connection, spec, lake, first, last).cut(first, last, None)


def _values(series: Any) -> Any:
    if series.dtype == object or str(series.dtype) in ("string", "category", "str"):
        return series.astype(object).where(series.notna(), None).to_numpy(dtype=object)
    return series.to_numpy(dtype=np.float64, na_value=np.nan)
