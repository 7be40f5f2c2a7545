"""The drift report: what the feeds sent and what the features became, drop by drop."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
from dagster_duckdb import DuckDBResource

from ml_assets.graph.drift_page import write_drift_page
from ml_assets.graph.layout import (
    SINGLE_RUN,
    Results,
    asset_key,
    described,
    history_mapping,
    partition_keys,
    partitions_of,
)
from ml_assets.graph.resources import UseCaseState
from ml_assets.graph.row_counts import describe_drops
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
    import pyarrow as pa

TABLE = "drift_report"
_TEXTS = (
    "family",
    "monitor",
    "source",
    "column_name",
    "statistic",
    "state",
    "kind",
    "meaning",
    "detail",
    "model_version",
)
_NUMBERS = ("value", "usual", "z", "threshold", "ratio", "jensen_shannon", "ks", "wasserstein", "null_share",
            "reference_null_share", "unseen_share", "importance", "placebo_mean", "placebo_sd",
            "n_independent")  # fmt: skip
_COUNTS = ("n_placebos", "n_window", "n_reference")
_BLOCKS_AT_ONCE = 8  # windows whose rows are in memory together, with the reference before them
_kept: dict[tuple[str, ...], DriftReference] = {}  # the newest training reference: a champion serves for weeks


class PageMode(StrEnum):
    """When Evidently's page of the newest drop is written: it costs seconds and megabytes."""

    on_alarm = "on_alarm"  # when it alarms and the drop before did not
    always = "always"
    never = "never"


class DriftConfig(dg.Config):
    """Whether the run ends with a page."""

    page: PageMode = PageMode.on_alarm


def build_drift_report(spec: UseCaseSpec) -> dg.AssetsDefinition:
    """Build drift_report."""
    key, every = asset_key(spec, "monitoring", TABLE), spec.calendar.every
    monitoring = spec.monitoring

    @dg.asset(
        key=key,
        deps=[
            dg.AssetDep(
                asset_key(spec, "features", "features"),
                partition_mapping=history_mapping(monitoring.window + monitoring.before + monitoring.window, every),
            ),
            asset_key(spec, "predictions", "predictions"),
            asset_key(spec, "models", "champion"),
            *(
                dg.AssetDep(
                    asset_key(spec, "validated", source.name),
                    partition_mapping=history_mapping(monitoring.feed_history + monitoring.relearn_after, every),
                )
                for source in spec.sources
            ),
        ],
        description="Every monitor of a drop: feeds against their own drops before, features and score against the "
        "drops before and against what the champion was trained on. Thresholds come from placebo windows inside the "
        "reference, under one budget of false alarms.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        check_specs=[
            dg.AssetCheckSpec("drift", asset=key, description="No monitor alarms in the newest drop of the run.")
        ],
        **described(spec, "monitoring", "delta", "numpy"),
    )
    def drift_report(
        context: dg.AssetExecutionContext, config: DriftConfig, state: UseCaseState, duckdb: DuckDBResource
    ) -> Results:
        drops, lake = partition_keys(context), state.lake
        with duckdb.get_connection() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            rows = report_drops(connection, spec, state, drops, context.log.info)
        lake.replace_drops(TABLE, report_table(rows), drops)
        on_last: dict[str, object] = {}
        if _is_page_due(config.page, rows, drops[-1], spec.calendar.previous_drop(drops[-1])):
            with duckdb.get_connection() as connection:
                connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
                page = write_drift_page(connection, spec, state.paths, drops[-1])
            if page is not None:
                on_last = {"page": dg.MetadataValue.path(page[0]), "not on the page": ", ".join(page[1]) or "nothing"}
        _describe(context, drops, rows, on_last)
        yield dg.MaterializeResult()
        yield _check(drops[-1], rows)

    return drift_report


def _is_page_due(mode: PageMode, rows: Sequence[Row], newest: date, before: date) -> bool:
    if mode != PageMode.on_alarm:
        return mode == PageMode.always
    alarms = {drop: {row["monitor"] for row in rows if row["batch_date"] == drop and row["state"] == "alarm"}
              for drop in (before, newest)}  # fmt: skip
    return bool(alarms[newest] - alarms[before])


def report_drops(
    connection: "duckdb.DuckDBPyConnection", spec: UseCaseSpec, state: UseCaseState, drops: Sequence[date], tell: Any
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


def broken_drops(connection: "duckdb.DuckDBPyConnection", spec: UseCaseSpec, lake: Lake) -> list[date]:
    """List the drops in which a feed looked broken: over the threshold in a stretch that became an alarm."""
    if not lake.has(TABLE):
        return []
    feeds = lake.relation(connection, TABLE).filter("kind = 'broken_feed' AND family = 'feed'")
    over = feeds.project("monitor, batch_date, state").fetchall()
    alarms = {(monitor, drop) for monitor, drop, state in over if state == "alarm"}
    every, of = spec.calendar.every, spec.monitoring.persistence.of
    return sorted({
        drop for monitor, drop, _ in over if any((monitor, drop + ahead * every) in alarms for ahead in range(of))
    })  # fmt: skip


def report_table(rows: Sequence[Row]) -> "pa.Table":
    """Give the rows as a table; what is not finite is null."""
    import pyarrow as pa

    schema = pa.schema(
        [("batch_date", pa.date32()), *((name, pa.string()) for name in _TEXTS),
         *((name, pa.float64()) for name in _NUMBERS), *((name, pa.int64()) for name in _COUNTS)]
    )  # fmt: skip

    def plain(row: Row, name: str) -> Any:
        value = row.get(name)
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return pa.Table.from_pylist([{name: plain(row, name) for name in schema.names} for row in rows], schema)


def _describe(
    context: dg.AssetExecutionContext, drops: Sequence[date], rows: Sequence[Row], on_last: Mapping[str, object]
) -> None:
    counts: dict[date, int] = defaultdict(int)
    alarms: dict[date, int] = defaultdict(int)
    for row in rows:
        counts[row["batch_date"]] += 1
        alarms[row["batch_date"]] += row["state"] == "alarm"
    notes = {drop: {"alarms": alarms[drop]} for drop in drops}
    newest = sorted((row for row in rows if row["batch_date"] == drops[-1]), key=lambda row: -row["ratio"])[:12]
    nearest = dg.MetadataValue.md(_table_of(newest))
    describe_drops(context, drops, counts, notes, on_last={"nearest to alarm": nearest, **on_last})


def _table_of(rows: Sequence[Row]) -> str:
    lines = ["| monitor | value | usual | z | threshold | state | meaning |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        numbers = " | ".join(f"{row[name]:.3g}" for name in ("value", "usual", "z", "threshold"))
        lines.append(
            f"| {row['monitor']} | {numbers} | {row['state']} | {row.get('meaning') or row.get('detail') or ''} |"
        )
    return "\n".join(lines)


def _check(newest: date, rows: Sequence[Row]) -> dg.AssetCheckResult:
    mine = [row for row in rows if row["batch_date"] == newest]
    alarms = sorted((row for row in mine if row["state"] == "alarm"), key=lambda row: -row["ratio"])
    judged = sum(row["state"] != "not enough data" for row in mine)
    if alarms:
        listed = "; ".join(f"{row['monitor']}: {row.get('meaning', '')}" for row in alarms[:5])
        more = f" and {len(alarms) - 5} more" if len(alarms) > 5 else ""
        said = f"{len(alarms)} of {judged} monitors alarm in {newest}: {listed}{more}"
    elif not judged:
        said = f"not enough data: no monitor of {newest} has placebos enough"
    else:
        said = f"none of {judged} monitors alarms in {newest}"
    return dg.AssetCheckResult(
        check_name="drift",
        passed=not alarms,
        severity=dg.AssetCheckSeverity.WARN,
        description=said,
        metadata={"monitors judged": judged, "alarms": len(alarms), "not enough data": len(mine) - judged},
    )
