"""The asset of the candidate: the ladder climbed, and what is kept of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
from dagster_duckdb import DuckDBResource

from ml_assets.decisions.rung_choice import RungChoice, choose_rung
from ml_assets.graph.feature_sets import definitions_of, lost_features
from ml_assets.graph.layout import asset_key, described
from ml_assets.graph.orphans import settle
from ml_assets.graph.pictures import as_markdown, reliability_png, score_histogram_png
from ml_assets.graph.resources import StateResource
from ml_assets.graph.training_set_asset import TABLE as TRAINING_SET
from ml_assets.graph.verdicts import candidate_table, read_champion_before
from ml_assets.spec.model import TrainingRecipe
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.model_registry import CandidateLog
from ml_assets.stores.model_store import ModelBundle, StoredModel
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.candidate import MeasuredRung, Start, climb, going_on
from ml_assets.training.date_like import date_like_features
from ml_assets.training.envelope import Envelope, learn_envelope
from ml_assets.training.estimators import feature_importance
from ml_assets.training.objectives import fit_objectives
from ml_assets.training.tuning import Trial, tune_ladder

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


class RungConfig(dg.Config):
    """Which rung to take; empty lets the ladder and its margin decide. `tune` searches for parameters first."""

    rung: str = ""
    tune: bool = False


@dataclass(frozen=True)
class _Climbed:
    """The ladder as climbed, and the rung taken."""

    recipe: TrainingRecipe
    rungs: list[MeasuredRung]
    choice: RungChoice
    trials: list[Trial]

    @property
    def chosen(self) -> MeasuredRung:
        return next(rung for rung in self.rungs if rung.rung.name == self.choice.name)

    @property
    def heuristic(self) -> MeasuredRung:
        return next(rung for rung in self.rungs if rung.rung.name == self.recipe.heuristic.name)


def build_candidate_asset(spec: UseCaseSpec) -> dg.AssetsDefinition:
    """Build candidate_model."""

    @dg.asset(
        key=asset_key(spec, "models", "candidate_model"),
        deps=[asset_key(spec, "training", TRAINING_SET)],
        description="The rung that the ladder took: each rung is fitted on the training rows and measured on windows "
        "ahead of them, and a more complex one is taken only when it gains the declared margin. Nothing is refitted, "
        "and nothing is chosen on the holdout.",
        **described(spec, "models", "xgboost", "scikitlearn", "mlflow"),
    )
    def candidate_model(
        context: dg.AssetExecutionContext, config: RungConfig, store: StateResource, duckdb: DuckDBResource
    ) -> dg.MaterializeResult:
        state = store.of(spec.name)
        lake = state.lake
        record = lake.metadata(TRAINING_SET)
        plan, version = record["plan"], lake.version(TRAINING_SET) or 0
        for line in settle(spec, state, duckdb):
            context.log.warning(line)
        with duckdb.get_connection() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            rows = lake.relation(connection, TRAINING_SET).order("batch_date, example_id").df()
            start = _start(connection, state, spec, plan["as_of"], version)
        climbed = _climb(spec, config, rows, plan["features"], start, context.log.info)
        chosen = climbed.chosen
        bundle = ModelBundle(
            as_of=plan["as_of"],
            rung=chosen.rung.name,
            trained_until=plan["holdout_after"],
            training_set_hash=record["content_hash"],
            recipe=climbed.recipe.only(chosen.rung.name),
            features=tuple(plan["features"]),
            model=chosen.model,
            baseline=climbed.heuristic.model,
            envelope=envelope_of(climbed.recipe, rows, plan["features"]),
            objectives=fit_objectives(climbed.recipe, rows, plan["features"]),
            started_from=_started_from(climbed, rows, plan["features"], start),
        )
        stored = state.models.save(bundle)
        plots = _holdout_plots(rows, climbed.rungs)
        tags = {
            "as_of": plan["as_of"],
            "training_set_version": str(version),
            "training_set_hash": record["content_hash"],
            "dagster_run_id": context.run.run_id,
            "artifact_sha256": stored.artifact_sha256,
            "model_version": stored.model_version,
        }
        run_id, registered = state.registry.log_candidate(_log_of(climbed, stored, tags, plots))
        provenance = {"_training_set_version": version, "_mlflow_run_id": run_id, "_registry_version": registered}
        lake.replace(
            "candidate_model", candidate_table(plan["as_of"], climbed.rungs, chosen.rung.name, stored, provenance)
        )
        importance = dict(sorted(feature_importance(chosen.model).items(), key=lambda item: -item[1]))
        return dg.MaterializeResult(
            metadata={
                "as_of": plan["as_of"],
                "rung": chosen.rung.name,
                "model version": stored.model_version,
                "artifact sha256": stored.artifact_sha256,
                "artifact bytes": sum(path.stat().st_size for path in stored.folder.rglob("*") if path.is_file()),
                "training set version": version,
                "rungs": dg.MetadataValue.md(_rung_table(climbed)),
                "top features": dg.MetadataValue.md(_importance_table(importance)),
                "features that act as a date": dg.MetadataValue.md(_date_like_list(rows, plan["features"])),
                **{key: float(value) for key, value in chosen.measures.items() if np.isfinite(value)},
                "calibration": as_markdown(plots["calibration.png"], "holdout: observed share against mean score"),
                "scores": as_markdown(plots["scores.png"], "holdout: distribution of scores"),
                "mlflow run": run_id,
            }
        )

    return candidate_model


def _started_from(climbed: _Climbed, rows: "pd.DataFrame", features: Sequence[str], start: Start | None) -> str | None:
    """Name the champion that the rung taken, or one that it blends, went on from; None where all were trained anew."""
    rung, train = climbed.chosen.rung, rows.loc[rows["split"] == "train"]
    taken = [climbed.recipe.rung(name) for name in rung.members or (rung.name,)]
    went_on = any(going_on(climbed.recipe, each, train, features, start) is not None for each in taken)
    return start.model_version if start is not None and went_on else None


def envelope_of(recipe: TrainingRecipe, rows: "pd.DataFrame", features: Sequence[str]) -> Envelope | None:
    """Learn which inputs are scored from the training rows, where the recipe asks for it."""
    if recipe.abstain is None:
        return None
    watched = [name for name in recipe.abstain.features if name in features]
    return learn_envelope(rows.loc[rows["split"] == "train", watched], recipe.abstain.beyond) if watched else None


def _start(
    connection: "duckdb.DuckDBPyConnection", state: UseCaseState, spec: UseCaseSpec, as_of: str, version: int
) -> Start | None:
    """Read the champion to go on from: the one that serves the candidate's own as_of."""
    if all(rung.warm_start is None for rung in spec.model.ladder):
        return None
    incumbent = read_champion_before(connection, state.lake, date.fromisoformat(as_of))
    if incumbent is None:
        return None
    champion = state.models.load(incumbent.model_version, incumbent.artifact_sha256)
    now = definitions_of(state.lake, version)
    if lost_features(connection, state.lake, incumbent.model_version, champion.features, now):
        return None  # its splits are of values that mean something else by now
    return Start(champion.model, datetime.fromisoformat(champion.trained_until), incumbent.model_version)


def _climb(
    spec: UseCaseSpec,
    config: RungConfig,
    rows: "pd.DataFrame",
    features: Sequence[str],
    start: Start | None,
    tell: Callable[[str], None],
) -> _Climbed:
    recipe = spec.model.recipe(spec.labels.matures_after)
    if config.rung:
        recipe = recipe.only(config.rung)
    trials: list[Trial] = []
    if config.tune:
        recipe, trials = tune_ladder(recipe, spec.model.tuning, rows, features, tell)

    def tell_rung(rung: MeasuredRung) -> None:
        said = rung.ahead or rung.measures
        where = "ahead" if rung.ahead else "on the holdout"
        tell(f"{rung.rung.name}: log loss {said['log_loss']:.4f}, AUC {said['auc']:.4f} {where}")

    rungs = climb(recipe, rows, features, start=start, on_rung=tell_rung)
    # a history too short for windows ahead leaves only the holdout to choose on, and the table says so
    losses = [(rung.rung.name, (rung.ahead or rung.measures)["log_loss"]) for rung in rungs]
    choice = choose_rung(losses, spec.model.margin)
    if config.rung:
        choice = RungChoice(config.rung, (f"{config.rung}: fixed by hand",))
    return _Climbed(recipe, rungs, choice, trials)


def _log_of(
    climbed: _Climbed, stored: StoredModel, tags: Mapping[str, str], plots: Mapping[str, bytes]
) -> CandidateLog:
    chosen = climbed.chosen
    ahead = {f"{r.rung.name}.ahead.{key}": value for r in climbed.rungs for key, value in (r.ahead or {}).items()}
    holdout = {f"{r.rung.name}.{key}": value for r in climbed.rungs for key, value in r.measures.items()}
    return CandidateLog(
        name=stored.model_version,
        parameters={"rung": chosen.rung.name, "seed": climbed.recipe.seed, **chosen.rung.parameters},
        metrics=holdout | ahead | dict(chosen.measures),
        tags=tags,
        plots=plots,
        artifacts=stored.folder,
        trials=climbed.trials,
    )


def _importance_table(importance: Mapping[str, float]) -> str:
    lines = [f"| {name} | {importance[name]:.4g} |" for name in list(importance)[:15]]
    return (
        "\n".join(["| feature | importance |", "|---|---|", *lines]) if lines else "this rung has no features to rank"
    )


def _date_like_list(rows: "pd.DataFrame", features: Sequence[str]) -> str:
    found = date_like_features(rows, features)
    return "\n".join(f"- `{each.name}`: {each.reason}" for each in found) or "none"


def _holdout_plots(rows: "pd.DataFrame", measured: Sequence[MeasuredRung]) -> dict[str, bytes]:
    labels = rows.loc[rows["split"] == "holdout", "label"].to_numpy(dtype=float)
    scores = {rung.rung.name: rung.holdout_scores for rung in measured}
    return {"calibration.png": reliability_png(labels, scores), "scores.png": score_histogram_png(scores)}


def _rung_table(climbed: _Climbed) -> str:
    lines = [
        "| rung | log loss ahead | AUC | ECE | holdout log loss | AUC | ECE | taken |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rung in climbed.rungs:
        m, a = rung.measures, rung.ahead or {}
        ahead = [f"{a[name]:.4f}" if a else "" for name in ("log_loss", "auc", "ece")]
        holdout = [f"{m[name]:.4f}" for name in ("log_loss", "auc", "ece")]
        taken = "yes" if rung is climbed.chosen else ""
        lines.append(f"| {' | '.join([rung.rung.name, *ahead, *holdout, taken])} |")
    basis = (
        "chosen on windows ahead of the training rows"
        if climbed.chosen.ahead
        else ("chosen on the holdout: the history is too short for windows ahead")
    )
    return "\n".join([*lines, "", basis, *(f"- {reason}" for reason in climbed.choice.reasons)])
