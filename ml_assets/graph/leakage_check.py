"""The check of each training set: a sample of its new drops, recomputed without the future."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import dagster as dg
from dagster_duckdb import DuckDBResource

from ml_assets.features.outcome_leakage import Finding
from ml_assets.graph.leakage import Asked, Audit, NothingToAuditError, audit_leakage
from ml_assets.graph.outcome_audit import audit_outcomes
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake

CHECK = "leakage"
DESCRIPTION = (
    "A sample of the drops since the training set before, recomputed from what was known at each moment, is what is "
    "stored; no column says the outcome by itself, by its absence, or only afterwards."
)
SAMPLE = 40
_SHOWN = 20


def check_leakage(
    spec: UseCaseSpec, lake: Lake, duckdb: DuckDBResource, as_of: date, before: date | None
) -> dg.AssetCheckResult:
    """Audit the drops after `before`, the training set drawn last, up to `as_of`; its sample is drawn by that drop."""
    first = spec.calendar.start if before is None or before >= as_of else before
    audit = Audit()
    asked = Asked(SAMPLE, as_of.toordinal(), (first, as_of), lands_everywhere=False)
    with ThreadPoolExecutor(1) as beside:  # each waits for its own connection most of the time
        outcomes = beside.submit(audit_outcomes, spec, lake, duckdb)
        try:
            audit = audit_leakage(spec, lake, duckdb, asked)
        except NothingToAuditError as error:
            said, is_judged = f"not audited: {error}", False
        else:
            said, is_judged = f"{len(audit.leaks)} of {audit.cells} cells could not be known", True
        findings = outcomes.result()
    alarms = [finding for finding in findings if finding.is_alarm]
    is_clean = not audit.leaks and not alarms
    told = max((finding for finding in findings if finding.kind == "target"), key=lambda f: f.value, default=None)
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=is_clean and is_judged,
        # a value that could not be known is proven, and stops the training; a column that says much is for a person to
        # judge, and what could not be audited is no leak that was found
        severity=dg.AssetCheckSeverity.ERROR if audit.leaks else dg.AssetCheckSeverity.WARN,
        description="; ".join([said, *(f"{each.kind}: {each.column} {each.says}" for each in alarms)]),
        metadata={
            "examples": audit.examples,
            "moments": audit.moments,
            "cells": audit.cells,
            "could not be known": dg.MetadataValue.md(_table(audit)) if audit.leaks else "none",
            "alarms": [f"{each.kind} {each.column}: {each.value:.3f} over {each.limit}" for each in alarms],
            "strongest single column": f"{told.column}, AUC {told.value:.3f}" if told else "not enough data",
            **{each.kind: each.says for each in findings if each.limit is None and each.kind != "entities"},
            "entities": dg.MetadataValue.md(_shared(findings)),
        },
    )


def _shared(findings: list[Finding]) -> str:
    """List each kind of entity by what the split shares of it."""
    shared = [each for each in findings if each.kind == "entities"]
    lines = ["| entity | met in training | |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {e.column} | {e.value:.1%} | {e.says} |" for e in shared)]) if shared else "none"


def _table(audit: Audit) -> str:
    lines = ["| first in | column | cells | for example | stored | known by then |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {table} | {column} | {count} | {leak.example_id} | {leak.stored} | {leak.known} |"
        for table, column, count, leak in audit.by_place()[:_SHOWN]
    ]
    return "\n".join(lines)
