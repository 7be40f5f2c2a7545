"""The decision of each drop: retrain, wait, fix upstream or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml_assets.decisions.retraining import Alarm, ChangeState, Decision, Performance, RetrainingState, decide
from ml_assets.ingestion.ledger import FINAL_STATES
from ml_assets.monitoring.performance import judged_window
from ml_assets.pipeline.champion.record import read_promotions
from ml_assets.pipeline.monitoring.monitor_rows import MONITORS, read_monitors
from ml_assets.pipeline.results import CheckOutcome, DropResult
from ml_assets.serving.routing import Promotion, champion_of
from ml_assets.spec.tables.monitoring import DECISIONS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb

TABLE = DECISIONS.name
LONG_HISTORY = 80  # drops since a change from which on more of them are no reason to retrain


@dataclass(frozen=True)
class DecisionResult:
    """What was decided in drops; `newest` is the row of the last one."""

    result: DropResult
    newest: Mapping[str, Any]


def store_decisions(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[date]) -> DecisionResult:
    """Decide in each of `drops` by what was known in it, and store the decisions. Grain: a drop."""
    with state.connect() as connection:
        found = decide_drops(connection, spec, state, drops)
    state.lake.replace_drops(TABLE, arrow_rows(DECISIONS, found), drops)
    notes = {row["batch_date"]: {"action": row["action"], "reason": row["reason"]} for row in found}
    result = DropResult(dict.fromkeys(drops, 1), notes, checks=(freshness_outcome(spec, found[-1]),))
    return DecisionResult(result, found[-1])


def decide_drops(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, state: UseCaseState, drops: Sequence[date]
) -> list[dict[str, Any]]:
    """Decide in each of `drops`, each by what was known in it."""
    lake, bounds = state.lake, (drops[0], drops[-1])
    alarms = _alarms(lake, bounds)
    performance = _performance(connection, lake, bounds)
    unfinished = _unfinished(connection, lake, bounds)
    counts = {name: _counts(connection, lake, name, bounds) for name in ("examples", "predictions", *MONITORS)}
    promotions = read_promotions(connection, lake)
    attempts = _attempts(connection, lake)
    bundles = {
        each.model_version: state.models.load(each.model_version, each.artifact_sha256)
        for each in {champion_of(drop, promotions) for drop in drops}
        if each is not None
    }
    trained_until = {name: datetime.fromisoformat(bundle.trained_until) for name, bundle in bundles.items()}
    rows: list[dict[str, Any]] = []
    for drop in drops:
        champion = champion_of(drop, promotions)
        age = _training_age(spec, drop, champion, trained_until)
        before = [as_of for as_of, _ in attempts if as_of < drop]
        judged = performance.get(drop, Performance("not enough data"))
        history_after = bundles[champion.model_version].recipe.history_after if champion else None
        known = RetrainingState(
            drop=drop,
            first_drop=spec.calendar.start,
            champion_as_of=champion.as_of if champion else None,
            last_attempt=max(before, default=None),
            broken_feeds=tuple(alarm for kind, alarm in alarms.get(drop, []) if kind == "broken_feed"),
            drifts=tuple(alarm for kind, alarm in alarms.get(drop, []) if kind in ("drift", "abrupt")),
            performance=judged,
            unfinished=tuple(unfinished.get(drop, [])),
            training_age=age,
            change=_change(spec, drop, judged.since, history_after, max(before, default=None)),
            refused_in_a_row=_refused_in_a_row(attempts, drop),
        )
        examples, scored = counts["examples"].get(drop, 0), counts["predictions"].get(drop, 0)
        rows.append(
            _row(known, decide(known, spec.retraining))
            | {
                "is_scored": champion is None or scored == examples,
                "is_reported": not examples or any(counts[table].get(drop) for table in MONITORS),
            }
        )
    return rows


def _change(
    spec: UseCaseSpec, drop: date, since: date | None, history_after: datetime | None, last_attempt: date | None
) -> ChangeState | None:
    """Give the change that a retraining of `drop` can learn: a rise of the loss, or what the champion was cut to."""
    is_learned = since is None and history_after is not None
    if is_learned and history_after is not None and not isinstance(spec.model.history, timedelta):
        since = spec.calendar.drop_receiving(history_after + timedelta(microseconds=1))
    if since is None:
        return None
    matured = _matured_drops(spec, since, drop)
    if is_learned and matured > LONG_HISTORY:
        return None
    at_attempt = 0 if last_attempt is None else _matured_drops(spec, since, last_attempt)
    needed = 2 * max(1, spec.model.holdout // spec.calendar.every)
    return ChangeState(since, matured, at_attempt, needed, is_learned)


def _matured_drops(spec: UseCaseSpec, since: date, drop: date) -> int:
    """Count the drops from `since` of which every example has matured by `drop`."""
    newest = judged_window(spec, drop)[1]
    return max(0, (newest - since) // spec.calendar.every + 1)


def _refused_in_a_row(attempts: Sequence[tuple[date, str]], drop: date) -> int:
    """Count the drops with a refused candidate since the last promotion before `drop`."""
    promoted = max((as_of for as_of, verdict in attempts if verdict == "promoted" and as_of < drop), default=date.min)
    return len({as_of for as_of, verdict in attempts if verdict == "refused" and promoted < as_of < drop})


def _training_age(
    spec: UseCaseSpec, drop: date, champion: Promotion | None, trained_until: Mapping[str, datetime]
) -> timedelta | None:
    """How much younger the newest matured example is than the champion's newest training row, never below zero.

    The holdout is not refitted, so that a model is as old as its holdout on its first day.
    """
    if champion is None:
        return None
    return max(timedelta(0), spec.matured_by(drop) - trained_until[champion.model_version])


def _alarms(lake: Lake, bounds: tuple[date, date]) -> dict[date, list[tuple[str, Alarm]]]:
    found: dict[date, list[tuple[str, Alarm]]] = {}
    columns = ["batch_date", "family", "kind", "monitor", "abs(z) AS z", "threshold", "importance", "meaning"]
    alarming = read_monitors(lake, columns, bounds, where="state = 'alarm'")
    for row in sorted(alarming, key=lambda row: (row["batch_date"], row["monitor"])):
        # what only follows a broken feed is in its meaning, and no evidence of its own
        if row["kind"] != "broken_feed" or row["family"] == "feed":
            alarm = Alarm(row["monitor"], row["z"], row["threshold"], row["importance"] or 0.0, row["meaning"] or "")
            kind = "drift" if row["kind"] == "cannot_tell" else row["kind"]
            found.setdefault(row["batch_date"], []).append((kind, alarm))
    return found


def _performance(
    connection: duckdb.DuckDBPyConnection, lake: Lake, bounds: tuple[date, date]
) -> dict[date, Performance]:
    if not lake.has("performance_verdicts"):
        return {}
    rows = lake.relation(connection, "performance_verdicts", bounds).project(
        "batch_date, state, gain, threshold, loss_since, loss_now, loss_at_gate"
    )
    return {row[0]: Performance(*row[1:]) for row in rows.fetchall()}


def _unfinished(connection: duckdb.DuckDBPyConnection, lake: Lake, bounds: tuple[date, date]) -> dict[date, list[str]]:
    found: dict[date, list[str]] = {}
    for drop, source, state in (
        lake.relation(connection, "drops", bounds).project("batch_date, source, state").fetchall()
    ):
        if state not in FINAL_STATES:
            found.setdefault(drop, []).append(source)
    return found


def _counts(
    connection: duckdb.DuckDBPyConnection, lake: Lake, table: str, bounds: tuple[date, date]
) -> dict[date, int]:
    return dict(lake.relation(connection, table, bounds).aggregate("batch_date, count(*)").fetchall())


def _attempts(connection: duckdb.DuckDBPyConnection, lake: Lake) -> list[tuple[date, str]]:
    """Give drop and verdict of every candidate that was judged in earnest: a dry run changes nothing."""
    if not lake.has("champion"):
        return []
    record = lake.relation(connection, "champion").filter("verdict <> 'dry_run'")
    return record.project("as_of, verdict").fetchall()


def _row(known: RetrainingState, decision: Decision) -> dict[str, Any]:
    return {
        "batch_date": known.drop,
        "action": decision.action,
        "trigger": decision.trigger,
        "reason": decision.reason,
        "would_change": decision.would_change,
        "monitor": decision.monitor,
        "measurement": decision.measurement,
        "threshold": decision.threshold,
        "evidence": list(decision.evidence),
        "champion_as_of": known.champion_as_of,
        "training_age_days": known.training_age / timedelta(days=1) if known.training_age is not None else None,
    }


def stale_parts(spec: UseCaseSpec, row: Mapping[str, Any]) -> list[str]:
    """Say what of a decided drop is not fresh."""
    said: list[str] = []
    age, limit = row["training_age_days"], spec.retraining.stale_after / timedelta(days=1)
    if age is not None and age > limit:
        said.append(
            f"the champion's newest training row is {age:.0f} days older than what has matured; allowed: {limit:.0f}"
        )
    if not row["is_scored"]:
        said.append("not every example of the drop is scored")
    if not row["is_reported"]:
        said.append("the drop has no drift report")
    return said


def freshness_outcome(spec: UseCaseSpec, row: Mapping[str, Any]) -> CheckOutcome:
    """Say which parts of a decision's drop are stale, in data time."""
    stale = stale_parts(spec, row)
    age = row["training_age_days"]
    return CheckOutcome(
        "freshness",
        passed=not stale,
        description="; ".join(stale) or ("not enough data: no champion serves yet" if age is None else "fresh"),
        measured={"training age (days)": age if age is not None else "no champion",
                  "allowed (days)": spec.retraining.stale_after / timedelta(days=1)},
    )  # fmt: skip
