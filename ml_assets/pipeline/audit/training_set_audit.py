"""The checks of each training set: known in time, without leakage, as it was served."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml_assets.features.outcome_leakage import LeakageSign
from ml_assets.pipeline.audit.leakage import Audit, AuditRequest, NothingToAuditError, audit_leakage
from ml_assets.pipeline.audit.outcomes import audit_outcomes
from ml_assets.pipeline.audit.suspicions import Suspicion, judge_findings
from ml_assets.pipeline.results import CheckOutcome
from ml_assets.spec.drop import DropKey, key_sql, number_of
from ml_assets.spec.tables.features import TRAINING_SET_AUDIT
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.sandbox import restrict_to_tables
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.training_set import DrawPlan

if TYPE_CHECKING:
    import duckdb

SAMPLE = 40
AUDIT = TRAINING_SET_AUDIT.name  # what the audit of the newest training set found: the gate refuses what learned of it


@dataclass(frozen=True)
class TrainingSetAudit:
    """What the audit of the newest training set found. `findings` are those that the gate refuses a candidate for.

    `leakage` holds what recomputation proved, `suspicions` columns that say much, with what is thought of each.
    """

    outcome: CheckOutcome
    leakage: Audit
    columns: tuple[LeakageSign, ...]
    suspicions: tuple[Suspicion, ...]
    findings: tuple[str, ...]


def audit_training_set(
    spec: UseCaseSpec, state: UseCaseState, as_of: DropKey, before: DropKey | None
) -> TrainingSetAudit:
    """Audit the newest training set: the drops after `before`, the one drawn last, up to `as_of`.

    The sample is drawn by the drop `as_of`.
    """
    first = spec.calendar.first_drop if before is None or before >= as_of else before
    audit = Audit()
    request = AuditRequest(SAMPLE, number_of(as_of), (first, as_of), lands_everywhere=False)
    with ThreadPoolExecutor(1) as beside:  # each waits for its own connection most of the time
        outcomes = beside.submit(audit_outcomes, spec, state)
        try:
            audit = audit_leakage(spec, state, request)
        except NothingToAuditError as error:
            said, is_judged = f"not audited: {error}", False
        else:
            said, is_judged = f"{len(audit.leaks)} of {audit.cells} cells could not be known", True
        columns = tuple(outcomes.result())
    suspicions = judge_findings(spec, state, columns)
    still_open = [each for each in suspicions if each.is_open]
    outcome = CheckOutcome(
        "leakage",
        passed=not audit.leaks and not still_open and is_judged,
        # a value that could not be known is proven, and stops the training; a column that says much is for a person to
        # judge, and what could not be audited is no leak that was found
        is_error=bool(audit.leaks),
        description="; ".join([said, *map(str, sorted(suspicions, key=lambda each: not each.is_open))]),
        measured={"examples": audit.examples, "moments": audit.moments, "cells": audit.cells,
                  "alarms": [_alarm(each) for each in still_open],
                  "explained or accepted": [_alarm(each) for each in suspicions if not each.is_open]},
    )  # fmt: skip
    return TrainingSetAudit(outcome, audit, columns, tuple(suspicions), _findings(audit, said, suspicions))


def store_audit(state: UseCaseState, audit: TrainingSetAudit, version: int) -> None:
    """Keep what the audit of a version of the training set found. Grain: a finding."""
    rows = [{"training_set_version": version, "finding": each} for each in audit.findings]
    state.lake.replace(AUDIT, arrow_rows(TRAINING_SET_AUDIT, rows), {"training_set_version": version})


def _alarm(suspicion: Suspicion) -> str:
    finding = suspicion.finding
    return f"{finding.kind} {finding.column}: {finding.value:.3f} over {finding.limit}"


def _findings(audit: Audit, said: str, suspicions: Sequence[Suspicion]) -> tuple[str, ...]:
    """Name what the gate refuses: values that could not be known, and columns too strong that nobody decided about.

    What compares the training set with rows outside of it (afterwards) is for people: it would let a verdict depend on
    what else was run by then.
    """
    found = [str(each) for each in suspicions if each.blocks]
    if audit.leaks:
        named = ", ".join(f"{table}.{column}" for table, column, *_ in audit.by_place())
        found.append(f"proven by recomputation: {said}, of {named}")
    return tuple(found)


def check_known_in_time(state: UseCaseState, plan: DrawPlan, version: int) -> CheckOutcome:
    """Judge the stored rows against the stored labels, without the query that drew them."""
    lake = state.lake
    with state.connect_apart() as connection:
        tables = {"training_set": lake.files("training_set", version), "labels": lake.files("labels")}
        if plan.has_weak_labels:
            tables["weak_labels"] = lake.files("weak_labels")
        restrict_to_tables(connection, tables)
        gold = "t.label_origin = 'gold' AND " if plan.has_weak_labels else ""
        unknown = connection.execute(
            f"SELECT count(*) FROM training_set AS t WHERE {gold}NOT EXISTS (SELECT 1 FROM labels AS l WHERE "
            "l.example_id = t.example_id AND l.label = t.label AND l.known_at <= ?::TIMESTAMPTZ AND "
            "l.batch_date <= ?)",
            [plan.known_until, plan.as_of],
        ).fetchall()[0][0]
        unmatured = connection.execute(
            "SELECT count(*) FROM training_set WHERE prediction_at > ?::TIMESTAMPTZ", [plan.matured_until]
        ).fetchall()[0][0]
        overlap = connection.execute(
            "SELECT count(*) FROM training_set WHERE split = 'train' AND prediction_at >= (SELECT min(prediction_at) "
            "FROM training_set WHERE split = 'holdout')"
        ).fetchall()[0][0]
        weak = count_unknown_weak_labels(connection, plan) if plan.has_weak_labels else 0
    unknown += weak
    measured = {"label not known by as_of": unknown, "not matured": unmatured, "trained on inside holdout": overlap}
    said = ", ".join(f"{count} {name}" for name, count in measured.items())
    return CheckOutcome("known_in_time", unknown + unmatured + overlap == 0, said, measured, is_error=True)


def count_unknown_weak_labels(connection: duckdb.DuckDBPyConnection, plan: DrawPlan) -> int:
    """Count the weak labels of `training_set` that are held out, or that rest on no vote known as of the drop."""
    return connection.sql(
        "SELECT count(*) FROM training_set AS t WHERE t.label_origin = 'weak' AND (t.split = 'holdout' OR NOT EXISTS ("
        "SELECT 1 FROM weak_labels AS w WHERE w.example_id = t.example_id AND w.batch_date = t.batch_date AND w.label "
        f"IS NOT NULL AND w.known_at <= TIMESTAMPTZ '{plan.known_until}' AND w.batch_date <= {key_sql(plan.as_of)}))"
    ).fetchall()[0][0]
