"""The candidate: every model candidate fitted and measured, and one of them taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ml_assets.decisions.candidate_choice import CandidateChoice, choose_candidate
from ml_assets.pipeline.champion.record import candidate_table, read_champion_before
from ml_assets.pipeline.evaluation.behaviours import broken_by
from ml_assets.pipeline.features.versions import definitions_of, lost_features
from ml_assets.pipeline.training.bundle import BundleFacts, Taken, make_bundle
from ml_assets.pipeline.training.training_set import TABLE as TRAINING_SET
from ml_assets.spec.drop import DropKey, read_key
from ml_assets.spec.model import TrainingRecipe
from ml_assets.spec.tables.monitoring import PERFORMANCE_VERDICTS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.model_registry import CandidateLog
from ml_assets.stores.model_store import ModelBundle, StoredModel
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.candidate import MeasuredCandidate, Start, fit_candidates
from ml_assets.training.estimators import needs_both_classes
from ml_assets.training.history import choose_history, within_history
from ml_assets.training.kept_ahead import KeptScoresAhead
from ml_assets.training.model_kind import FittedModel
from ml_assets.training.tuning import Trial, tune_candidates

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


@dataclass(frozen=True)
class FittedCandidates:
    """The candidates as fitted_candidates, and the candidate taken."""

    recipe: TrainingRecipe
    candidates: list[MeasuredCandidate]
    choice: CandidateChoice
    trials: list[Trial]

    @property
    def chosen(self) -> MeasuredCandidate:
        """The candidate taken."""
        return next(candidate for candidate in self.candidates if candidate.candidate.name == self.choice.name)

    @property
    def baseline(self) -> MeasuredCandidate:
        """The baseline that is served beside it."""
        return next(candidate for candidate in self.candidates if candidate.candidate.name == self.recipe.baseline.name)


@dataclass(frozen=True, eq=False)
class FittedCandidate:
    """A candidate that is kept, and the training set it was fitted on. Grain of `rows`: a labelled example."""

    fitted_candidates: FittedCandidates
    bundle: ModelBundle
    stored: StoredModel
    rows: pd.DataFrame
    training_set_version: int


def fit_candidate(
    spec: UseCaseSpec, state: UseCaseState, *, candidate: str = "", tune: bool = False, tell: Callable[[str], None]
) -> FittedCandidate:
    """Fit the candidates on the newest training set, take a candidate, and keep its model.

    `candidate` fixes which is taken; `tune` searches for parameters first. Nothing is refitted on the holdout, and
    nothing is chosen by it where the history is long enough for windows ahead.
    """
    record, version = state.lake.metadata(TRAINING_SET), state.lake.version(TRAINING_SET) or 0
    plan = record["plan"]
    with state.connect() as connection:
        rows = state.lake.relation(connection, TRAINING_SET).order("batch_date, example_id").df()
        start = _start(connection, state, spec, plan["as_of"], version)
        changes = _changes(connection, state, spec, read_key(plan["as_of"]))
    facts = BundleFacts(plan["as_of"], plan["holdout_after"], plan["matured_until"], record["content_hash"],
                        tuple(plan["features"]))  # fmt: skip
    asked = AskedFit(facts, candidate, tune, start, changes)
    fitted_candidates, bundle, rows = fit_bundle(spec, state, rows, asked, tell)
    return FittedCandidate(fitted_candidates, bundle, state.models.save(bundle), rows, version)


@dataclass(frozen=True)
class AskedFit:
    """What a candidate is fitted with, besides the rows of a training set.

    Attributes
    ----------
    candidate
        Fixes which candidate is taken; empty takes the best.
    start
        The champion that a warm start goes on from.
    changes
        Moments at which a change began: where the history may begin.
    kept_ahead
        Scores of windows that need not be worked out again.
    """

    facts: BundleFacts
    candidate: str = ""
    tune: bool = False
    start: Start | None = None
    changes: Sequence[datetime] = ()
    kept_ahead: KeptScoresAhead | None = None


def fit_bundle(
    spec: UseCaseSpec, state: UseCaseState, rows: pd.DataFrame, asked: AskedFit, tell: Callable[[str], None]
) -> tuple[FittedCandidates, ModelBundle, pd.DataFrame]:
    """Fit the candidates on a training set and take one; gives all of them, its model, and the rows it was given."""
    facts, as_of = asked.facts, read_key(asked.facts.as_of)
    recipe = _with_history(spec, rows, facts.features, asked.changes, tell)
    rows = within_history(recipe, rows)

    def breaks(model: FittedModel) -> str:
        holdout = rows.loc[rows["split"] == "holdout"][list(facts.features)]
        return broken_by(spec, state, model, holdout, as_of)

    choice = _Choice(recipe, asked.candidate, asked.tune, breaks, asked.kept_ahead)
    fitted = _fit_candidates(spec, choice, rows, facts.features, asked.start, tell)
    taken = Taken(fitted.recipe, fitted.candidates, fitted.choice.name)
    return fitted, make_bundle(taken, rows, facts, start=asked.start, tell=tell), rows


def record_candidate(
    state: UseCaseState, fitted: FittedCandidate, plots: Mapping[str, bytes], dagster_run_id: str
) -> str:
    """Log a kept candidate to MLflow with its plots, and write its table; give the MLflow run. Grain: a candidate."""
    bundle, stored, version = fitted.bundle, fitted.stored, fitted.training_set_version
    tags = {
        "as_of": bundle.as_of,
        "training_set_version": str(version),
        "training_set_hash": bundle.training_set_hash,
        "dagster_run_id": dagster_run_id,
        "artifact_sha256": stored.artifact_sha256,
        "model_version": stored.model_version,
    }
    run_id, registered = state.registry.log_candidate(_log_of(fitted.fitted_candidates, stored, tags, plots))
    provenance = {"_training_set_version": version, "_mlflow_run_id": run_id, "_registry_version": registered}
    table = candidate_table(bundle, fitted.fitted_candidates.candidates, stored, provenance)
    state.lake.replace("candidate_model", table)
    return run_id


def _with_history(
    spec: UseCaseSpec,
    rows: pd.DataFrame,
    features: Sequence[str],
    changes: Sequence[datetime],
    tell: Callable[[str], None],
) -> TrainingRecipe:
    """Give the recipe with the moment after which rows are trained on, as declared or as found."""
    recipe, history = spec.recipe(), spec.model.history
    train = rows.loc[rows["split"] == "train"]
    if history == "all" or train.empty:
        return recipe
    if isinstance(history, timedelta):
        newest: datetime = train["prediction_at"].max().to_pydatetime()
        return recipe.model_copy(update={"history_after": newest - history})
    choice = choose_history(recipe, train, features, changes)
    tell(f"history: {choice.reason}")
    return recipe.model_copy(update={"history_after": choice.after})


def _changes(
    connection: duckdb.DuckDBPyConnection, state: UseCaseState, spec: UseCaseSpec, as_of: DropKey
) -> list[datetime]:
    """Give the moments at which a change began, as known in `as_of`: by its verdict, and of the champion's rows."""
    found: list[datetime] = []
    if state.lake.has(PERFORMANCE_VERDICTS.name):
        bounds = (as_of, as_of)
        relation = state.lake.relation(connection, PERFORMANCE_VERDICTS.name, bounds)
        if "loss_since" in relation.columns:
            since = relation.filter("state = 'failed' AND loss_since IS NOT NULL").project("loss_since").fetchall()
            found += [spec.calendar.batch_at(spec.calendar.previous_drop(day)) for (day,) in since]
    incumbent = read_champion_before(connection, state.lake, as_of)
    if incumbent is not None:
        after = state.models.load(incumbent.model_version, incumbent.artifact_sha256).recipe.history_after
        found += [] if after is None else [after]
    return found


def _start(
    connection: duckdb.DuckDBPyConnection, state: UseCaseState, spec: UseCaseSpec, as_of: str, version: int
) -> Start | None:
    """Read the champion to go on from: the one that serves the candidate's own as_of."""
    if all(candidate.warm_start is None for candidate in spec.model.candidates):
        return None
    incumbent = read_champion_before(connection, state.lake, read_key(as_of))
    if incumbent is None:
        return None
    champion = state.models.load(incumbent.model_version, incumbent.artifact_sha256)
    now = definitions_of(state.lake, version)
    if lost_features(connection, state.lake, incumbent.model_version, champion.features, now):
        return None  # its splits are of values that mean something else by now
    return Start(champion.model, datetime.fromisoformat(champion.trained_until), incumbent.model_version)


@dataclass(frozen=True)
class _Choice:
    """The recipe, what a person fixes about the candidate, and which declared behaviours a model breaks."""

    recipe: TrainingRecipe
    candidate: str
    tune: bool
    breaks: Callable[[FittedModel], str]
    kept_ahead: KeptScoresAhead | None = None


def _fit_candidates(
    spec: UseCaseSpec,
    asked: _Choice,
    rows: pd.DataFrame,
    features: Sequence[str],
    start: Start | None,
    tell: Callable[[str], None],
) -> FittedCandidates:
    recipe = asked.recipe
    if asked.candidate:
        recipe = recipe.only(asked.candidate)
    recipe, left_out = without_unfittable(recipe, rows)
    for reason in left_out:
        tell(reason)
    trials: list[Trial] = []
    if asked.tune and not left_out:
        recipe, trials = tune_candidates(recipe, spec.model.tuning, rows, features, tell)

    task = task_of(recipe.task)

    def tell_candidate(candidate: MeasuredCandidate) -> None:
        said = candidate.ahead or candidate.measures
        where = "ahead" if candidate.ahead else "on the holdout"
        told = ", ".join(f"{each} {said[each.name]:.4f}" for each in (task.loss_metric, task.headline))
        tell(f"{candidate.candidate.name}: {told} {where}")

    candidates = fit_candidates(
        recipe, rows, features, start=start, on_candidate=tell_candidate, kept_ahead=asked.kept_ahead
    )
    if asked.candidate in [candidate.name for candidate in recipe.candidates]:
        choice = CandidateChoice(asked.candidate, (f"{asked.candidate}: fixed by hand",))
    else:
        choice = take_candidate(recipe, candidates, spec.model.min_relative_gain, asked.breaks)
    return FittedCandidates(recipe, candidates, CandidateChoice(choice.name, (*choice.reasons, *left_out)), trials)


def take_candidate(
    recipe: TrainingRecipe,
    candidates: Sequence[MeasuredCandidate],
    margin: float,
    breaks: Callable[[FittedModel], str],
) -> CandidateChoice:
    """Take the best candidate that keeps the declared behaviours; where only shares and counts do, the best of all.

    The gate then refuses that one with the behaviour that it breaks, which tells more than a baseline without a gain.
    """
    loss = task_of(recipe.task).loss_metric.name
    # a history too short for windows ahead leaves only the holdout to choose on, and the table says so
    losses = [(candidate.candidate.name, (candidate.ahead or candidate.measures)[loss]) for candidate in candidates]
    models = {candidate.candidate.name: candidate.model for candidate in candidates}
    counted = [candidate.name for candidate in recipe.candidates if not needs_both_classes(candidate)]

    def broken(name: str) -> str:
        return "" if name in counted else breaks(models[name])

    called = str(task_of(recipe.task).loss_metric)
    kept = choose_candidate(losses, margin, broken, called)
    best = choose_candidate(losses, margin, called=called)
    return best if kept.name in counted else kept


def without_unfittable(recipe: TrainingRecipe, rows: pd.DataFrame) -> tuple[TrainingRecipe, tuple[str, ...]]:
    """Leave out of the recipe what cannot be fitted where all training rows are of one class; say why of each.

    The constant and the baseline remain: shares can be counted of any rows. The gate refuses what comes of it.
    """
    labels = rows.loc[rows["split"] == "train", "label"]
    if labels.nunique() > 1:
        return recipe, ()
    kept = tuple(candidate for candidate in recipe.candidates if not needs_both_classes(candidate))
    why = f"all {len(labels)} training labels are {int(labels.iloc[0])}, and it learns from both classes"
    left_out = tuple(
        f"{candidate.name}: left out, {why}" for candidate in recipe.candidates if needs_both_classes(candidate)
    )
    return recipe.model_copy(update={"candidates": kept}), left_out


def _log_of(
    fitted_candidates: FittedCandidates, stored: StoredModel, tags: Mapping[str, str], plots: Mapping[str, bytes]
) -> CandidateLog:
    chosen = fitted_candidates.chosen
    ahead = {
        f"{r.candidate.name}.ahead.{key}": value
        for r in fitted_candidates.candidates
        for key, value in (r.ahead or {}).items()
    }
    holdout = {
        f"{r.candidate.name}.{key}": value for r in fitted_candidates.candidates for key, value in r.measures.items()
    }
    return CandidateLog(
        name=stored.model_version,
        parameters={
            "candidate": chosen.candidate.name,
            "seed": fitted_candidates.recipe.seed,
            **chosen.candidate.parameters,
        },
        metrics=holdout | ahead | dict(chosen.measures),
        tags=tags,
        plots=plots,
        artifacts=stored.folder,
        trials=fitted_candidates.trials,
    )
