"""The verdict on a candidate: all evidence brought before the gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.decisions.evidence import ClassCounts, Evidence, GroupGap, SliceGain
from ml_assets.decisions.promotion import Verdict, judge
from ml_assets.pipeline.audit.training_set_audit import AUDIT
from ml_assets.pipeline.champion.record import evaluation_table
from ml_assets.pipeline.evaluation.comparison import Comparison, compare
from ml_assets.pipeline.evaluation.evidence import BEHAVIOURS, MEASURES, SLICES, StaleEvidenceError, require_evidence_of
from ml_assets.pipeline.training.training_set import TABLE as TRAINING_SET
from ml_assets.spec.gate import GateRule
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.added_metrics import added_metric
from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.window_measures import WindowMeasures, measure_window
from ml_assets.stores.lake import Lake
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.evaluation import gain_over, gain_over_simple

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class JudgedCandidate:
    """A candidate, the verdict on it, and its gain in log loss over the champion; None before the first champion."""

    comparison: Comparison
    verdict: Verdict
    gain: Interval | None


def judge_candidate(spec: UseCaseSpec, state: UseCaseState, gate_mode: str | None = None) -> JudgedCandidate:
    """Judge the newest candidate by its stored evidence, and store the verdict. Grain: one row.

    `gate_mode` replaces the declared mode: enabled, dry_run or disabled.

    Raises
    ------
    StaleEvidenceError
        Where a table of evidence was made of another candidate or beside another champion.
    """
    rule = spec.model.gate if gate_mode is None else spec.model.gate.model_copy(update={"mode": gate_mode})
    found = compare(state)
    with state.connect() as connection:
        evidence = read_evidence(connection, state.lake, found)
    judged, measures = judge_comparison(spec, found, evidence, rule)
    table = evaluation_table(found.row, found.incumbent, judged.verdict, measures, judged.gain, found.days)
    state.lake.replace("evaluation", table)
    return judged


def judge_comparison(
    spec: UseCaseSpec, found: Comparison, evidence: Evidence, rule: GateRule
) -> tuple[JudgedCandidate, dict[str, WindowMeasures]]:
    """Judge a candidate by the evidence about it; gives the verdict, and the measures of each role."""
    rng = np.random.default_rng(spec.model.seed)
    over_simple = gain_over_simple(found.task, found.labels, found.days, found.scores, found.train_share, rule, rng)
    added = {name: added_metric(name).is_better_high for name in spec.model.metrics}
    evidence = replace(evidence, over_simple=over_simple, better_high=added)
    gain: Interval | None = None
    if found.champion is not None:
        rng = np.random.default_rng(spec.model.seed)
        gain = gain_over(found.task, found.window, found.scores["champion"], found.scores["candidate"], rule, rng)
    measures = {
        name: measure_window(found.task, found.labels, values, found.days) for name, values in found.scores.items()
    }
    verdict = judge(
        candidate=measures["candidate"],
        champion=measures.get("champion"),
        baseline=measures["baseline"],
        gain=gain,
        rule=rule,
        evidence=evidence,
    )
    return JudgedCandidate(found, verdict, gain), measures


def read_evidence(connection: duckdb.DuckDBPyConnection, lake: Lake, found: Comparison) -> Evidence:
    """Gather the evidence about the candidate of `found` from its tables.

    Raises StaleEvidenceError where a table was made of another candidate: it says nothing about this one.
    """
    slices, tried, measured = (_rows(connection, lake, name, found) for name in (SLICES, BEHAVIOURS, MEASURES))
    evidence = evidence_of(found, slices, tried, _leaks(connection, lake, found.row.training_set_version))
    return replace(evidence, measures=paired_measures(measured))


def evidence_of(
    found: Comparison, slices: Sequence[dict[str, Any]], tried: Sequence[dict[str, Any]], leaks: tuple[str, ...]
) -> Evidence:
    """Give the evidence about a candidate from rows of slices and behaviours, and what the audit found."""
    behaviours = [row for row in tried if row["kind"] != "groups"]
    scores, share = found.scores["candidate"], np.full(found.labels.size, found.train_share)
    return Evidence(
        constant_loss=found.task.loss(found.labels, share),
        score_spread=float(np.std(scores)) / found.task.spread_unit(found.labels) if scores.size else float("nan"),
        trained_until=datetime.fromisoformat(found.candidate.trained_until),
        champion_trained_until=found.champion_until,
        leaks=leaks,
        slices=tuple(
            SliceGain(row["column"], row["value"], _interval(row))
            for row in slices
            if row["kind"] == "declared" and row["against"] == "champion"
        ),
        broken_behaviours=tuple(
            row["name"] if row["state"] == "broken" else f"{row['name']} ({row['state']})"
            for row in behaviours
            if row["severity"] == "error" and row["state"] != "kept"
        ),
        n_behaviours=len(behaviours),
        champion_lacks=found.lacking,
        trained_on=None
        if found.n_train is None or not found.task.has_classes
        else ClassCounts(found.n_train, round(found.train_share * found.n_train)),
        groups=tuple(
            GroupGap(row["name"], row["measured"], row["threshold"])
            for row in tried
            if row["kind"] == "groups" and row["measured"] is not None
        ),
    )


def paired_measures(rows: Sequence[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """By measure, the candidate's and the champion's; NaN where one was not taken."""
    of_role: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["estimate"] is not None:
            of_role.setdefault(row["measure"], {})[row["role"]] = row["estimate"]
    nan = float("nan")
    return {name: (of.get("candidate", nan), of.get("champion", nan)) for name, of in of_role.items()}


def _interval(row: dict[str, Any]) -> Interval:
    lower, upper = (float("nan") if row[name] is None else row[name] for name in ("gain_lower", "gain_upper"))
    return Interval(
        row["gain"] if row["gain"] is not None else 0.0, lower, upper, float("nan"), row["n_days"], row["n"]
    )


def _rows(connection: duckdb.DuckDBPyConnection, lake: Lake, table: str, found: Comparison) -> Sequence[dict[str, Any]]:
    require_evidence_of(lake, table, found)
    return lake.relation(connection, table).to_arrow_table().to_pylist()


def _leaks(connection: duckdb.DuckDBPyConnection, lake: Lake, version: int) -> tuple[str, ...]:
    audited = lake.metadata(AUDIT).get("training_set_version") if lake.has(AUDIT) else None
    if audited != version:
        raise StaleEvidenceError(
            f"the audit is of {'no training set' if audited is None else f'version {audited}'}, and the candidate was "
            f"trained on version {version}; materialize {TRAINING_SET} and what follows it, as the retraining job does"
        )
    rows = lake.relation(connection, AUDIT).filter(f"training_set_version = {version}").project("finding").fetchall()
    return tuple(finding for (finding,) in rows)
