"""A search for a candidate's parameters under a budget, on windows of time ahead of what it was trained on."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.spec.model import ModelCandidate, TrainingRecipe, Tuning
from ml_assets.stats.tasks import task_of
from ml_assets.training.candidate import score_ahead
from ml_assets.training.model_kinds import model_kind
from ml_assets.training.time_folds import Fold, time_folds

if TYPE_CHECKING:
    import optuna
    import pandas as pd

WARM_UP_TRIALS = 5  # a median of fewer trials stops what is merely unlucky


@dataclass(frozen=True)
class Trial:
    """One set of parameters tried.

    Attributes
    ----------
    loss
        Mean loss over the windows; NaN where the trial was stopped or failed.
    windows
        How many windows were scored before it ended.
    outcome
        complete, pruned or failed.
    is_best
        Whether the candidate took these parameters.
    """

    candidate: str
    parameters: dict[str, float]
    loss: float
    windows: int
    outcome: str
    is_best: bool = False


@dataclass(frozen=True)
class SearchData:
    """What is searched on: training rows, the features among their columns, and the windows ahead."""

    train: pd.DataFrame
    features: list[str]
    folds: Sequence[Fold]


def tune_candidates(
    recipe: TrainingRecipe, budget: Tuning, rows: pd.DataFrame, features: Sequence[str], tell: Callable[[str], None]
) -> tuple[TrainingRecipe, list[Trial]]:
    """Search for the parameters of each candidate that declares where to look; give the recipe with what was found.

    The budget is each candidate's. Raises ValueError when no candidate has a `search`, or the rows hold no window.
    """
    searched = [candidate for candidate in recipe.candidates if candidate.search]
    if not searched:
        raise ValueError("there is nothing to tune: no candidate declares `search`")
    train = rows.loc[rows["split"] == "train"]
    folds = time_folds(train, recipe.folds, recipe.matures_after)
    if not folds:
        length = recipe.folds.length.days
        raise ValueError(f"the training rows are too few for a window of {length} days with as much before it")
    trials: list[Trial] = []
    for candidate in searched:
        tuned, tried = tune_candidate(recipe, candidate, budget, SearchData(train, list(features), folds), tell)
        recipe, trials = recipe.with_candidate(tuned), [*trials, *tried]
    return recipe, trials


def tune_candidate(
    recipe: TrainingRecipe,
    candidate: ModelCandidate,
    budget: Tuning,
    ground: SearchData,
    tell: Callable[[str], None],
) -> tuple[ModelCandidate, list[Trial]]:
    """Search with a tree-structured Parzen estimator (Bergstra et al., 2011), beginning with what is declared.

    A trial is stopped after a window in which its mean loss so far is above the median of those before it. The same
    rows, seed and number of trials give the same parameters; a budget of time that ends first does not, so the
    parameters found are what is recorded.

    Returns
    -------
    candidate, trials
        The candidate with the best parameters, which are the declared ones when nothing beat them.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=recipe.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=WARM_UP_TRIALS),
    )
    study.enqueue_trial(
        {name: candidate.parameters.get(name, model_kind(candidate.kind).parameters[name]) for name in candidate.search}
    )

    task = task_of(recipe.task)

    def loss_of(trial: optuna.Trial) -> float:
        parameters = candidate.parameters | {name: _suggest(trial, candidate, name) for name in candidate.search}
        tried = candidate.model_copy(update={"parameters": parameters})
        losses: list[float] = []
        for number, fold in enumerate(ground.folds):
            scores, labels = score_ahead(recipe, tried, ground.train, ground.features, fold)
            losses.append(task.loss(labels, scores))
            trial.report(float(np.mean(losses)), number)
            if trial.should_prune():
                raise optuna.TrialPruned
        tell(f"{candidate.name}, trial {trial.number}: {task.loss_metric} {np.mean(losses):.5f} with {parameters}")
        return float(np.mean(losses))

    with warnings.catch_warnings():  # what is declared is tried also where it lies outside the range
        warnings.filterwarnings("ignore", "Fixed parameter .* is out of range")
        study.optimize(loss_of, n_trials=budget.trials, timeout=budget.minutes * 60)
    trials = list(_as_trials(candidate, study))
    complete = [trial for trial in trials if math.isfinite(trial.loss)]
    if not complete:
        tell(f"{candidate.name}: the budget ended before a trial did; the declared parameters stand")
        return candidate, trials
    best = min(complete, key=lambda trial: trial.loss)
    tell(f"{candidate.name}: best of {len(trials)} trials, {task.loss_metric} {best.loss:.5f} with {best.parameters}")
    marked = [replace(trial, is_best=trial is best) for trial in trials]
    return candidate.model_copy(update={"parameters": candidate.parameters | best.parameters}), marked


def _suggest(trial: optuna.Trial, candidate: ModelCandidate, name: str) -> float:
    space = candidate.search[name]
    if isinstance(model_kind(candidate.kind).parameters[name], int):
        return trial.suggest_int(name, round(space.low), round(space.high), log=space.log)
    return trial.suggest_float(name, space.low, space.high, log=space.log)


def _as_trials(candidate: ModelCandidate, study: optuna.Study) -> Iterator[Trial]:
    for trial in study.trials:
        loss = float("nan") if trial.value is None or trial.state.name != "COMPLETE" else trial.value
        outcome = {"COMPLETE": "complete", "PRUNED": "pruned"}.get(trial.state.name, "failed")
        yield Trial(candidate.name, dict(trial.params), loss, len(trial.intermediate_values), outcome)
