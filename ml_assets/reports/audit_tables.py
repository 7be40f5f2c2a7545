"""What the audits of a training set found, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from ml_assets.features.outcome_leakage import LeakageSign
from ml_assets.pipeline.audit.leakage import Audit
from ml_assets.pipeline.audit.skew import ServedComparison
from ml_assets.pipeline.audit.training_set_audit import TrainingSetAudit
from ml_assets.reports.markdown import Formatted, markdown_table

_SHOWN = 20


def entity_table(findings: Sequence[LeakageSign]) -> str:
    """List each kind of entity by what the split shares of it."""
    rows = [[each.column, f"{each.value:.1%}", each.says] for each in findings if each.kind == "entities"]
    return markdown_table(["entity", "met in training", ""], rows) if rows else "none"


def leak_table(audit: Audit) -> str:
    """List the cells that could not be known, by where they are, the most first."""
    rows = [
        [table, column, count, leak.example_id, _value(leak.stored), _value(leak.known)]
        for table, column, count, leak in audit.by_place()[:_SHOWN]
    ]
    return markdown_table(["first in", "column", "cells", "for example", "stored", "known by then"], rows)


def _value(cell: object) -> object:
    return "null" if cell is None else cell


def skew_table(compared: ServedComparison) -> str:
    """List the features that differ from what was served, and why."""
    rows = [[each.feature, each.why, each.examples, each.drops, each.largest] for each in compared.skews[:_SHOWN]]
    return markdown_table(["feature", "why", "examples", "drops", "largest difference"], rows) if rows else "none"


def audit_facts(audit: TrainingSetAudit) -> dict[str, str]:
    """Give what the audit found beside its alarms: by name, Markdown (`Formatted`) or a sentence."""
    told = max((each for each in audit.columns if each.kind == "target"), key=lambda f: f.value, default=None)
    return {
        "could not be known": Formatted(leak_table(audit.leakage)) if audit.leakage.leaks else "none",
        "strongest single column": f"{told.column}, AUC {told.value:.3f}" if told else "not enough data",
        "suspected": "; ".join(map(str, audit.suspicions)) or "none",
        **{each.kind: each.says for each in audit.columns if each.limit is None and each.kind != "entities"},
        "entities": Formatted(entity_table(audit.columns)),
    }
