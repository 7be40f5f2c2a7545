"""Incidents of a use case: what its tables, its landing folder and its runs say is wrong."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ml_assets.decisions.findings import DROP_SCOPE, finding_of_experiment, finding_of_verdict, findings_of_drop
from ml_assets.decisions.incidents import Changes, Finding
from ml_assets.decisions.refused_drops import KIND as REFUSED
from ml_assets.decisions.refused_drops import findings_of_refused, landed_again, refused_stretches
from ml_assets.pipeline.champion.decisions import record_of
from ml_assets.pipeline.champion.record import damage_of, drop_of, newest_champion
from ml_assets.pipeline.experiments.record import read_events
from ml_assets.pipeline.ingestion.ready_drops import ACCEPTED_GAPS, accepted_gaps, overdue_sources
from ml_assets.pipeline.monitoring.decisions import parts_to_tell
from ml_assets.pipeline.monitoring.monitor_rows import read_monitors
from ml_assets.spec.drop import LATEST, DropKey, read_key
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.alert_relay import RelayResult, relay, urls_from_environment
from ml_assets.stores.failed_measures import MIRROR, FailedMeasure, failed_measures
from ml_assets.stores.lake import Lake
from ml_assets.stores.landing import drop_named, landed_drops
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.unchanged import (
    SameObject,
    folder_marks,
    is_unchanged,
    keep_unchanged,
    landing_marks,
    table_marks,
    time_mark,
)
from ml_assets.stores.unread_files import find_unread
from ml_assets.stores.use_case_state import UseCaseState

_LOCATION = "code_location"  # scope of what concerns every use case of the location
_UPLOAD = timedelta(minutes=10)  # how long a file may lie under another name until somebody is told
_READ = ("drops", "decisions", "performance_verdicts", "feed_health", "drift_report", "champion", ACCEPTED_GAPS,
         "experiment_record")  # fmt: skip
_NEWEST = 200  # verdicts looked at in one pass


def reconcile_incidents(
    spec: UseCaseSpec,
    paths: StatePaths,
    failed_runs: Sequence[Finding],
    failed_checks: Sequence[Finding],
    now: datetime,
) -> list[Changes]:
    """Open and close the incidents of a use case by what is wrong now. Doing it again changes nothing.

    Parameters
    ----------
    failed_runs, failed_checks
        What the orchestrator says of the newest runs and checks.
    now
        The wall's moment.
    """
    name = ("incidents", paths.root, spec.name)
    mark = (*_marks(spec, paths, now), tuple(failed_runs), tuple(failed_checks))
    if is_unchanged(name, mark):
        return []
    found = _reconcile_all(spec, paths, failed_runs, failed_checks, now)
    keep_unchanged(name, mark, lambda: None)
    return found


def _marks(spec: UseCaseSpec, paths: StatePaths, now: datetime) -> tuple[Hashable, ...]:
    """Mark all that incidents are found from, but for what the orchestrator says."""
    lake, drop = paths.lake / spec.name, spec.calendar.drop_receiving(now)
    tables = table_marks(lake, _READ)
    version = keep_unchanged(("champion", lake), tables, lambda: _serving(spec.name, paths))
    files = [source.expected_file for source in spec.sources]
    return (
        SameObject(spec),
        tables,
        landing_marks(paths.landing / spec.name, files),
        drop,
        spec.calendar.batch_at(drop) <= now,
        time_mark(now),
        folder_marks(paths.models / spec.name / version) if version else None,
        folder_marks(paths.alerts / "not_computed" / spec.name),
    )


def _serving(use_case: str, paths: StatePaths) -> str | None:
    champion = newest_champion(record_of(UseCaseState(use_case, paths)))
    return champion["model_version"] if champion else None


def _reconcile_all(
    spec: UseCaseSpec,
    paths: StatePaths,
    failed_runs: Sequence[Finding],
    failed_checks: Sequence[Finding],
    now: datetime,
) -> list[Changes]:
    outbox, at, drop = AlertOutbox(paths), now.isoformat(), _newest_begun(spec.name, paths)
    state = UseCaseState(spec.name, paths).pinned()
    record = record_of(state)
    found = [
        outbox.reconcile(_LOCATION, [_LOCATION], at, [], now),  # a sensor or a command asks, so the location loads
        outbox.reconcile(spec.name, ["declaration"], at, [], now, drop),
        *_reconcile_drops(spec, state.lake, outbox, now),
        *_reconcile_verdicts(spec, record, outbox, now),
        *_reconcile_experiments(spec, state.lake, outbox, now),
        outbox.reconcile(spec.name, ["model_files"], at, _damaged_model(spec, state, record), now, drop),
        outbox.reconcile(spec.name, ["run/"], at, failed_runs, now, drop),
        outbox.reconcile(spec.name, ["check/"], at, failed_checks, now, drop),
    ]
    found.append(outbox.reconcile(spec.name, ["not_computed/"], at, _not_computed(spec, paths), now, drop))
    late = _overdue(spec, paths, now)
    if late is not None:
        landed, findings = late
        found.append(outbox.reconcile(spec.name, ["overdue/"], str(landed), findings, now))
    found.append(outbox.reconcile(spec.name, ["landing/"], at, _unread(spec, paths, now), now, drop))
    return found


def _not_computed(spec: UseCaseSpec, paths: StatePaths) -> list[Finding]:
    """Find what the newest runs could not compute, a finding a step, and what MLflow could not be told."""
    by_step: dict[str, list[FailedMeasure]] = {}
    for each in failed_measures(paths.alerts, spec.name):
        by_step.setdefault(each.step, []).append(each)
    found: list[Finding] = []
    for step, failed in sorted(by_step.items()):
        first, more = failed[0], f" and {len(failed) - 1} more" if failed[1:] else ""
        if step == MIRROR:
            found.append(
                Finding("not_computed/mlflow", "mirror_failed", "info",
                        f"MLflow could not be told {first.measure}: {first.error}", None, None,
                        "the tables of the lake decide, and the retraining went on; MLflow only shows them",
                        f"ml-assets doctor {spec.name}")
            )  # fmt: skip
            continue
        found.append(
            Finding(f"not_computed/{step}", "not_computed", "warning",
                    f"{step} of drop {first.drop}: {first.measure}{more} was not computed: {first.error}",
                    float(len(failed)), 0.0, "everything else was computed, and the batch went on",
                    f"ml-assets status {spec.name}")
        )  # fmt: skip
    return found


def _damaged_model(spec: UseCaseSpec, state: UseCaseState, record: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Find that files of the model that serves are gone or changed."""
    champion = newest_champion(record)
    damage = damage_of(state.models, champion)
    if champion is None or damage is None:
        return []
    return [
        Finding("model_files", "damaged_model", "error", damage, None, None,
                f"{champion['model_version']} scores no drop from now on; what was scored before still stands",
                f"restore the file from a backup, or ml-assets rollback {spec.name}")
    ]  # fmt: skip


def _newest_begun(use_case: str, paths: StatePaths) -> DropKey | None:
    """Give the newest drop in the ledger: what runs and checks concern; None before the first."""
    lake = Lake(paths.lake / use_case)
    return max(lake.files("drops").drops(), default=None) if lake.has("drops") else None


def open_broken_declaration(name: str, mistakes: Sequence[str], paths: StatePaths, now: datetime) -> Changes:
    """Open the incident of a use case whose declaration cannot be read."""
    message = f"{len(mistakes)} mistakes in the declaration of {name}; nothing of it runs: " + "; ".join(mistakes[:3])
    finding = Finding("declaration", "broken_use_case", "error", message, None, None,
                      "the other use cases go on", f"ml-assets validate {name}")  # fmt: skip
    drop = _newest_begun(name, paths)
    return AlertOutbox(paths).reconcile(name, ["declaration"], now.isoformat(), [finding], now, drop)


def open_location_incident(error: Exception, paths: StatePaths, now: datetime) -> Changes:
    """Open the incident of a code location that Dagster cannot load: no use case of it runs."""
    message = f"the code location cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())}"
    finding = Finding(_LOCATION, "broken_location", "error", message, None, None,
                      "no run and no sensor starts; what was written before still serves",
                      "dg check defs, or `ml-assets ui`: Deployment shows the whole error")  # fmt: skip
    return AlertOutbox(paths).reconcile(_LOCATION, [_LOCATION], now.isoformat(), [finding], now)


def send_alerts(paths: StatePaths, now: datetime) -> RelayResult | None:
    """Send what waits in the outbox; None where no URL is set, and messages stay to be read."""
    urls = urls_from_environment()
    return relay(AlertOutbox(paths), urls, now) if urls else None


def reconcile_accepted(spec: UseCaseSpec, paths: StatePaths, now: datetime) -> list[Changes]:
    """Close what a person has just accepted, before the next look at everything."""
    lake = UseCaseState(spec.name, paths).pinned().lake
    return list(_reconcile_drops(spec, lake, AlertOutbox(paths), now))


def _reconcile_drops(spec: UseCaseSpec, lake: Lake, outbox: AlertOutbox, now: datetime) -> Iterable[Changes]:
    last = outbox.last_settled(spec.name, DROP_SCOPE)
    since = read_key(last) if last else spec.calendar.first_drop
    bounds, earlier = (since, LATEST), (min([since, *_refused_since(spec.name, outbox)]), LATEST)
    decided = {row["batch_date"]: row for row in read_rows(lake, "decisions", None, bounds)}
    performance = {row["batch_date"]: row for row in read_rows(lake, "performance_verdicts", None, bounds)}
    received = read_rows(lake, "drops", ["batch_date", "source", "state", "reasons"], earlier)
    ledger, accepted = _by_drop(received), accepted_gaps(lake)
    declared = {source.name for source in spec.sources}  # of a source that is gone nothing better can come
    refused = refused_stretches([row for row in received if row["source"] in declared], sorted(ledger))
    again = landed_again(received)
    alarms = _by_drop(read_monitors(lake, None, bounds, where="state = 'alarm'"))
    for drop in sorted(decided):
        findings = findings_of_drop(
            spec.name,
            str(drop),
            ledger=ledger.get(drop, []),
            alarms=alarms.get(drop, []),
            performance=performance.get(drop),
            stale=parts_to_tell(spec, decided[drop]),
            decision=decided[drop],
            max_ece=1.0 if spec.model.gate.max_ece is None else spec.model.gate.max_ece,
            task=task_of(spec.task),
            level=None if spec.model.intervals is None else spec.model.intervals.level,
        )
        findings += findings_of_refused(spec.name, drop, refused, again, accepted)
        yield outbox.reconcile(spec.name, DROP_SCOPE, str(drop), findings, now)


def _refused_since(use_case: str, outbox: AlertOutbox) -> list[DropKey]:
    """Give the first drop of each refused stretch that is open: nobody has dealt with it yet."""
    open_ones = [each for each in outbox.incidents(use_case, open_only=True) if each.kind == REFUSED]
    found = [drop_named(each.monitor.rpartition("/")[2]) for each in open_ones]
    return [drop for drop in found if drop is not None]


def _by_drop(rows: Iterable[dict[str, Any]]) -> dict[DropKey, list[dict[str, Any]]]:
    found: dict[DropKey, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["batch_date"], []).append(row)
    return found


def _reconcile_verdicts(
    spec: UseCaseSpec, record: Sequence[Mapping[str, Any]], outbox: AlertOutbox, now: datetime
) -> Iterable[Changes]:
    last = outbox.last_settled(spec.name, ("gate",))
    for verdict in record[-_NEWEST:]:
        at = verdict["_recorded_at"].isoformat()
        if last is None or datetime.fromisoformat(last) <= verdict["_recorded_at"]:
            found = [finding_of_verdict(spec.name, verdict)]
            yield outbox.reconcile(spec.name, ("gate",), at, found, now, drop_of(verdict))


def _reconcile_experiments(spec: UseCaseSpec, lake: Lake, outbox: AlertOutbox, now: datetime) -> Iterable[Changes]:
    last = outbox.last_settled(spec.name, ("experiment/",))
    for event in read_events(lake)[-_NEWEST:]:
        at = event["_recorded_at"]
        told = finding_of_experiment(spec.name, event)
        if told is not None and (last is None or datetime.fromisoformat(last) <= at):
            yield outbox.reconcile(spec.name, ("experiment/",), at.isoformat(), [told], now, event["after"])


def _unread(spec: UseCaseSpec, paths: StatePaths, now: datetime) -> list[Finding]:
    """Give what lies in the landing folder and is read by nothing; an upload has some minutes to end."""
    folder, names = paths.landing / spec.name, [source.expected_file for source in spec.sources]
    return [
        Finding(f"landing/{entry.name}", "unread_file", "warning", f"nothing reads {entry} (in {folder})",
                None, None, "it is left where it lies; no row of it is in any table", f"ml-assets status {spec.name}")
        for entry in find_unread(folder, spec.calendar, names)
        if now - entry.modified_at >= _UPLOAD
    ]  # fmt: skip


def _overdue(spec: UseCaseSpec, paths: StatePaths, now: datetime) -> tuple[DropKey, list[Finding]] | None:
    """Give the newest drop that is due, and the sources that earlier or due drops still wait for."""
    landed = landed_drops(paths.landing / spec.name, spec.calendar, [source.expected_file for source in spec.sources])
    if not landed:
        return None
    by_source: dict[str, list[DropKey]] = {}
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
