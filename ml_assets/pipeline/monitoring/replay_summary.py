"""What a replay came to, read from the tables it left: one plain object for pages and scripts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ml_assets.monitoring.performance import judged_window
from ml_assets.monitoring.quality_over_time import mean_of_months, quality_by_month, quality_by_week, worse_weeks
from ml_assets.pipeline.champion.record import BY_HAND, FALLBACK, GATE, drop_of, promotions_in, read_record
from ml_assets.pipeline.monitoring.monitor_rows import MONITORS, scan_monitors
from ml_assets.pipeline.monitoring.plain_values import plain
from ml_assets.pipeline.monitoring.quality_over_time import read_scored
from ml_assets.serving.routing import champion_of
from ml_assets.spec.drop import DAY_OF_KEY, DropKey, day_of_key, key_of_moment
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.engine import open_session
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]

_WHY = ("trigger", "reason", "monitor", "measurement", "threshold")
_OF_VERDICT = ("as_of", "candidate", "model_version", "verdict", "gate", "decided_by", "serves", "gain", "gain_lower",
               "gain_upper")  # fmt: skip


def summarize_replay(
    spec: UseCaseSpec,
    paths: StatePaths,
    steps: Sequence[Sequence[DropKey]],
    *,
    seconds: Iterable[Mapping[str, float]] = (),
    scheduled: Collection[DropKey] = (),
) -> Row:
    """Summarize the drops of `steps` as they were known at the last of them; later drops change nothing.

    Parameters
    ----------
    seconds
        What each step took, by what it was spent on; none where only the summary is asked for.
    scheduled
        The drops after which a plain schedule retrained, whatever was decided in them.

    Returns
    -------
    dict
        JSON as it is: dates are text, and what is not finite is null. `weeks`, counted from the start of the calendar,
        `months` and `mean` as in monitoring/quality_over_time.py; `worse_weeks` as there, of the `compared_weeks` weeks
        that have matured; `drift`, one row a week and family, with its largest ratio of |z| to threshold;
        `retrainings`, each verdict and what asked for it, and each decision of a person or of the fallback, the one
        that served at the start before them: `drop` is what a retraining is as of, or the drop after which a decision
        holds; `decisions`, counts by action; `incidents` that opened in the drops; `seconds`. A table that is not there
        yet gives no rows.
    """
    lake, first, last = Lake(paths.lake / spec.name), steps[0][0], steps[-1][-1]
    with open_session() as connection:
        scored = read_scored(connection, spec, lake, (first, last))
        drift = _drift(connection, lake, spec.calendar.first_drop, (first, last))
        verdicts = read_record(connection, lake)
        decided = {
            row["batch_date"]: row for row in _rows(connection, lake, "decisions", (spec.calendar.first_drop, last))
        }
    task = task_of(spec.task)
    months = quality_by_month(task, scored, spec.worklist.capacity)
    begin, capacity = spec.calendar.first_drop, spec.worklist.capacity
    weeks = quality_by_week(task, scored, begin, capacity)
    matured = quality_by_week(task, scored[scored["batch_date"] <= judged_window(spec, last)[1]], begin, capacity)
    return plain(
        {
            "use_case": spec.name, "task": spec.task, "first": first, "last": last, "steps": len(steps),
            "capacity": spec.worklist.capacity,
            "weeks": weeks,
            "worse_weeks": worse_weeks(task, matured),
            "compared_weeks": sum(week["n"] > 0 for week in matured),
            "months": months,
            "mean": mean_of_months(task, months),
            "drift": drift,
            "retrainings": _retrainings(verdicts, decided, (first, last), scheduled),
            "decisions": _counts(row["action"] for drop, row in sorted(decided.items()) if drop >= first),
            "incidents": _incidents(AlertOutbox(paths), spec.name, (first, last)),
            "seconds": _total(seconds),
        }
    )  # fmt: skip


def _drift(
    connection: duckdb.DuckDBPyConnection, lake: Lake, begin: DropKey, drops: tuple[DropKey, DropKey]
) -> list[Row]:
    """Give the largest ratio of each week, counted from `begin`, and family; what could not be judged is left out."""
    if not any(lake.has(table) for table in MONITORS):
        return []
    first = f"DATE '{day_of_key(begin)}'"
    scan_monitors(connection, lake, drops).create_view("monitors", replace=True)
    return (
        connection.sql(
            f"""
        WITH judged AS (
            SELECT {first} + (7 * (({DAY_OF_KEY} - {first}) // 7))::INTEGER AS week, *
            FROM monitors WHERE state <> 'not enough data' AND ratio IS NOT NULL
        )
        SELECT week, family, ratio, monitor, batch_date, value, z, threshold,
            count(*) FILTER (state = 'alarm') OVER (PARTITION BY week, family) AS alarms
        FROM judged
        QUALIFY row_number() OVER (PARTITION BY week, family ORDER BY ratio DESC, batch_date, monitor) = 1
        ORDER BY week, family
        """
        )
        .to_arrow_table()
        .to_pylist()
    )


def _rows(
    connection: duckdb.DuckDBPyConnection, lake: Lake, table: str, drops: tuple[DropKey, DropKey] | None = None
) -> list[Row]:
    return lake.relation(connection, table, drops).to_arrow_table().to_pylist() if lake.has(table) else []


def _retrainings(
    verdicts: Sequence[Row],
    decided: Mapping[DropKey, Row],
    drops: tuple[DropKey, DropKey],
    scheduled: Collection[DropKey],
) -> list[Row]:
    serving = champion_of(drops[0], promotions_in(verdicts))
    kept = [
        row
        for row in verdicts
        if drops[0] <= drop_of(row) <= drops[1] or (serving is not None and row["sequence"] == serving.sequence)
    ]
    return [
        {
            "drop": drop_of(row),
            **{
                name: row[name]
                for name in ("as_of", "candidate", "model_version", "verdict", "gate", "decided_by", "serves")
            },
            **{name: row[name] for name in ("gain", "gain_lower", "gain_upper")},
            "broken": [f"{each['code']}: {each['message']}" for each in row["reasons"] or [] if not each["passed"]],
            "asked_by": _asked_by(row, decided.get(row["as_of"]), is_scheduled=row["as_of"] in scheduled),
        }
        for row in sorted(kept, key=lambda row: (drop_of(row), row["sequence"]))
    ]


def _asked_by(row: Mapping[str, Any], decision: Mapping[str, Any] | None, *, is_scheduled: bool) -> Row:
    """Give what asked for a retraining, as it was recorded, and what that rested on in the decision of its drop.

    Records of older versions do not say who asked: there it is what was decided in the drop, else a schedule or a
    person. Of what a person or the fallback decided, it is these, with the reason they gave.
    """
    nothing = dict.fromkeys(_WHY)
    if row["decided_by"] != GATE:
        trigger = FALLBACK if row["decided_by"] == FALLBACK else BY_HAND
        return nothing | {"trigger": trigger, "reason": row["note"]}
    asked = decision["trigger"] if decision is not None and decision["action"] == "retrain" else None
    by = row["asked_by"] or ("schedule" if is_scheduled else asked or BY_HAND)
    if decision is not None and asked is not None and asked == by:
        return {name: decision[name] for name in _WHY}
    return nothing | {"trigger": by, "reason": "a plain schedule" if by == "schedule" else None}


def _incidents(outbox: AlertOutbox, use_case: str, drops: tuple[DropKey, DropKey]) -> list[Row]:
    """List the incidents that opened in the drops, but for events: promotions and refusals are told as verdicts."""
    return [
        {
            "monitor": each.monitor, "kind": each.kind, "severity": each.severity, "message": each.message,
            "opened_at": each.since, "closed_at": each.until,
        }
        for each in outbox.incidents(use_case)
        if not each.is_event and drops[0] <= key_of_moment(each.since) <= drops[1]
    ]  # fmt: skip


def _counts(values: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts


def _total(seconds: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for step in seconds:
        for name, spent in step.items():
            total[name] = total.get(name, 0.0) + spent
    return total | {"total": sum(total.values())} if total else {}
