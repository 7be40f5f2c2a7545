"""What a model costs and what of it could be spared: views left out, features pruned, fewer and shallower trees.

Each variant is scored ahead on the windows inside the training rows and compared with the full model row by row, so
that the difference has an interval; fitted once on all training rows, it is also measured on the holdout. The holdout
chooses nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.spec.model import ModelCandidate, TrainingRecipe
from ml_assets.stats.block_bootstrap import Interval, paired_day_block_bootstrap
from ml_assets.stats.task import Task
from ml_assets.stats.tasks import task_of
from ml_assets.training.boosted_trees import BOOSTER_FILE, DEFAULTS
from ml_assets.training.candidate import OutOfFoldPredictions, finish, predict_out_of_fold
from ml_assets.training.importance import ranked, shap_importance
from ml_assets.training.model_kind import FittedModel
from ml_assets.training.time_folds import Fold, time_folds

if TYPE_CHECKING:
    import pandas as pd

LEVEL, RESAMPLES = 0.9, 400
RANKED_ON = 4000  # rows are enough to rank features on
SCORED = 2000  # rows to time scoring on: about two days of a small use case
HIGHEST_ETA = 0.3  # beyond, a tree undoes the one before
SHRUNK = ((1 / 3, 6), (1 / 3, 4), (1 / 6, 4), (1 / 6, 3), (1 / 10, 3))  # share of the rounds, depth at most


@dataclass(frozen=True)
class AblationData:
    """What is measured on: the training set, the candidate, and a clock in seconds.

    Attributes
    ----------
    rows
        A training set: `split`, `label`, `batch_date`, `prediction_at` and the features.
    """

    recipe: TrainingRecipe
    candidate: str
    rows: pd.DataFrame
    features: tuple[str, ...]
    clock: Callable[[], float]

    @property
    def task(self) -> Task:
        """What is predicted, and how that is measured."""
        return task_of(self.recipe.task)

    @property
    def train(self) -> pd.DataFrame:
        """The rows to fit on."""
        return self.rows.loc[self.rows["split"] == "train"]

    @property
    def holdout(self) -> pd.DataFrame:
        """The rows held out."""
        return self.rows.loc[self.rows["split"] == "holdout"]

    def folds(self) -> list[Fold]:
        """Give the windows inside the training rows; raises ValueError where there is none."""
        found = time_folds(self.train, self.recipe.folds, self.recipe.matures_after)
        if not found:
            raise ValueError(
                f"the training rows are too few for a window of {self.recipe.folds.length.days} days with as much "
                "before it: there is nothing to measure ahead on"
            )
        return found


@dataclass(frozen=True)
class Cost:
    """A fitted model on all training rows: what it takes, and what it measures on the holdout.

    Attributes
    ----------
    n_bytes, tree_bytes
        Of all its files as the store keeps them, and of its trees alone.
    us_per_row
        Scoring 2,000 rows at once, the best of three.
    """

    n_bytes: int
    tree_bytes: int
    fit_s: float
    us_per_row: float
    holdout_loss: float


@dataclass(frozen=True)
class MeasuredVariant:
    """One variant beside the full model.

    Attributes
    ----------
    measured
        The loss and the metrics of the task ahead, over all windows, by name; `loss` is the first of them.
    gain
        Relative log loss saved beside the full model, with its interval from resampled days; above zero it is better.
        None of the full model itself.
    cost
        None where the variant was only scored ahead.
    """

    name: str
    n_features: int
    loss: float
    measured: Mapping[str, float]
    gain: Interval | None
    cost: Cost | None


@dataclass(frozen=True)
class Full:
    """The full model: what it said ahead, the fit on all training rows, and its measures."""

    out_of_fold: OutOfFoldPredictions
    model: FittedModel
    measured: MeasuredVariant


def measure_full(ground: AblationData) -> Full:
    """Measure the candidate with all it has."""
    folds = ground.folds()
    out_of_fold = predict_out_of_fold(
        ground.recipe, ground.candidate, ground.train, folds, [ground.features] * len(folds)
    )
    model, cost = _fit(ground, ground.recipe, ground.candidate, ground.features, out_of_fold)
    return Full(out_of_fold, model, _measured(ground.task, "all", len(ground.features), out_of_fold, None, cost))


def ablate(ground: AblationData, full: Full, groups: Mapping[str, Sequence[str]]) -> Iterator[MeasuredVariant]:
    """Refit without each group of features, and score ahead; one without which a candidate has nothing is left out."""
    folds = ground.folds()
    for name, columns in groups.items():
        kept = tuple(feature for feature in ground.features if feature not in columns)
        if not kept or any(
            candidate.features and not set(candidate.features) & set(kept) for candidate in ground.recipe.candidates
        ):
            continue
        out_of_fold = predict_out_of_fold(ground.recipe, ground.candidate, ground.train, folds, [kept] * len(folds))
        yield _measured(ground.task, name, len(kept), out_of_fold, _gain(ground, full.out_of_fold, out_of_fold), None)


def prune(ground: AblationData, full: Full, sizes: Sequence[int]) -> Iterator[MeasuredVariant]:
    """Keep the first n features by mean absolute contribution, for each n below all of them.

    Before each window they are ranked anew, on what had matured by then, so that the loss ahead is that of pruning and
    not of having looked; the final fit ranks on all training rows.
    """
    folds, train = ground.folds(), ground.train
    orders = [_order(ground, train.loc[fold.train], full.out_of_fold) for fold in folds]
    final = _order(ground, train, full.out_of_fold, full.model)
    for size in sorted({size for size in sizes if 0 < size < len(ground.features)}, reverse=True):
        out_of_fold = predict_out_of_fold(
            ground.recipe, ground.candidate, train, folds, [order[:size] for order in orders]
        )
        _, cost = _fit(ground, ground.recipe, ground.candidate, final[:size], out_of_fold)
        yield _measured(
            ground.task, f"first {size}", size, out_of_fold, _gain(ground, full.out_of_fold, out_of_fold), cost
        )


def reseed(ground: AblationData, full: Full, seeds: Sequence[int]) -> Iterator[tuple[MeasuredVariant, FittedModel]]:
    """Fit the same with other seeds: what differs by as much as these do is noise."""
    for seed in seeds:
        recipe = ground.recipe.model_copy(update={"seed": seed})
        folds = ground.folds()
        out_of_fold = predict_out_of_fold(recipe, ground.candidate, ground.train, folds, [ground.features] * len(folds))
        model, cost = _fit(ground, recipe, ground.candidate, ground.features, out_of_fold)
        gain = _gain(ground, full.out_of_fold, out_of_fold)
        yield _measured(ground.task, f"seed {seed}", len(ground.features), out_of_fold, gain, cost), model


def compress(ground: AblationData, full: Full) -> Iterator[MeasuredVariant]:
    """Measure each smaller variant of the candidate."""
    for name, recipe, candidate in smaller(ground.recipe, ground.candidate):
        yield measure_variant(ground, full, (name, recipe, candidate))


def measure_variant(ground: AblationData, full: Full, variant: tuple[str, TrainingRecipe, str]) -> MeasuredVariant:
    """Measure a candidate of another recipe on the same windows and rows."""
    name, recipe, candidate = variant
    folds = ground.folds()
    out_of_fold = predict_out_of_fold(recipe, candidate, ground.train, folds, [ground.features] * len(folds))
    _, cost = _fit(ground, recipe, candidate, ground.features, out_of_fold)
    return _measured(
        ground.task, name, len(ground.features), out_of_fold, _gain(ground, full.out_of_fold, out_of_fold), cost
    )


def smaller(recipe: TrainingRecipe, name: str) -> list[tuple[str, TrainingRecipe, str]]:
    """Name smaller variants of a candidate, each with its recipe and its name in it: members alone, and fewer trees.

    Fewer trees learn faster, so that rounds times learning rate stays what it was, up to a rate of 0.3.

    >>> from datetime import timedelta
    >>> trees = ModelCandidate(name="trees", kind="xgboost", parameters={"rounds": 300, "eta": 0.04, "max_depth": 3})
    >>> recipe = TrainingRecipe(matures_after=timedelta(days=2), candidates=(trees,))
    >>> [each[0] for each in smaller(recipe, "trees")]
    ['trees of 100 rounds, depth 3', 'trees of 50 rounds, depth 3', 'trees of 30 rounds, depth 3']
    """
    candidate = recipe.candidate(name)
    found = [(f"{member} alone", recipe, member) for member in candidate.members]
    for each in [recipe.candidate(member) for member in candidate.members] or [candidate]:
        if each.kind == "xgboost":
            tried = dict.fromkeys(_shrunk(each, share, depth) for share, depth in SHRUNK)
            prefix = f"{name} with " if candidate.members else ""
            for rounds, depth in tried:
                variant = recipe.with_candidate(with_trees(each, rounds, depth))
                found.append((f"{prefix}{each.name} of {rounds} rounds, depth {depth}", variant, name))
    return found


def with_trees(candidate: ModelCandidate, rounds: int, depth: int) -> ModelCandidate:
    """Give the candidate with fewer trees, that learn as much together."""
    declared = DEFAULTS | {key: value for key, value in candidate.parameters.items() if not isinstance(value, str)}
    eta = round(min(float(declared["eta"]) * declared["rounds"] / rounds, HIGHEST_ETA), 6)
    return candidate.model_copy(
        update={"parameters": candidate.parameters | {"rounds": rounds, "max_depth": depth, "eta": eta}}
    )


def _shrunk(candidate: ModelCandidate, share: float, depth: int) -> tuple[int, int]:
    declared = DEFAULTS | {key: value for key, value in candidate.parameters.items() if not isinstance(value, str)}
    deepest = int(declared["max_depth"]) or depth  # 0 is without bound
    return max(round(declared["rounds"] * share), 1), min(depth, deepest)


def _order(
    ground: AblationData, train: pd.DataFrame, found: OutOfFoldPredictions, model: FittedModel | None = None
) -> list[str]:
    fitted = model or finish(ground.recipe, ground.candidate, train, ground.features, found)
    sample = train.iloc[:: max(len(train) // RANKED_ON, 1)]
    leans_on = shap_importance(fitted, sample, {name: (name,) for name in ground.features})
    if leans_on is None:
        leans_on = {name: fitted.importance().get(name, 0.0) for name in ground.features}
    return ranked(leans_on)


def _fit(
    ground: AblationData,
    recipe: TrainingRecipe,
    candidate: str,
    offered: Sequence[str],
    out_of_fold: OutOfFoldPredictions,
) -> tuple[FittedModel, Cost]:
    started = ground.clock()
    model = finish(recipe, candidate, ground.train, offered, out_of_fold)
    fit_s = ground.clock() - started
    files, holdout = model.to_files(), ground.holdout
    labels, scores = holdout["label"].to_numpy(dtype=np.float64), model.predict(holdout)
    return model, Cost(
        n_bytes=sum(len(content) for content in files.values()),
        tree_bytes=sum(len(content) for name, content in files.items() if name.endswith(BOOSTER_FILE)),
        fit_s=fit_s,
        us_per_row=_scoring_time(ground, model),
        holdout_loss=ground.task.loss(labels, scores),
    )


def _scoring_time(ground: AblationData, model: FittedModel) -> float:
    rows = ground.rows.iloc[-SCORED:]
    taken: list[float] = []
    for _ in range(3):
        started = ground.clock()
        model.predict(rows)
        taken.append(ground.clock() - started)
    return min(taken) / max(len(rows), 1) * 1e6


def _gain(ground: AblationData, full: OutOfFoldPredictions, other: OutOfFoldPredictions) -> Interval:
    days = ground.train["batch_date"].astype(str).str[:10].to_numpy()[full.places]
    return paired_day_block_bootstrap(
        ground.task.losses(full.labels, full.scores),
        ground.task.losses(full.labels, other.scores),
        days,
        rng=np.random.default_rng(ground.recipe.seed),
        resamples=RESAMPLES,
        level=LEVEL,
    )


def _measured(
    task: Task, name: str, n_features: int, found: OutOfFoldPredictions, gain: Interval | None, cost: Cost | None
) -> MeasuredVariant:
    measured = task.measure(found.labels, found.scores)
    return MeasuredVariant(name, n_features, measured[task.loss_metric.name], measured, gain, cost)
