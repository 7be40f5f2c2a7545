"""What the monitors of drift measure, drop by drop: rows are read here, and measured in monitoring/."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.graph.resources import UseCaseState
from ml_assets.graph.verdicts import read_promotions
from ml_assets.monitoring.drift_report import Row, diagnose, feature_rows, feed_rows, history_key, settle_alarms
from ml_assets.monitoring.feature_drift import (
    SCORE,
    Block,
    DriftReference,
    FeatureRows,
    block_of,
    count_drops,
    median_placebo,
    window_rows,
)
from ml_assets.monitoring.feed_health import FeedHealth
from ml_assets.monitoring.feed_profile import profile_source
from ml_assets.monitoring.standing import FAMILIES, false_alarm_rate
from ml_assets.serving.routing import Promotion, champion_of
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.model_store import ModelBundle

if TYPE_CHECKING:
    import duckdb

TABLE = "drift_report"
_BLOCKS_AT_ONCE = 8  # windows whose rows are in memory together, with the reference before them
_kept: dict[tuple[str, ...], DriftReference] = {}  # the newest training reference: a champion serves for weeks


def report_drops(
    connection: "duckdb.DuckDBPyConnection",
    spec: UseCaseSpec,
    state: UseCaseState,
    drops: Sequence[date],
    tell: Callable[[str], None],
) -> list[Row]:
    """Measure every monitor of `drops`, given what the report said of the drops before them."""
    by_drop: dict[date, list[Row]] = {drop: [] for drop in drops}
    over, ratios = _earlier(connection, spec, state.lake, drops[0])
    for drop, rows in _feed_rows(connection, spec, state.lake, drops, over).items():
        by_drop[drop] += rows
    tell(f"{len(drops)} drops of feeds read")
    for drop, rows in _feature_rows(connection, spec, state, drops).items():
        by_drop[drop] += rows
    return [
        row
        for drop in drops
        for row in diagnose(settle_alarms(by_drop[drop], ratios, spec.monitoring), spec)
    ]  # fmt: skip


def _earlier(
    connection: "duckdb.DuckDBPyConnection", spec: UseCaseSpec, lake: Lake, first: date
) -> tuple[dict[tuple[str, str, str], list[date]], dict[str, list[float]]]:
    """Read which feeds were over in the drops before, and the newest ratios of every monitor."""
    over: dict[tuple[str, str, str], list[date]] = defaultdict(list)
    ratios: dict[str, list[float]] = defaultdict(list)
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
    for monitor, version, ratio in recent.order("batch_date").project("monitor, model_version, ratio").fetchall():
        ratios[history_key(monitor, version)].append(ratio)
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
            lake.relation(connection, name, (first, drops[-1])).create_view(name, replace=True)
        found = profile_source(connection, source, spec.calendar.drops_between(first, drops[-1]))
        series += found[0]
        categories += found[1]
    health = FeedHealth(spec, series, categories, over)
    return {drop: feed_rows(health.read(drop)) for drop in drops}


def _feature_rows(
    connection: "duckdb.DuckDBPyConnection", spec: UseCaseSpec, state: UseCaseState, drops: Sequence[date]
) -> dict[date, list[Row]]:
    monitoring, calendar = spec.monitoring, spec.calendar
    promotions = read_promotions(connection, state.lake)
    groups: dict[tuple[Block, Promotion | None], list[date]] = defaultdict(list)
    for drop in drops:
        block = block_of(drop, calendar.start, calendar.every, monitoring.window, monitoring.before)
        groups[block, champion_of(drop, promotions)].append(drop)
    found: dict[date, list[Row]] = {}
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
                champion = _champion(connection, spec, state, promotion)
            found |= _compare(spec, rows, block, groups[block, promotion], champion)
    return found


@dataclass(frozen=True)
class _Champion:
    """The champion of some drops, and the reference of what it was trained on."""

    promotion: Promotion
    bundle: ModelBundle
    reference: DriftReference


def _compare(
    spec: UseCaseSpec, rows: "_Loaded", block: Block, drops: Sequence[date], champion: "_Champion | None"
) -> dict[date, list[Row]]:
    """Compare the windows of drops that share a block and a champion with both references."""
    monitoring, every = spec.monitoring, spec.calendar.every
    length = count_drops(monitoring.window, every)
    bundle = champion.bundle if champion else None
    references = [DriftReference("before", rows.cut(block.reference_first, block.reference_last, bundle), length)]
    importance = _importance_shares(champion.bundle) if champion else {}
    if champion is not None:
        references.append(champion.reference)
    windows = rows.cut(drops[0] - monitoring.window + every, drops[-1], bundle)
    rates = [
        false_alarm_rate(monitoring.false_alarm_every, monitoring.window, reference.n_effective, FAMILIES)
        for reference in references
    ]
    medians = [
        {feature: median_placebo(reference.placebos(feature).tolist()) for feature in reference.features}
        for reference in references
    ]
    version = champion.promotion.model_version if champion else None
    found: dict[date, list[Row]] = {}
    for drop in drops:
        window = window_rows(windows, drop, monitoring.window)
        found[drop] = [
            row
            for reference, rate, usual in zip(references, rates, medians, strict=True)
            for row in feature_rows(reference.compare(drop, window, rate), importance, version, usual)
        ]
    return found


def _champion(
    connection: "duckdb.DuckDBPyConnection", spec: UseCaseSpec, state: UseCaseState, promotion: Promotion
) -> _Champion:
    """Learn what a champion was trained on; kept until another champion or other features are asked for."""
    bundle = state.models.load(promotion.model_version, promotion.artifact_sha256)
    until = spec.calendar.drop_receiving(datetime.fromisoformat(bundle.trained_until))
    length = count_drops(spec.monitoring.window, spec.calendar.every)
    files = state.lake.files("features", drops=(spec.calendar.start, until)).files
    key = (spec.name, promotion.artifact_sha256, str(length), *files)
    if key not in _kept:
        _kept.clear()
        rows = _load(connection, spec, state.lake, spec.calendar.start, until)
        _kept[key] = DriftReference("training", rows.cut(spec.calendar.start, until, bundle), length)
    return _Champion(promotion, bundle, _kept[key])


def _importance_shares(bundle: ModelBundle) -> dict[str, float]:
    from ml_assets.training.estimators import feature_importance

    weights = {name: abs(value) for name, value in feature_importance(bundle.model).items()}
    total = sum(weights.values())
    shares = {name: value / total for name, value in weights.items()} if total else {}
    return shares | {SCORE: 1.0}


class _Loaded:
    """Feature rows of a stretch of drops, from which windows and references are cut."""

    def __init__(self, spec: UseCaseSpec, drops: Sequence[date], frame: Any) -> None:
        self.drops = tuple(drops)
        self._names = spec.features.feature_names()
        self._frame = frame
        days = frame["batch_date"].to_numpy().astype("datetime64[D]")
        self._days = np.searchsorted(np.array(drops, dtype="datetime64[D]"), days)
        self._columns = {name: _values(frame[name]) for name in self._names}

    def cut(self, first: date, last: date, bundle: ModelBundle | None) -> FeatureRows:
        """Give the rows of first..last; with a model also what it would score them."""
        kept = [position for position, drop in enumerate(self.drops) if first <= drop <= last]
        begin, end = (kept[0], kept[-1] + 1) if kept else (0, 0)
        low, high = np.searchsorted(self._days, [begin, end])
        columns = {name: values[low:high] for name, values in self._columns.items()}
        if bundle is not None:
            columns[SCORE] = bundle.model.predict(self._frame.iloc[low:high]) if high > low else np.empty(0)
        return FeatureRows(self.drops[begin:end], self._days[low:high] - begin, columns)


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
