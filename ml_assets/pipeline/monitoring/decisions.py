"""The decision of each drop: retrain, wait, fix upstream or nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml_assets.decisions.failure import ScoredDrop
from ml_assets.decisions.retraining import Alarm, Decision, Performance, RetrainingState, decide, stale_limit
from ml_assets.ingestion.ledger import FINAL_STATES
from ml_assets.pipeline.champion.decisions import newest_drop
from ml_assets.pipeline.champion.fallback import apply_fallback
from ml_assets.pipeline.champion.record import GATE, champion_in, read_record
from ml_assets.pipeline.features.closed_drops import require_features
from ml_assets.pipeline.monitoring.known_state import LOOKED_BACK, DropReadings, facts_of, known_state
from ml_assets.pipeline.monitoring.monitor_rows import MONITORS, read_monitors
from ml_assets.pipeline.results import CheckOutcome, DropResult
from ml_assets.serving.scoring import NO_SCORE, no_score
from ml_assets.spec.drop import DropKey
from ml_assets.spec.monitoring import RetrainingSpec
from ml_assets.spec.tables import of_use_case
from ml_assets.spec.tables.monitoring import DECISIONS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.lake import Lake
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb

TABLE = DECISIONS.name
_NO_SCORES = ", ".join(f"'{each}'" for each in {*NO_SCORE.values(), no_score("")})
_RETRAINED_WITHIN = 7  # drops; a replay retrains once a step


@dataclass(frozen=True)
class DecisionResult:
    """What was decided in drops; `newest` is the row of the last one."""

    result: DropResult
    newest: Mapping[str, Any]


def store_decisions(
    spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey], now: datetime, *, falls_back: bool = True
) -> DecisionResult:
    """Decide in each of `drops` by what was known in it, and store the decisions. Grain: a drop.

    Where the champion of the newest drop of all has failed, the fallback serves the drops after it; `now` is the wall's
    moment, at which that is recorded. A replay says not to (`falls_back`): it applies the fallback drop by drop.
    """
    require_features(state, drops)
    with state.connect() as connection:
        found = decide_drops(connection, spec, state, drops)
    state.lake.replace_drops(TABLE, arrow_rows(of_use_case(DECISIONS, spec), found), drops)
    notes = {row["batch_date"]: {"action": row["action"], "reason": row["reason"]} for row in found}
    if falls_back and _is_newest(state, drops[-1]):
        apply_fallback(spec, state, found[-1], now)
    checks = (freshness_outcome(spec, found[-1]), standing_outcome(found[-1]))
    return DecisionResult(DropResult(dict.fromkeys(drops, 1), notes, checks=checks), found[-1])


def _is_newest(state: UseCaseState, drop: DropKey) -> bool:
    with state.connect() as connection:
        return newest_drop(connection, state.lake) == drop


def standing_outcome(row: Mapping[str, Any]) -> CheckOutcome:
    """Fail where the champion of a decision's drop has failed, or the fallback serves it."""
    since, failure = row.get("fallback_since"), row.get("failure")
    said = "no champion serves yet" if row["champion_as_of"] is None else "nothing says that the champion has failed"
    if since is not None:
        said = f"the champion has failed, and the fallback serves since drop {since}, until the next promotion"
    if failure is not None:
        said = f"the champion has failed: {failure}"
    return CheckOutcome("champion_stands", since is None and failure is None, said)


def decide_drops(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]
) -> list[dict[str, Any]]:
    """Decide in each of `drops`, each by what was known in it."""
    lake, bounds = state.lake, (drops[0], drops[-1])
    alarms = read_alarms(lake, bounds)
    performance = _performance(connection, lake, bounds, str(task_of(spec.task).loss_metric))
    unfinished = unfinished_sources(connection, lake, bounds)
    counts = {name: _counts(connection, lake, name, bounds) for name in ("examples", "predictions", *MONITORS)}
    record = read_record(connection, lake)
    serving = {drop: champion_in(record, drop) for drop in drops}
    attempts = [row for row in record if row["decided_by"] == GATE and row["verdict"] != "dry_run"]
    bundles = {
        each["model_version"]: state.models.load(each["model_version"], each["artifact_sha256"])
        for each in serving.values()
        if each is not None
    }
    began = [each["serves_after"] for each in serving.values() if each is not None]
    looked_back = max(min(began, default=drops[0]), spec.calendar.shift(drops[0], -LOOKED_BACK))
    scored = _scored_drops(connection, lake, (looked_back, drops[-1]))
    rows: list[dict[str, Any]] = []
    for drop in drops:
        champion = serving[drop]
        version = "" if champion is None else champion["model_version"]
        found = DropReadings(
            performance.get(drop, Performance("not enough data")),
            alarms.get(drop, ()),
            tuple(unfinished.get(drop, ())),
            scored.get(version, ()),
        )
        known = known_state(
            spec, drop, None if champion is None else (champion, facts_of(bundles[version])), attempts, found
        )
        examples, scored_rows = counts["examples"].get(drop, 0), counts["predictions"].get(drop, 0)
        rows.append(
            _row(known, decide(known, spec.retraining), spec.retraining)
            | {
                "is_scored": champion is None or scored_rows == examples,
                "is_reported": not examples or any(counts[table].get(drop) for table in MONITORS),
            }
        )
    return rows


def _scored_drops(
    connection: duckdb.DuckDBPyConnection, lake: Lake, bounds: tuple[DropKey, DropKey]
) -> dict[str, list[ScoredDrop]]:
    """Return, by model, how it scored each drop in `bounds`, in order."""
    if not lake.has("predictions"):
        return {}
    relation = lake.relation(connection, "predictions", bounds)
    found = relation.aggregate(
        "batch_date, model_version, count(*) AS n, "
        f"count(*) FILTER (abstained NOT IN ({_NO_SCORES})) AS outside, "
        f"count(*) FILTER (abstained IN ({_NO_SCORES})) AS without_score, "
        "min(model_score) AS lowest, max(model_score) AS highest"
    )
    by_model: dict[str, list[ScoredDrop]] = defaultdict(list)
    for drop, model_version, *measured in found.order("batch_date").fetchall():
        by_model[model_version].append(ScoredDrop(drop, *measured))
    return by_model


def read_alarms(
    lake: Lake, bounds: tuple[DropKey, DropKey], family: str = ""
) -> dict[DropKey, list[tuple[str, Alarm]]]:
    """Read the alarms of drops, of one family of monitors or of all."""
    found: dict[DropKey, list[tuple[str, Alarm]]] = {}
    columns = ["batch_date", "family", "kind", "monitor", "z", "threshold", "importance", "meaning"]
    alarming = read_monitors(
        lake, columns, bounds, where="state = 'alarm'" + (f" AND family = '{family}'" if family else "")
    )
    for row in sorted(alarming, key=lambda row: (row["batch_date"], row["monitor"])):
        alarm = alarm_of(row)
        if alarm is not None:
            found.setdefault(row["batch_date"], []).append(alarm)
    return found


def alarm_of(row: Mapping[str, Any]) -> tuple[str, Alarm] | None:
    """Give an alarm with its kind: what only follows a broken feed is in its meaning, and no evidence of its own."""
    if row["kind"] == "broken_feed" and row["family"] != "feed":
        return None
    alarm = Alarm(row["monitor"], abs(row["z"]), row["threshold"], row["importance"] or 0.0, row["meaning"] or "")
    return ("drift" if row["kind"] == "cannot_tell" else row["kind"]), alarm


def _performance(
    connection: duckdb.DuckDBPyConnection, lake: Lake, bounds: tuple[DropKey, DropKey], loss: str
) -> dict[DropKey, Performance]:
    if not lake.has("performance_verdicts"):
        return {}
    relation = lake.relation(connection, "performance_verdicts", bounds)
    names = ("state", "gain", "threshold", "loss_since", "loss_now", "loss_at_gate", "behind_since")
    # rows of older versions lack the newest columns
    known = [name if name in relation.columns else f"NULL AS {name}" for name in names]
    rows = relation.project(", ".join(["batch_date", *known])).fetchall()
    return {row[0]: Performance(*row[1:], loss=loss) for row in rows}


def unfinished_sources(
    connection: duckdb.DuckDBPyConnection, lake: Lake, bounds: tuple[DropKey, DropKey]
) -> dict[DropKey, list[str]]:
    """Name the sources without a final state, by drop."""
    found: dict[DropKey, list[str]] = {}
    for drop, source, state in (
        lake.relation(connection, "drops", bounds).project("batch_date, source, state").fetchall()
    ):
        if state not in FINAL_STATES:
            found.setdefault(drop, []).append(source)
    return found


def _counts(
    connection: duckdb.DuckDBPyConnection, lake: Lake, table: str, bounds: tuple[DropKey, DropKey]
) -> dict[DropKey, int]:
    return dict(lake.relation(connection, table, bounds).aggregate("batch_date, count(*)").fetchall())


def _row(known: RetrainingState, decision: Decision, rule: RetrainingSpec) -> dict[str, Any]:
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
        "stale_after_days": stale_limit(rule, len(known.poor_gains)) / timedelta(days=1),
        "refused": len(known.refused_gains),
        "failure": known.failure,
        "fallback_since": known.fallback_since,
    }


def stale_parts(spec: UseCaseSpec, row: Mapping[str, Any], patience: timedelta = timedelta()) -> list[str]:
    """Say what of a decided drop is not fresh; of a champion's age once it is over its limit for `patience`."""
    said: list[str] = []
    age, limit = row["training_age_days"], _stale_limit_of(spec, row)
    if age is not None and age > limit + patience / timedelta(days=1):
        said.append(
            f"the champion's newest training row is {age:.0f} days older than what has matured; allowed: {limit:.0f}"
        )
    if not row["is_scored"]:
        said.append("not every example of the drop is scored")
    if not row["is_reported"]:
        said.append("the drop has no drift report")
    return said


def parts_to_tell(spec: UseCaseSpec, row: Mapping[str, Any]) -> list[str]:
    """Say what of a decided drop is not fresh and people should hear of: not an age that a retraining is asked for.

    Where none has come for some drops, they should.
    """
    is_asked = row["action"] == "retrain"
    return stale_parts(spec, row, _patience(spec) if is_asked else timedelta())


def _patience(spec: UseCaseSpec) -> timedelta:
    return max(spec.calendar.duration_of(_RETRAINED_WITHIN), timedelta(days=_RETRAINED_WITHIN))


def _stale_limit_of(spec: UseCaseSpec, row: Mapping[str, Any]) -> float:
    """Give the days from which on a champion was stale; rows of older versions do not hold them."""
    return row.get("stale_after_days") or spec.retraining.stale_after / timedelta(days=1)


def freshness_outcome(spec: UseCaseSpec, row: Mapping[str, Any]) -> CheckOutcome:
    """Say which parts of a decision's drop are stale, in data time."""
    stale = stale_parts(spec, row)
    age = row["training_age_days"]
    return CheckOutcome(
        "freshness",
        passed=not stale,
        description="; ".join(stale) or ("not enough data: no champion serves yet" if age is None else "fresh"),
        measured={"training age (days)": age if age is not None else "no champion",
                  "allowed (days)": _stale_limit_of(spec, row)},
    )  # fmt: skip
