"""The drift report: what the feeds sent and what the features became, drop by drop."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
from dagster_duckdb import DuckDBResource

from ml_assets.graph.drift_measures import TABLE, report_drops
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
from ml_assets.graph.pictures import PlaceboStrip, as_markdown, placebo_strips_png
from ml_assets.graph.resources import StateResource
from ml_assets.graph.row_counts import describe_drops
from ml_assets.monitoring.diagnosis import known_changes, spell
from ml_assets.monitoring.drift_report import Row
from ml_assets.monitoring.feature_drift import FamilyMeasure
from ml_assets.monitoring.standing import share_interval
from ml_assets.spec.use_case import UseCaseSpec

if TYPE_CHECKING:
    import pyarrow as pa

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
_NUMBERS = ("value", "usual", "z", "threshold", "ratio", "psi", "jensen_shannon", "ks", "wasserstein", "null_share",
            "reference_null_share", "unseen_share", "importance", "placebo_mean", "placebo_sd",
            "n_independent")  # fmt: skip
_COUNTS = ("n_placebos", "n_window", "n_reference")


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
        context: dg.AssetExecutionContext, config: DriftConfig, store: StateResource, duckdb: DuckDBResource
    ) -> Results:
        state = store.of(spec.name)
        drops, lake = partition_keys(context), state.lake
        with duckdb.get_connection() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            rows, measures = report_drops(connection, spec, state, drops, context.log.info)
        lake.replace_drops(TABLE, report_table(rows), drops)
        on_last: dict[str, object] = _placebos(rows, measures, drops[-1])
        if _is_page_due(config.page, rows, drops[-1], spec.calendar.previous_drop(drops[-1])):
            with duckdb.get_connection() as connection:
                connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
                page = write_drift_page(connection, spec, state.paths, drops[-1])
            if page is not None:
                on_last |= {"page": dg.MetadataValue.path(page[0]), "not on the page": ", ".join(page[1]) or "nothing"}
        _describe(context, drops, rows, on_last)
        yield dg.MaterializeResult()
        yield _check(drops[-1], rows, known_changes(spec, drops[-1]))

    return drift_report


def _is_page_due(mode: PageMode, rows: Sequence[Row], newest: date, before: date) -> bool:
    if mode != PageMode.on_alarm:
        return mode == PageMode.always
    alarms = {drop: {row["monitor"] for row in rows if row["batch_date"] == drop and row["state"] == "alarm"}
              for drop in (before, newest)}  # fmt: skip
    return bool(alarms[newest] - alarms[before])


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


def _placebos(rows: Sequence[Row], measures: Sequence[FamilyMeasure], newest: date) -> dict[str, object]:
    """Show what the thresholds of features rest on: the placebo windows of each measure beside today's window."""
    if not measures:
        return {}
    mine = [row for row in rows if row["batch_date"] == newest and np.isfinite(row["z"])]
    shown: list[PlaceboStrip] = []
    lines = ["| against | measure | today | threshold | placebo windows: median, largest | over it (90 % interval) |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for each in measures:
        of_all = each.measure != "largest z"
        z = [row["z"] for row in mine if row["family"] == each.reference and (row["column_name"] is None) == of_all]
        today, n, over = max(z, default=np.nan), each.placebos.size, int((each.placebos > each.threshold).sum())
        low, high = share_interval(over, n, 0.9)
        lines.append(
            f"| {each.reference} | {each.measure} | {today:.2f} | {each.threshold:.2f} | {n}: "
            f"{np.median(each.placebos):.2f}, {each.placebos.max():.2f} | {over} of {n} ({low:.0%} to {high:.0%}) |"
        )
        shown.append(PlaceboStrip(f"{each.reference}: {each.measure}", each.placebos, today, each.threshold))
    caption = "placebo windows (dots), this window (diamond) and threshold (bar), as share of the threshold"
    picture = as_markdown(placebo_strips_png(shown), caption).md_str
    return {"what thresholds rest on": dg.MetadataValue.md("\n".join([picture or "", "", *lines]))}


def _table_of(rows: Sequence[Row]) -> str:
    lines = ["| monitor | value | usual | z | threshold | state | meaning |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        spelt = [spell(row["statistic"], row[name]) for name in ("value", "usual")]
        numbers = " | ".join([*spelt, f"{row['z']:.3g}", f"{row['threshold']:.3g}"])
        lines.append(
            f"| {row['monitor']} | {numbers} | {row['state']} | {row.get('meaning') or row.get('detail') or ''} |"
        )
    return "\n".join(lines)


def _check(newest: date, rows: Sequence[Row], known: Sequence[str]) -> dg.AssetCheckResult:
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
        description="; ".join([said, *known]),
        metadata={"monitors judged": judged, "alarms": len(alarms), "not enough data": len(mine) - judged},
    )
