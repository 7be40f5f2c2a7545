"""The asset of the verdict: all evidence about the candidate brought before the gate."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
from dagster_duckdb import DuckDBResource

from ml_assets.decisions.evidence import Evidence, GroupGap, SliceGain
from ml_assets.decisions.promotion import Verdict, judge
from ml_assets.graph.comparison import Comparison, compare
from ml_assets.graph.evidence_assets import BEHAVIOURS, MEASURES, SLICES, StaleEvidenceError, require_evidence_of
from ml_assets.graph.layout import asset_key, described
from ml_assets.graph.resources import StateResource
from ml_assets.graph.training_set_asset import AUDIT
from ml_assets.graph.training_set_asset import TABLE as TRAINING_SET
from ml_assets.graph.verdicts import evaluation_table
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.classification import log_loss
from ml_assets.stats.day_blocks import Interval
from ml_assets.stats.window_measures import measure_window
from ml_assets.stores.lake import Lake
from ml_assets.training.evaluation import gain_over

if TYPE_CHECKING:
    import duckdb


class GateMode(StrEnum):
    """How the gate stands: as declared, or as a person asks for this once."""

    as_declared = "as_declared"
    enabled = "enabled"
    dry_run = "dry_run"
    disabled = "disabled"


class GateConfig(dg.Config):
    """How the gate stands; a disabled one promotes, a dry run changes nothing, and the record says which it was."""

    gate: GateMode = GateMode.as_declared


def build_evaluation_asset(spec: UseCaseSpec) -> dg.AssetsDefinition:
    """Build evaluation."""

    @dg.asset(
        key=asset_key(spec, "models", "evaluation"),
        deps=[asset_key(spec, "models", name) for name in ("candidate_model", MEASURES, SLICES, BEHAVIOURS)]
        + [asset_key(spec, "training", TRAINING_SET)],
        description="The verdict: candidate, the champion that serves the candidate's as_of, and the heuristic, on the "
        "newest matured window that none of them trained on; with slices, behaviours, groups and leaks.",
        **described(spec, "models", "delta"),
    )
    def evaluation(
        context: dg.AssetExecutionContext, config: GateConfig, store: StateResource, duckdb: DuckDBResource
    ) -> dg.MaterializeResult:
        state = store.of(spec.name)
        lake, rule = state.lake, spec.model.gate
        if config.gate is not GateMode.as_declared:
            rule = rule.model_copy(update={"mode": config.gate.value})
        found = compare(state, duckdb)
        with duckdb.get_connection() as connection:
            evidence = read_evidence(connection, lake, found)
        gain: Interval | None = None
        if found.champion is not None:
            rng = np.random.default_rng(spec.model.seed)
            gain = gain_over(found.window, found.scores["champion"], found.scores["candidate"], rule, rng)
        measures = {name: measure_window(found.labels, values, found.days) for name, values in found.scores.items()}
        verdict = judge(
            candidate=measures["candidate"],
            champion=measures.get("champion"),
            heuristic=measures["heuristic"],
            gain=gain,
            rule=rule,
            evidence=evidence,
        )
        lake.replace("evaluation", evaluation_table(found.row, found.incumbent, verdict, measures, gain, found.days))
        context.log.info(f"{found.row.model_version}: {verdict.outcome}")
        days = found.days
        return dg.MaterializeResult(
            metadata={
                "verdict": verdict.outcome,
                "as_of": str(found.row.as_of),
                "candidate": found.row.model_version,
                "champion before": found.incumbent.model_version if found.incumbent else "none",
                "window": f"{min(days)} to {max(days)}" if days else "empty",
                "examples": int(found.labels.size),
                "reasons": dg.MetadataValue.md(_reason_table(verdict)),
                **({"gain": gain.estimate, "gain lower": gain.lower, "gain upper": gain.upper} if gain else {}),
            }
        )

    return evaluation


def read_evidence(connection: "duckdb.DuckDBPyConnection", lake: Lake, found: Comparison) -> Evidence:
    """Gather the evidence about the candidate of `found` from its tables.

    Raises StaleEvidenceError where a table was made of another candidate: it says nothing about this one.
    """
    slices, tried, measured = (_rows(connection, lake, name, found) for name in (SLICES, BEHAVIOURS, MEASURES))
    evidence = evidence_of(found, slices, tried, _leaks(connection, lake, found.row.training_set_version))
    return replace(evidence, measures=_paired(measured))


def evidence_of(
    found: Comparison, slices: Sequence[dict[str, Any]], tried: Sequence[dict[str, Any]], leaks: tuple[str, ...]
) -> Evidence:
    """Give the evidence about a candidate from rows of slices and behaviours, and what the audit found."""
    behaviours = [row for row in tried if row["kind"] != "groups"]
    scores, share = found.scores["candidate"], np.full(found.labels.size, found.train_share)
    return Evidence(
        constant_loss=log_loss(found.labels, share),
        score_spread=float(np.std(scores)) if scores.size else float("nan"),
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
        groups=tuple(
            GroupGap(row["name"], row["measured"], row["threshold"])
            for row in tried
            if row["kind"] == "groups" and row["measured"] is not None
        ),
    )


def _paired(rows: Sequence[dict[str, Any]]) -> dict[str, tuple[float, float]]:
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


def _rows(
    connection: "duckdb.DuckDBPyConnection", lake: Lake, table: str, found: Comparison
) -> Sequence[dict[str, Any]]:
    require_evidence_of(lake, table, found)
    return lake.relation(connection, table).to_arrow_table().to_pylist()


def _leaks(connection: "duckdb.DuckDBPyConnection", lake: Lake, version: int) -> tuple[str, ...]:
    audited = lake.metadata(AUDIT).get("training_set_version") if lake.has(AUDIT) else None
    if audited != version:
        raise StaleEvidenceError(
            f"the audit is of {'no training set' if audited is None else f'version {audited}'}, and the candidate was "
            f"trained on version {version}; materialize {TRAINING_SET} and what follows it, as the retraining job does"
        )
    rows = lake.relation(connection, AUDIT).filter(f"training_set_version = {version}").project("finding").fetchall()
    return tuple(finding for (finding,) in rows)


def _reason_table(verdict: Verdict) -> str:
    lines = ["| rule | kept | measured | threshold |", "|---|---|---|---|"]
    for reason in verdict.reasons:
        measured, threshold = (f"{v:.4g}" if v is not None else "" for v in (reason.measured, reason.threshold))
        lines.append(f"| {reason.message} | {'yes' if reason.passed else '**no**'} | {measured} | {threshold} |")
    return "\n".join(lines)
