"""How a use case runs, in four layers: operations, data, the model, and what it is worth by model version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_assets.decisions.alert_precision import AlertPrecision
from ml_assets.pipeline.monitoring.incident_judgements import open_for_people, usefulness
from ml_assets.pipeline.monitoring.quality_over_time import quality_over_time
from ml_assets.pipeline.monitoring.status import query_table
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.task import Task
from ml_assets.stats.tasks import task_of
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.use_case_state import UseCaseState

Row = Mapping[str, Any]
_ROWS = (
    "SELECT batch_date AS drop, sum(validated)::BIGINT AS validated, sum(quarantined)::BIGINT AS quarantined, "
    "list(source ORDER BY source) FILTER (state = 'refused') AS refused, "
    "list(source ORDER BY source) FILTER (state IN ('missing', 'missing_accepted')) AS missing FROM t GROUP BY 1"
)
_ALARMS = (
    "SELECT batch_date AS drop, count(*) FILTER (state = 'alarm') AS alarms, "
    "count(*) FILTER (state <> 'not enough data') AS judged, "
    "list(monitor ORDER BY ratio DESC, monitor) FILTER (state = 'alarm') AS monitors FROM t GROUP BY 1"
)
_DECIDED = "SELECT batch_date AS drop, action, reason FROM t"


@dataclass(frozen=True)
class DropLayers:
    """What is known of one drop, from its files to its monitors.

    Attributes
    ----------
    validated, quarantined
        Rows of all sources.
    refused, missing
        Sources whose drop was refused, or went missing.
    feed_alarms, drift_alarms
        Monitors in alarm, the farthest over its threshold first; None where nothing could be judged.
    action
        What was decided: `nothing`, `retrain`, `wait` or `fix_upstream`; None where the drop has no decision.
    """

    drop: DropKey
    validated: int
    quarantined: int
    refused: tuple[str, ...]
    missing: tuple[str, ...]
    feed_alarms: tuple[str, ...] | None
    drift_alarms: tuple[str, ...] | None
    action: str | None
    reason: str | None


@dataclass(frozen=True)
class FourLayers:
    """All that the page of four layers shows.

    Attributes
    ----------
    drops
        Those of the range that were begun, in their order.
    quality
        As `quality_over_time` gives it, for the same range.
    by_model
        A row for each model version that served matured examples, in the order in which it served them: `first` and
        `last` drop of the predictions, `n` labelled examples, and of `champion` and `baseline` on these examples the
        loss, the mean label of the list (`at_capacity`), and the mean `cost` where the task has one. Null is unknown.
    incidents
        Open now, and not closed by a person: `monitor`, `kind`, `severity`, `since`, `message`.
    alerts
        How many alerts people found useful, of all there were.
    """

    first: DropKey
    last: DropKey | None
    drops: tuple[DropLayers, ...]
    quality: Row
    by_model: tuple[Row, ...]
    incidents: tuple[Row, ...]
    alerts: AlertPrecision

    def count(self, what: str) -> int:
        """Count the sources that were refused or missing, by drop."""
        return sum(len(getattr(each, what)) for each in self.drops)


def read_four_layers(spec: UseCaseSpec, state: UseCaseState, first: DropKey | None, last: DropKey | None) -> FourLayers:
    """Read the four layers of a range of drops, as known in the last of them.

    By default from the start of the calendar to the newest drop that was begun.
    """
    quality = quality_over_time(spec, state, first, last)
    begins = first or spec.calendar.first_drop
    ends = _newest_begun(state, last)
    drops = _drops(state, (begins, ends)) if ends is not None and ends >= begins else ()
    by_model = _by_model(task_of(spec.task), state, (begins, ends)) if drops and ends is not None else ()
    incidents = [
        {"monitor": each.monitor, "kind": each.kind, "severity": each.severity, "since": each.since,
         "message": each.message}
        for each in open_for_people(AlertOutbox(state.paths), spec.name)
    ]  # fmt: skip
    alerts = usefulness(state.paths, spec.name)["all"]
    return FourLayers(begins, ends, drops, quality, by_model, tuple(incidents), alerts)


def _newest_begun(state: UseCaseState, last: DropKey | None) -> DropKey | None:
    """Give the newest drop of which anything was received, among those up to `last`; its run may not have ended."""
    begun = state.lake.files("drops").drops() if state.lake.has("drops") else set[DropKey]()
    return max((drop for drop in begun if last is None or drop <= last), default=None)


def _drops(state: UseCaseState, bounds: tuple[DropKey, DropKey]) -> tuple[DropLayers, ...]:
    rows, feeds, drift, decided = (
        {row["drop"]: row for row in query_table(state, table, query, bounds)}
        for table, query in (("drops", _ROWS), ("feed_health", _ALARMS), ("drift_report", _ALARMS),
                             ("decisions", _DECIDED))
    )  # fmt: skip
    found: list[DropLayers] = []
    for drop in sorted({*rows, *decided}):
        ledger, decision = rows.get(drop, {}), decided.get(drop, {})
        found.append(
            DropLayers(
                drop, ledger.get("validated") or 0, ledger.get("quarantined") or 0,
                tuple(ledger.get("refused") or ()), tuple(ledger.get("missing") or ()),
                _alarms(feeds.get(drop)), _alarms(drift.get(drop)), decision.get("action"), decision.get("reason"),
            )
        )  # fmt: skip
    return tuple(found)


def _alarms(row: Row | None) -> tuple[str, ...] | None:
    return tuple(row["monitors"] or ()) if row is not None and row["judged"] else None


def _by_model(task: Task, state: UseCaseState, bounds: tuple[DropKey, DropKey]) -> tuple[Row, ...]:
    """Give what each model version was worth on matured examples, beside the baseline on the same ones."""
    columns = state.lake.column_types("performance_report") if state.lake.has("performance_report") else {}
    names = {"loss": task.loss_metric.name, "at_capacity": task.at_capacity, "cost": "cost"}
    shown = {name: column for name, column in names.items() if column in columns}
    means = "".join(
        f', sum("{column}" * n) FILTER ("{column}" IS NOT NULL) / '
        f'nullif(sum(n) FILTER ("{column}" IS NOT NULL), 0) AS {name}'
        for name, column in shown.items()
    )
    rows = query_table(
        state, "performance_report",
        f"SELECT model_version, role, min(prediction_batch_date) AS first, max(prediction_batch_date) AS last, "
        f"sum(n)::BIGINT AS n{means} FROM t WHERE slice_column IS NULL AND role IN ('champion', 'baseline') "
        f"GROUP BY 1, 2 HAVING sum(n) > 0", bounds,
    )  # fmt: skip
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        mine = found.setdefault(row["model_version"], {"model_version": row["model_version"]})
        mine[row["role"]] = {name: row.get(name) for name in names}
        if row["role"] == "champion":
            mine |= {name: row[name] for name in ("first", "last", "n")}
    served = [each for each in found.values() if "champion" in each]
    empty = dict.fromkeys(names)
    return tuple(
        sorted(({"baseline": empty, **each} for each in served), key=lambda each: (each["first"], each["last"]))
    )


def quarantined_rows(drops: Sequence[DropLayers]) -> tuple[int, int]:
    """Count the rows that broke their contract, and all rows that landed."""
    quarantined = sum(each.quarantined for each in drops)
    return quarantined, quarantined + sum(each.validated for each in drops)


def monitors_in_alarm(drops: Sequence[DropLayers], which: str) -> Counter[str]:
    """Count in how many drops each monitor was in alarm; `which` is feed_alarms or drift_alarms."""
    return Counter(name for each in drops for name in getattr(each, which) or ())
