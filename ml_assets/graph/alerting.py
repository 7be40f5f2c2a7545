"""Tells people: what the tables, the landing folder and Dagster's runs say is wrong becomes incidents and messages."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import dagster as dg

from ml_assets.decisions.findings import DROP_SCOPE, finding_of_verdict, findings_of_drop
from ml_assets.decisions.incidents import Changes, Finding
from ml_assets.graph.decision_assets import stale_parts
from ml_assets.graph.due import overdue_sources, read_rows
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.alert_relay import RelayResult, relay, urls_from_environment
from ml_assets.stores.lake import Lake
from ml_assets.stores.landing import landed_drops
from ml_assets.stores.paths import StatePaths

_TOLD_APART = frozenset({"drift", "performance", "freshness", "gate"})  # findings of their own, with more to say
_LOCATION = "code_location"  # scope of what concerns every use case of the location
_NEWEST = 200  # verdicts and drops looked at in one pass


def settle_alerts(
    spec: UseCaseSpec,
    paths: StatePaths,
    instance: dg.DagsterInstance,
    checks: Sequence[dg.AssetCheckKey],
    now: datetime,
) -> list[Changes]:
    """Bring the incidents of a use case up to date. Doing it again changes nothing."""
    outbox = AlertOutbox(paths)
    found = [
        outbox.settle(_LOCATION, [_LOCATION], now.isoformat(), [], now),  # it loads: this sensor ticks
        outbox.settle(spec.name, ["declaration"], now.isoformat(), [], now),
        *_settle_drops(spec, paths, outbox, now),
        *_settle_verdicts(spec, paths, outbox, now),
        outbox.settle(spec.name, ["run/"], now.isoformat(), _failed_runs(spec, instance), now),
        outbox.settle(spec.name, ["check/"], now.isoformat(), _failed_checks(instance, checks), now),
    ]
    late = _overdue(spec, paths, now)
    if late is not None:
        at, findings = late
        found.append(outbox.settle(spec.name, ["overdue/"], at.isoformat(), findings, now))
    return found


def settle_broken(name: str, mistakes: Sequence[str], paths: StatePaths, now: datetime) -> Changes:
    """Open the incident of a use case whose declaration cannot be read."""
    message = f"{len(mistakes)} mistakes in the declaration of {name}; nothing of it runs: " + "; ".join(mistakes[:3])
    finding = Finding("declaration", "broken_use_case", "error", message, None, None,
                      "the other use cases go on", f"ml-assets validate {name}")  # fmt: skip
    return AlertOutbox(paths).settle(name, ["declaration"], now.isoformat(), [finding], now)


def open_location_incident(error: Exception, paths: StatePaths, now: datetime) -> Changes:
    """Open the incident of a code location that Dagster cannot load: no use case of it runs."""
    message = f"the code location cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())}"
    finding = Finding(_LOCATION, "broken_location", "error", message, None, None,
                      "no run and no sensor starts; what was written before still serves",
                      "dg check defs, or `ml-assets ui`: Deployment shows the whole error")  # fmt: skip
    return AlertOutbox(paths).settle(_LOCATION, [_LOCATION], now.isoformat(), [finding], now)


def send_alerts(paths: StatePaths, now: datetime) -> RelayResult | None:
    """Send what waits in the outbox; None where no URL is set, and messages stay to be read."""
    urls = urls_from_environment()
    return relay(AlertOutbox(paths), urls, now) if urls else None


def _settle_drops(spec: UseCaseSpec, paths: StatePaths, outbox: AlertOutbox, now: datetime) -> Iterable[Changes]:
    lake = Lake(paths.lake / spec.name)
    last = outbox.last_settled(spec.name, DROP_SCOPE)
    since = date.fromisoformat(last) if last else spec.calendar.start
    bounds = (since, date.max)
    decided = {row["batch_date"]: row for row in read_rows(lake, "decisions", None, bounds)}
    performance = {row["batch_date"]: row for row in read_rows(lake, "performance_verdicts", None, bounds)}
    ledger = _by_drop(read_rows(lake, "drops", ["batch_date", "source", "state", "reasons"], bounds))
    alarms = _by_drop(read_rows(lake, "drift_report", None, bounds, where="state = 'alarm'"))
    for drop in sorted(decided):
        findings = findings_of_drop(
            spec.name,
            drop.isoformat(),
            ledger=ledger.get(drop, []),
            alarms=alarms.get(drop, []),
            performance=performance.get(drop),
            stale=stale_parts(spec, decided[drop]),
            decision=decided[drop],
        )
        yield outbox.settle(spec.name, DROP_SCOPE, drop.isoformat(), findings, now)


def _by_drop(rows: Iterable[dict[str, Any]]) -> dict[date, list[dict[str, Any]]]:
    found: dict[date, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["batch_date"], []).append(row)
    return found


def _settle_verdicts(spec: UseCaseSpec, paths: StatePaths, outbox: AlertOutbox, now: datetime) -> Iterable[Changes]:
    last = outbox.last_settled(spec.name, ("gate",))
    verdicts = sorted(read_rows(Lake(paths.lake / spec.name), "champion", None), key=lambda row: row["sequence"])
    for verdict in verdicts[-_NEWEST:]:
        at = verdict["_recorded_at"].isoformat()
        if last is None or datetime.fromisoformat(last) <= verdict["_recorded_at"]:
            yield outbox.settle(spec.name, ("gate",), at, [finding_of_verdict(spec.name, verdict)], now)


def _failed_runs(spec: UseCaseSpec, instance: dg.DagsterInstance) -> list[Finding]:
    """Give the jobs whose newest finished run failed."""
    found: list[Finding] = []
    for job in (f"{spec.name}_batch", f"{spec.name}_retrain"):
        finished = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
        newest = instance.get_runs(dg.RunsFilter(job_name=job, statuses=finished), limit=1)
        if newest and newest[0].status == dg.DagsterRunStatus.FAILURE:
            reason = newest[0].tags.get("ml_assets/reason", "started by a person")
            message = f"run {newest[0].run_id[:8]} of {job} failed ({reason})"
            found.append(
                Finding(f"run/{job}", "failed_run", "error", message, None, None,
                        "a sensor tries again up to three times; the last good state serves",
                        f"run {newest[0].run_id} in `ml-assets ui`")
            )  # fmt: skip
    return found


def _failed_checks(instance: dg.DagsterInstance, checks: Sequence[dg.AssetCheckKey]) -> list[Finding]:
    keys = [key for key in checks if key.name not in _TOLD_APART]
    found: list[Finding] = []
    for key, record in instance.event_log_storage.get_latest_asset_check_execution_by_key(keys).items():
        event = record.event.dagster_event if record.event else None
        evaluation: Any = event.event_specific_data if event else None
        if evaluation is None or getattr(evaluation, "passed", True):
            continue
        is_error = evaluation.severity == dg.AssetCheckSeverity.ERROR
        place = "/".join(key.asset_key.path[1:])
        found.append(
            Finding(f"check/{place}/{key.name}", "failed_check", "error" if is_error else "warning",
                    f"{place}: {key.name}: {evaluation.description or 'failed'}", None, None,
                    "the run stops here" if is_error else "it goes on",
                    f"asset {place} in `ml-assets ui`, tab Checks")
        )  # fmt: skip
    return found


def _overdue(spec: UseCaseSpec, paths: StatePaths, now: datetime) -> tuple[date, list[Finding]] | None:
    """Give the newest drop that is due, and the sources that earlier or due drops still wait for."""
    landed = landed_drops(paths.landing / spec.name, spec.calendar, [source.file_name for source in spec.sources])
    if not landed:
        return None
    by_source: dict[str, list[date]] = {}
    for drop, source in overdue_sources(spec, paths, landed[-1], now):
        by_source.setdefault(source, []).append(drop)
    findings = [
        Finding(f"overdue/{source}", "missing_drop", "error",
                f"{source} has not landed for drop {drops[0]}" + (f" and {len(drops) - 1} more" if drops[1:] else ""),
                float(len(drops)), 0.0, "drops from there on wait; the last good state serves",
                f"ml-assets status {spec.name}")
        for source, drops in sorted(by_source.items())
    ]  # fmt: skip
    return landed[-1], findings
