"""Drift of features and scores: windows of drops against two references."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.monitoring.coded_rows import FeatureRows
from ml_assets.monitoring.diagnosis import FaultRecord, diagnose_features, known_changes
from ml_assets.monitoring.drift_report import Row, feature_rows, set_alarm_states
from ml_assets.monitoring.feature_drift import (
    OVERALL,
    SCORE,
    Block,
    DriftReference,
    FamilyMeasure,
    block_of,
    learn_columns,
    learn_reference,
    window_rows,
)
from ml_assets.monitoring.placebo_z_score import FAMILIES, false_alarm_rate, moving_rate
from ml_assets.monitoring.reference_columns import LearnedColumns, columns_from_bytes, columns_to_bytes
from ml_assets.pipeline.champion.record import read_promotions
from ml_assets.pipeline.features.closed_drops import require_features
from ml_assets.pipeline.features.versions import require_declared_features, require_stored_features
from ml_assets.pipeline.monitoring.feed_health import read_faults
from ml_assets.pipeline.monitoring.monitor_results import (
    MonitorResult,
    monitor_outcome,
    monitor_result,
    recent_readings,
)
from ml_assets.pipeline.monitoring.text_drift import store_text_drift
from ml_assets.serving.routing import Promotion, champion_of
from ml_assets.spec.drop import DropKey
from ml_assets.spec.key_arrays import key_array
from ml_assets.spec.tables import of_use_case
from ml_assets.spec.tables.monitoring import DRIFT_REPORT
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.not_computed import measured
from ml_assets.stores.failed_measures import noting_failures
from ml_assets.stores.kept_results import keep_in_file
from ml_assets.stores.kept_scores import scores_schema
from ml_assets.stores.lake import Lake
from ml_assets.stores.model_store import ModelBundle
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.unchanged import keep_unchanged
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

Score = Callable[["pa.Table"], NDArray[np.float64]]
TABLE = DRIFT_REPORT.name
_BLOCKS_AT_ONCE = 8  # windows whose rows are in memory together, with the reference before them
_ROWS_AT_ONCE = 20_000  # scored together, of a champion's training rows
_MEASURES = 2  # of a family of features: the largest z, and the mean weighted by importance


@dataclass(frozen=True)
class DriftResult:
    """The monitors of drops, and what the thresholds of features rest on in the newest one."""

    monitors: MonitorResult
    measures: Sequence[FamilyMeasure]


def store_drift_report(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]) -> DriftResult:
    """Compare the windows of `drops` with the drops before and with the champion's training rows; store the rows.

    Given which feeds looked broken by then, and what the report said of the drops before.
    """
    require_features(state, drops)
    with noting_failures(state.paths.alerts, spec.name, TABLE, drops[-1]) as failed, state.connect() as connection:
        recent = recent_readings(connection, spec, state.lake, TABLE, drops[0])
        faults = read_faults(connection, spec, state.lake, drops[-1])
        nothing: tuple[dict[DropKey, list[Row]], list[FamilyMeasure]] = ({drop: [] for drop in drops}, [])
        work = partial(_feature_rows, connection, spec, state, drops, faults)
        by_drop, measures = measured("drift of all features", work, nothing)
    for drop in drops:
        set_alarm_states(by_drop[drop], recent.ratios, spec.monitoring, spec.calendar, recent.measured)
        diagnose_features(by_drop[drop], spec, faults)
    rows = [row for drop in drops for row in by_drop[drop]]
    state.lake.replace_drops(TABLE, arrow_rows(of_use_case(DRIFT_REPORT, spec), rows), drops)
    store_text_drift(spec, state, drops)
    outcome = monitor_outcome("drift", drops[-1], rows, known_changes(spec, drops[-1]), failed)
    return DriftResult(monitor_result(rows, drops, outcome), measures)


def _feature_rows(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    state: UseCaseState,
    drops: Sequence[DropKey],
    faults: FaultRecord,
) -> tuple[dict[DropKey, list[Row]], list[FamilyMeasure]]:
    monitoring, calendar = spec.monitoring, spec.calendar
    promotions = read_promotions(connection, state.lake)
    groups: dict[tuple[Block, Promotion | None], list[DropKey]] = defaultdict(list)
    for drop in drops:
        block = block_of(drop, calendar, monitoring)
        groups[block, champion_of(drop, promotions)].append(drop)
    found: dict[DropKey, list[Row]] = {}
    measures: list[FamilyMeasure] = []
    champion: _ChampionReference | None = None
    ordered = list(groups)
    for start in range(0, len(ordered), _BLOCKS_AT_ONCE):
        some = ordered[start : start + _BLOCKS_AT_ONCE]
        first = min(block.reference_first for block, _ in some)
        rows = _load_features(connection, spec, state.lake, first, groups[some[-1]][-1])
        for block, promotion in some:
            if promotion is None:
                champion = None
            elif champion is None or champion.promotion != promotion:
                work = partial(_champion_reference, connection, spec, state, promotion, faults)
                champion = measured(f"drift against the training rows of {promotion.model_version}", work, None)
            broken = faults.broken_drops(calendar.previous_drop(block.first))
            score = champion and partial(_kept_scores, connection, state, champion)
            reference = rows.cut(block.reference_first, block.reference_last, score, broken)
            before = learn_reference("before", reference, calendar.drops_in(monitoring.window))
            own = groups[block, promotion]
            windows = rows.cut(calendar.window_start(own[0], monitoring.window), own[-1], score)
            rows_of_drops, measures = _compare(spec, windows, before, own, champion)
            found |= rows_of_drops
    return found, measures


@dataclass(frozen=True)
class _ChampionReference:
    """The champion of some drops, and the reference of what it was trained on."""

    promotion: Promotion
    bundle: ModelBundle
    reference: DriftReference


def _compare(
    spec: UseCaseSpec,
    windows: FeatureRows,
    before: DriftReference | None,
    drops: Sequence[DropKey],
    champion: _ChampionReference | None,
) -> tuple[dict[DropKey, list[Row]], list[FamilyMeasure]]:
    """Compare the windows of drops that share a reference `before` and a champion with both references.

    `windows` are the rows of all of them, with the champion's scores. A reference that is None is left out.
    """
    monitoring, length = spec.monitoring, spec.calendar.drops_in(spec.monitoring.window)
    references = [] if before is None else [before]
    importance = _importance_shares(champion.bundle) if champion else {}
    if champion is not None:
        references.append(champion.reference)
    rate = moving_rate(false_alarm_rate(monitoring.false_alarm_every, monitoring.window, _MEASURES, FAMILIES), length)
    version = champion.promotion.model_version if champion else None
    coded = [reference.code(windows) for reference in references]
    found: dict[DropKey, list[Row]] = {}
    for drop in drops:
        window = window_rows(windows, spec.calendar.window_start(drop, monitoring.window), drop)
        found[drop] = [
            row
            for reference, counted in zip(references, coded, strict=True)
            for row in feature_rows(reference.compare(drop, window, rate, importance, counted), importance, version)
        ]
    return found, [measure for reference in references for measure in reference.measures(rate, importance)]


def _champion_reference(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    state: UseCaseState,
    promotion: Promotion,
    faults: FaultRecord,
) -> _ChampionReference:
    """Learn what a champion was trained on; kept in a file, by the champion and the features it is learned from."""
    bundle = state.models.load(promotion.model_version, promotion.artifact_sha256)
    require_declared_features(spec, promotion.model_version, bundle.features)
    until = spec.calendar.drop_receiving(datetime.fromisoformat(bundle.trained_until))
    length = spec.calendar.drops_in(spec.monitoring.window)
    files = state.lake.files("features", drops=(spec.calendar.first_drop, until)).files
    broken = faults.broken_drops(promotion.as_of)
    # by their names alone: a state that was moved or restored has the same files
    names = [file.rpartition("/")[2] for file in files]
    key = (spec.name, promotion.artifact_sha256, str(length), *map(str, broken), *names)

    def learn() -> LearnedColumns:
        rows = _load_features(connection, spec, state.lake, spec.calendar.first_drop, until)
        score = partial(_score_in_parts, connection, bundle)
        return learn_columns(rows.cut(spec.calendar.first_drop, until, score, broken), length)

    def read() -> DriftReference:
        learned = keep_in_file(state.paths.kept(spec.name) / "drift", key, learn, columns_to_bytes, columns_from_bytes)
        return DriftReference("training", learned, length)

    own = ("training reference", state.paths.root, spec.name)  # a champion serves for weeks: in a replay for many runs
    return _ChampionReference(promotion, bundle, keep_unchanged(own, key, read))


def training_drift(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    state: UseCaseState,
    promotion: Promotion,
    drops: Sequence[DropKey],
    faults: FaultRecord,
) -> list[Row]:
    """Compare `drops` with the training rows of one model, as if it served them; alarms count from its first drop.

    The rows are those of the family `training` that the report would hold. Drops that persistence looks at and that
    are not among `drops` count as quiet.
    """
    champion = _champion_reference(connection, spec, state, promotion, faults)
    score = partial(_kept_scores, connection, state, champion)
    earlier: dict[str, dict[DropKey, float]] = {}
    told: dict[str, dict[DropKey, Row]] = {}
    found: list[Row] = []
    for start in range(0, len(drops), _BLOCKS_AT_ONCE):
        some = drops[start : start + _BLOCKS_AT_ONCE]
        first = spec.calendar.window_start(some[0], spec.monitoring.window)
        windows = _load_features(connection, spec, state.lake, first, some[-1]).cut(first, some[-1], score)
        by_drop, _ = _compare(spec, windows, None, some, champion)
        for drop in some:
            set_alarm_states(by_drop[drop], earlier, spec.monitoring, spec.calendar, told)
            diagnose_features(by_drop[drop], spec, faults)
            found += by_drop[drop]
    return found


def _importance_shares(bundle: ModelBundle) -> dict[str, float]:

    weights = {name: abs(value) for name, value in bundle.model.importance().items()}
    total = sum(weights.values())
    shares = {name: value / total for name, value in weights.items()} if total else {}
    return shares | {SCORE: 1.0, OVERALL: 1.0}


def _score_in_parts(connection: duckdb.DuckDBPyConnection, bundle: ModelBundle, rows: pa.Table) -> NDArray[np.float64]:
    starts = range(0, rows.num_rows, _ROWS_AT_ONCE)
    return np.concatenate(
        [bundle.model.predict(_frame_of(connection, rows.slice(start, _ROWS_AT_ONCE))) for start in starts]
    )


def _frame_of(connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> pd.DataFrame:
    """Give rows as the frame that a model reads, in the types that DuckDB gives them everywhere else."""
    return connection.from_arrow(rows).df()


def _kept_scores(
    connection: duckdb.DuckDBPyConnection, state: UseCaseState, champion: _ChampionReference, rows: pa.Table
) -> NDArray[np.float64]:
    """Give the champion's scores of whole drops, ordered by drop and example; what was scored before is kept."""
    import pyarrow as pa
    import pyarrow.compute as pc

    drops = sorted(rows["batch_date"].unique().to_pylist())

    def score(some: Sequence[DropKey]) -> pa.Table:
        is_asked = pc.is_in(rows["batch_date"], pa.array(some, rows["batch_date"].type))  # pyright: ignore[reportAttributeAccessIssue]
        frame = _frame_of(connection, rows.filter(is_asked))
        scored = frame[["batch_date", "example_id", "prediction_at"]].assign(score=champion.bundle.model.predict(frame))
        return pa.Table.from_pandas(scored, scores_schema(drops[0]), preserve_index=False)

    files = state.lake.files("features", drops=(drops[0], drops[-1]))
    kept = state.kept_scores.of(champion.promotion.model_version, files, drops, score)
    if kept["example_id"].to_pylist() != rows["example_id"].to_pylist():
        return champion.bundle.model.predict(_frame_of(connection, rows))
    return kept["score"].to_numpy()


class _FeatureFrame:
    """Feature rows of a stretch of drops, from which windows and references are cut."""

    def __init__(self, spec: UseCaseSpec, drops: Sequence[DropKey], rows: pa.Table) -> None:
        self.drops = tuple(drops)
        self._rows = rows
        self._days = np.searchsorted(key_array(list(drops)), key_array(rows["batch_date"].to_numpy()))
        self._columns = {name: _values(rows[name]) for name in spec.features.feature_names()}

    def cut(self, first: DropKey, last: DropKey, score: Score | None, without: Sequence[DropKey] = ()) -> FeatureRows:
        """Give the rows of first..last, those of the drops `without` left out; `score` gives the champion's scores."""
        kept = [position for position, drop in enumerate(self.drops) if first <= drop <= last]
        begin, end = (kept[0], kept[-1] + 1) if kept else (0, 0)
        left_out = [position for position, drop in enumerate(self.drops) if drop in without]
        rows = np.flatnonzero((self._days >= begin) & (self._days < end) & ~np.isin(self._days, left_out))
        is_all = rows.size == self._rows.num_rows  # then nothing is copied: a training set may be most of the memory
        columns = dict(self._columns) if is_all else {name: values[rows] for name, values in self._columns.items()}
        if score is not None:
            columns[SCORE] = score(self._rows if is_all else self._rows.take(rows)) if rows.size else np.empty(0)
        return FeatureRows(self.drops[begin:end], self._days[rows] - begin, columns)


def _load_features(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, lake: Lake, first: DropKey, last: DropKey
) -> _FeatureFrame:
    require_stored_features(spec, lake)
    drops = spec.calendar.drops_between(first, last)
    bounds = (drops[0], drops[-1]) if drops else (first, last)
    columns = ", ".join(
        f'"{name}"' for name in ("batch_date", "example_id", "prediction_at", *spec.features.feature_names())
    )
    rows = lake.relation(connection, "features", bounds).project(columns).order("batch_date, example_id")
    return _FeatureFrame(spec, drops, rows.to_arrow_table())


def feature_rows_of(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, lake: Lake, first: DropKey, last: DropKey
) -> FeatureRows:
    """Give the features of the drops first..last as columns."""
    return _load_features(connection, spec, lake, first, last).cut(first, last, None)


def _values(column: pa.ChunkedArray) -> NDArray[Any]:
    """Give a column of features as text with None, or as floats with NaN."""
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.to_numpy(zero_copy_only=False)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)
