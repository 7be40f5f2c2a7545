"""Assets of the model: the candidate, the evidence and verdict, and the record of what serves."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
from dagster_duckdb import DuckDBResource

from ml_assets.decisions.promotion import Verdict, judge
from ml_assets.decisions.rung_choice import choose_rung
from ml_assets.graph.layout import Results, asset_key, described
from ml_assets.graph.pictures import as_markdown, reliability_png, score_histogram_png
from ml_assets.graph.resources import UseCaseState
from ml_assets.graph.training_set_asset import TABLE as TRAINING_SET
from ml_assets.graph.verdicts import (
    append_verdict,
    candidate_table,
    evaluation_table,
    read_candidate,
    read_promotions,
    read_verdict,
)
from ml_assets.serving.routing import champion_of
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.day_blocks import Interval
from ml_assets.stats.window_measures import measure_window
from ml_assets.stores.model_registry import CandidateLog
from ml_assets.stores.model_store import ModelBundle
from ml_assets.training.candidate import MeasuredRung, climb, rungs_to_fit
from ml_assets.training.estimators import feature_importance
from ml_assets.training.evaluation import gain_over, newest_unseen

if TYPE_CHECKING:
    import pandas as pd


class RungConfig(dg.Config):
    """Which rung to take; empty lets the ladder and its margin decide."""

    rung: str = ""


class GateMode(StrEnum):
    """Whether the gate decides, or a person has decided to pass it by."""

    enabled = "enabled"
    disabled = "disabled"


class GateConfig(dg.Config):
    """How the gate stands; disabled promotes, and the record says that it was disabled."""

    gate: GateMode = GateMode.enabled


def build_model_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build candidate_model, evaluation and champion."""
    return [_candidate_model(spec), _evaluation(spec), _champion(spec)]


def _candidate_model(spec: UseCaseSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(spec, "models", "candidate_model"),
        deps=[asset_key(spec, "training", TRAINING_SET)],
        description="The rung that the ladder took: each rung is fitted on the training rows and measured on the "
        "holdout, and a more complex one is taken only when it gains the declared margin. Nothing is refitted.",
        **described(spec, "models", "xgboost", "scikitlearn", "mlflow"),
    )
    def candidate_model(
        context: dg.AssetExecutionContext, config: RungConfig, state: UseCaseState, duckdb: DuckDBResource
    ) -> dg.MaterializeResult:
        lake = state.lake
        record = lake.metadata(TRAINING_SET)
        plan, version = record["plan"], lake.version(TRAINING_SET)
        rungs = rungs_to_fit(spec.model, config.rung or None)
        with duckdb.get_connection() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            rows = lake.relation(connection, TRAINING_SET).order("batch_date, example_id").df()

        def tell(rung: MeasuredRung) -> None:
            context.log.info(
                f"{rung.rung.name}: log loss {rung.measures['log_loss']:.4f}, AUC {rung.measures['auc']:.4f}"
            )

        measured = climb(rungs, rows, plan["features"], spec.model, on_rung=tell)
        losses = [(rung.rung.name, rung.measures["log_loss"]) for rung in measured]
        choice = choose_rung(losses, spec.model.margin)
        name = config.rung or choice.name
        reasons = (f"{name}: fixed by hand",) if config.rung else choice.reasons
        chosen = next(rung for rung in measured if rung.rung.name == name)
        stored = state.models.save(
            ModelBundle(
                plan["as_of"], name, plan["holdout_after"], record["content_hash"], chosen.model, measured[0].model
            )
        )
        plots = _holdout_plots(rows, measured)
        importance = dict(sorted(feature_importance(chosen.model).items(), key=lambda item: -item[1]))
        run_id, registered = state.registry.log_candidate(
            CandidateLog(
                name=stored.model_version,
                parameters={"rung": name, "seed": spec.model.seed, **chosen.rung.parameters},
                metrics={f"{r.rung.name}.{key}": value for r in measured for key, value in r.measures.items()}
                | dict(chosen.measures),
                tags={
                    "as_of": plan["as_of"],
                    "training_set_version": str(version),
                    "training_set_hash": record["content_hash"],
                    "dagster_run_id": context.run.run_id,
                    "artifact_sha256": stored.artifact_sha256,
                    "model_version": stored.model_version,
                },
                plots=plots,
                artifacts=stored.folder,
            )
        )  # fmt: skip
        provenance = {"_training_set_version": version, "_mlflow_run_id": run_id, "_registry_version": registered}
        lake.replace("candidate_model", candidate_table(plan["as_of"], measured, name, stored, provenance))
        return dg.MaterializeResult(
            metadata={
                "as_of": plan["as_of"],
                "rung": name,
                "model version": stored.model_version,
                "artifact sha256": stored.artifact_sha256,
                "training set version": version,
                "rungs": dg.MetadataValue.md(_rung_table(measured, name, reasons)),
                "top features": dg.MetadataValue.md(_importance_table(importance)),
                **{key: float(value) for key, value in chosen.measures.items() if np.isfinite(value)},
                "calibration": as_markdown(plots["calibration.png"], "holdout: observed share against mean score"),
                "scores": as_markdown(plots["scores.png"], "holdout: distribution of scores"),
                "mlflow run": run_id,
            }
        )

    return candidate_model


def _importance_table(importance: Mapping[str, float]) -> str:
    lines = [f"| {name} | {importance[name]:.4g} |" for name in list(importance)[:15]]
    return (
        "\n".join(["| feature | importance |", "|---|---|", *lines]) if lines else "this rung has no features to rank"
    )


def _holdout_plots(rows: "pd.DataFrame", measured: Sequence[MeasuredRung]) -> dict[str, bytes]:
    labels = rows.loc[rows["split"] == "holdout", "label"].to_numpy(dtype=float)
    scores = {rung.rung.name: rung.holdout_scores for rung in measured}
    return {"calibration.png": reliability_png(labels, scores), "scores.png": score_histogram_png(scores)}


def _rung_table(measured: Sequence[MeasuredRung], chosen: str, reasons: Sequence[str]) -> str:
    lines = ["| rung | log loss | AUC | ECE | taken |", "|---|---|---|---|---|"]
    for rung in measured:
        m = rung.measures
        taken = "yes" if rung.rung.name == chosen else ""
        lines.append(f"| {rung.rung.name} | {m['log_loss']:.4f} | {m['auc']:.4f} | {m['ece']:.4f} | {taken} |")
    return "\n".join([*lines, "", *(f"- {reason}" for reason in reasons)])


def _evaluation(spec: UseCaseSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(spec, "models", "evaluation"),
        deps=[asset_key(spec, "models", "candidate_model"), asset_key(spec, "training", TRAINING_SET)],
        description="The evidence and the verdict: candidate, the champion that serves the candidate's as_of, and the "
        "heuristic, on the newest matured window that none of them trained on.",
        **described(spec, "models", "delta"),
    )
    def evaluation(
        context: dg.AssetExecutionContext, config: GateConfig, state: UseCaseState, duckdb: DuckDBResource
    ) -> dg.MaterializeResult:
        lake = state.lake
        with duckdb.get_connection() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            candidate_row = read_candidate(connection, lake)
            incumbent = champion_of(candidate_row.as_of, read_promotions(connection, lake))
            rows = lake.relation(
                connection, TRAINING_SET, version=candidate_row.training_set_version
            ).filter("split = 'holdout'").order("batch_date, example_id").df()  # fmt: skip
        candidate = state.models.load(candidate_row.model_version, candidate_row.artifact_sha256)
        trained_until = datetime.fromisoformat(candidate.trained_until)
        champion = None
        if incumbent is not None:
            champion = state.models.load(incumbent.model_version, incumbent.artifact_sha256)
            trained_until = max(trained_until, datetime.fromisoformat(champion.trained_until))
        window = newest_unseen(rows, trained_until)
        scores = {"candidate": candidate.model.predict(window), "heuristic": candidate.baseline.predict(window)}
        gain: Interval | None = None
        rule = spec.model.gate
        if champion is not None:
            scores["champion"] = champion.model.predict(window)
            rng = np.random.default_rng(spec.model.seed)
            gain = gain_over(window, scores["champion"], scores["candidate"], rule, rng)
        labels, days = window["label"].to_numpy(dtype=float), window["batch_date"].astype(str).tolist()
        measures = {name: measure_window(labels, values, days) for name, values in scores.items()}
        verdict = judge(
            candidate=measures["candidate"],
            champion=measures.get("champion"),
            heuristic=measures["heuristic"],
            gain=gain,
            rule=rule,
            gate=config.gate.value,
        )
        lake.replace("evaluation", evaluation_table(candidate_row, incumbent, verdict, measures, gain, days))
        context.log.info(f"{candidate_row.model_version}: {'promote' if verdict.promoted else 'refuse'}")
        return dg.MaterializeResult(
            metadata={
                "verdict": "promoted" if verdict.promoted else "refused",
                "as_of": str(candidate_row.as_of),
                "candidate": candidate_row.model_version,
                "champion before": incumbent.model_version if incumbent else "none",
                "window": f"{min(days)} to {max(days)}" if days else "empty",
                "examples": int(labels.size),
                "reasons": dg.MetadataValue.md(_reason_table(verdict)),
                "calibration": as_markdown(
                    reliability_png(labels, scores), "window: observed share against mean score"
                ),
                **({"gain": gain.estimate, "gain lower": gain.lower, "gain upper": gain.upper} if gain else {}),
            }
        )

    return evaluation


def _reason_table(verdict: Verdict) -> str:
    lines = ["| rule | kept | measured | threshold |", "|---|---|---|---|"]
    for reason in verdict.reasons:
        measured, threshold = (f"{v:.4g}" if v is not None else "" for v in (reason.measured, reason.threshold))
        lines.append(f"| {reason.message} | {'yes' if reason.passed else '**no**'} | {measured} | {threshold} |")
    return "\n".join(lines)


def _champion(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "models", "champion")

    @dg.asset(
        key=key,
        deps=[asset_key(spec, "models", "evaluation")],
        description="What serves which drops: every verdict ever given, with its reasons. The champion of a drop is "
        "the newest promotion as of a drop before it.",
        check_specs=[dg.AssetCheckSpec("gate", asset=key, description="The candidate passed the gate.")],
        **described(spec, "models", "delta", "mlflow"),
    )
    def champion(context: dg.AssetExecutionContext, state: UseCaseState, duckdb: DuckDBResource) -> Results:
        lake = state.lake
        with duckdb.get_connection() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            verdict = read_verdict(connection, lake)
            provenance = {"_recorded_at": datetime.now(UTC), "_run_id": context.run.run_id}
            is_new = append_verdict(connection, lake, verdict, provenance)
            row_count = lake.relation(connection, "champion").aggregate("count(*)").fetchall()[0][0]
        if verdict["verdict"] == "promoted":
            state.registry.name_champion(verdict["_registry_version"])
        first_served = spec.calendar.next_drop(verdict["as_of"])
        broken = [reason for reason in verdict["reasons"] if reason.startswith("broken ")]
        yield dg.MaterializeResult(
            metadata={
                "verdict": verdict["verdict"],
                "model version": verdict["model_version"],
                "gate": verdict["gate"],
                "serves from": str(first_served) if verdict["verdict"] == "promoted" else "not at all",
                "recorded": "as a new verdict" if is_new else "before: the same verdict stands",
                "dagster/row_count": row_count,
            }
        )
        yield dg.AssetCheckResult(
            check_name="gate",
            passed=not broken,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(broken) or "every rule of the gate was kept",
            metadata={"verdict": verdict["verdict"], "gate": verdict["gate"]},
        )

    return champion
