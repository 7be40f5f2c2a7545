"""Whether the stored examples, features and training rows could have been known, and what says too much."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.text import Text

from ml_assets.cli.console import console, fail, next_steps, print_json, say
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.features.outcome_leakage import LeakageSign
from ml_assets.pipeline.audit.leakage import Audit, AuditRequest, NothingToAuditError, audit_leakage
from ml_assets.pipeline.audit.outcomes import audit_outcomes
from ml_assets.pipeline.audit.suspicions import Suspicion, judge_findings
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState

_SHOWN = 20
_LEAKS = [
    TableColumn("first in"), TableColumn("column"), TableColumn("cells"), TableColumn("for example", 1, is_text=True),
    TableColumn("stored", 3, is_text=True), TableColumn("known by then", 2, is_text=True),
]  # fmt: skip
_FINDINGS = [
    TableColumn("kind"), TableColumn("column"), TableColumn("value", 1), TableColumn("limit", 2), TableColumn("n", 3),
    TableColumn("", is_text=True),
]  # fmt: skip


@dataclass(frozen=True)
class AuditOptions:
    """What the command was asked for."""

    request: AuditRequest
    as_json: bool


def run_audit(spec: UseCaseSpec, state: UseCaseState, options: AuditOptions) -> bool:
    """Audit, print what was found, and say whether nothing was."""
    from rich.progress import Progress

    try:
        with Progress(console=console, disable=options.as_json, transient=True) as progress:
            task = progress.add_task("recomputing without the future", total=None)
            audit = audit_leakage(
                spec, state, options.request, lambda done, of: progress.update(task, completed=done, total=of)
            )
    except NothingToAuditError as error:
        raise fail(str(error)) from error
    findings = audit_outcomes(spec, state) if state.lake.has("training_set") else []
    suspicions = judge_findings(spec, state, findings)
    if options.as_json:
        print_json(_plain(spec, audit, findings, suspicions))
    else:
        _show(spec, audit, findings, suspicions)
    return not audit.leaks and not any(each.is_open for each in suspicions)


def _plain(spec: UseCaseSpec, audit: Audit, findings: list[LeakageSign], suspicions: list[Suspicion]) -> dict[str, Any]:
    thought = {(each.finding.kind, each.finding.column): each for each in suspicions}
    return {
        "use_case": spec.name, "examples": audit.examples, "moments": audit.moments, "cells": audit.cells,
        "left_out": audit.left_out, "leaks": [asdict(leak) for leak in audit.leaks],
        "findings": [
            {**asdict(finding), "is_alarm": finding.is_alarm, "why": each.why if each else "",
             "blocks": bool(each and each.blocks)}
            for finding in findings for each in [thought.get((finding.kind, finding.column))]
        ],
    }  # fmt: skip


def _show(spec: UseCaseSpec, audit: Audit, findings: list[LeakageSign], suspicions: list[Suspicion]) -> None:
    say(
        f"{audit.cells:,} cells of {audit.examples:,} examples at {audit.moments:,} moments recomputed: "
        f"{len(audit.leaks):,} could not be known"
    )
    if audit.left_out:
        say(f"left out: {len(audit.left_out)} drops whose features have other definitions")
    rows = [
        [table, column, count, f"{leak.example_id} of {leak.batch_date}", str(leak.stored), str(leak.known)]
        for table, column, count, leak in audit.by_place()[:_SHOWN]
    ]
    if rows:
        print_table("what could not be known", _LEAKS, rows, see="--json")
    alarms = [finding for finding in findings if finding.is_alarm]
    told = sorted((f for f in findings if f.kind == "target"), key=lambda f: -f.value)[:3]
    reports = [f for f in findings if f.limit is None]
    chosen = [*alarms, *(each for each in told if each not in alarms), *reports]
    if chosen:
        rows = [[f.kind, f.column, f.value, f.limit, f.n, f.says] for f in chosen]
        print_table("what columns say about the outcome", _FINDINGS, rows, see="--json")
    for each in suspicions:
        mark = ("explained or accepted", "green") if each.why else ("suspected", "red" if each.blocks else "yellow")
        say(Text.assemble(mark, f" {each}"))
    next_steps({f"ml-assets features {spec.name}": "where each feature comes from"})
