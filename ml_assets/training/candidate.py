"""Every declared candidate fitted on the training rows, compared on windows inside them, measured on the holdout.

Blends' weights, calibration and the choice of the candidate rest on scores of windows ahead of what was trained on, all
inside the training rows. The holdout is for the gate: nothing is fitted, tuned, calibrated or chosen on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.model import ModelCandidate, TrainingRecipe
from ml_assets.stats.tasks import task_of
from ml_assets.training.augmentation import FitRows, augmented
from ml_assets.training.blend import Blend, blended, fit_weights
from ml_assets.training.calibration import CalibratedModel, Curve, fit_curve
from ml_assets.training.candidate_parameters import FitOptions
from ml_assets.training.class_balance import balanced, with_label_weights
from ml_assets.training.estimators import fit_candidate, part_of
from ml_assets.training.fit_pool import fit_pool, fit_side_by_side
from ml_assets.training.kept_ahead import AheadMemo, KeptScoresAhead, ahead_memo
from ml_assets.training.model_kind import FittedModel
from ml_assets.training.model_kinds import model_kind
from ml_assets.training.time_folds import Fold, time_folds

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Start:
    """What a warm start goes on from: the champion, and the newest `prediction_at` it was trained on."""

    model: FittedModel
    trained_until: datetime
    model_version: str


@dataclass(frozen=True)
class MeasuredCandidate:
    """One fitted candidate and what it measures.

    Attributes
    ----------
    holdout_scores, measures
        Scores of the holdout in the order of its rows, and their measures.
    ahead
        The measures on windows inside the training rows, scored ahead; None where the rows are too few for one.
    ahead_places, ahead_scores
        Positions of the rows of these windows among the training rows, and their scores.
    """

    candidate: ModelCandidate
    model: FittedModel
    holdout_scores: FloatArray
    measures: dict[str, float]
    ahead: dict[str, float] | None
    ahead_places: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    ahead_scores: FloatArray = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class _Ahead:
    """Scores of the windows' rows, one after the other, as trained before each; and which window each is of."""

    labels: FloatArray
    window: NDArray[np.int64]
    scores: dict[str, FloatArray] = field(default_factory=dict)

    def without(self, window: int) -> NDArray[np.bool_]:
        """The rows of the other windows; with one window alone, none."""
        return self.window != window


@dataclass(frozen=True)
class OutOfFoldPredictions:
    """What a candidate said of windows that it had not seen.

    Attributes
    ----------
    places
        Positions among the training rows, one window after the other; a row may be in one window only.
    labels, scores
        Of those rows.
    weights, curve
        How a blend weighs its members by all windows (empty of others), and what calibrates it (None: nothing).
    """

    places: NDArray[np.int64]
    labels: FloatArray
    scores: FloatArray
    weights: tuple[float, ...] = ()
    curve: Curve | None = None


def fit_candidates(
    recipe: TrainingRecipe,
    rows: pd.DataFrame,
    features: Sequence[str],
    *,
    start: Start | None = None,
    on_candidate: Callable[[MeasuredCandidate], None] | None = None,
    kept_ahead: KeptScoresAhead | None = None,
) -> list[MeasuredCandidate]:
    """Fit each candidate of `recipe` on the rows of split `train`, and measure it ahead and on those of `holdout`.

    The holdout is trained on by nothing here; `refit.py` fits again what was chosen.

    Parameters
    ----------
    rows
        A training set: `split`, `label`, `prediction_at` and the feature columns.
    start
        The champion, for candidates that go on from it.
    kept_ahead
        Scores of windows of earlier training sets, which are not worked out again; None works all of them out.
    """
    task = task_of(recipe.task)
    is_train = (rows["split"] == "train").to_numpy()
    train, holdout = rows.loc[is_train], rows.loc[~is_train]
    names = list(features)
    folds = time_folds(train, recipe.folds, recipe.matures_after)
    ahead = _windows(train, folds)
    places = np.concatenate([*(np.flatnonzero(fold.test) for fold in folds), np.empty(0, dtype=np.int64)])
    fitted: dict[str, FittedModel] = {}
    measured = []
    memo = None if kept_ahead is None else ahead_memo(kept_ahead, recipe, train, names)
    fits = _Fits(recipe, train, names, folds, start, memo)
    alone = [candidate for candidate in recipe.candidates if candidate.kind != "blend"]
    with fit_pool(recipe.threads) as pool:
        # the longest first, so that none begins when the others have ended
        costly_first = sorted(alone, key=lambda candidate: -model_kind(candidate.kind).cost)
        begun = {candidate.name: fits.begin(candidate, pool) for candidate in costly_first}
        for candidate in recipe.candidates:
            if candidate.kind == "blend":
                bare, ahead.scores[candidate.name] = _fit_blend(recipe.task, candidate, fitted, ahead)
            else:
                whole, parts = begun[candidate.name]
                bare = whole.result()
                ahead.scores[candidate.name] = np.concatenate([*(part.result()[0] for part in parts), np.empty(0)])
            fitted[candidate.name] = bare
            model, calibrated = _calibrate(recipe, bare, ahead.scores[candidate.name], ahead)
            scores = model.predict(holdout[names])
            measured.append(
                MeasuredCandidate(
                    candidate,
                    model,
                    scores,
                    task.summary(holdout["label"].to_numpy(), scores),
                    task.summary(ahead.labels, calibrated) if folds else None,
                    places,
                    calibrated,
                )
            )
            if on_candidate is not None:
                on_candidate(measured[-1])
    return measured


@dataclass(frozen=True, eq=False)
class _Fits:
    """What every candidate is fitted on."""

    recipe: TrainingRecipe
    train: pd.DataFrame
    names: list[str]
    folds: Sequence[Fold]
    start: Start | None
    memo: AheadMemo | None = None

    def begin(
        self, candidate: ModelCandidate, pool: ThreadPoolExecutor
    ) -> tuple[Future[FittedModel], list[Future[tuple[FloatArray, FloatArray]]]]:
        """Begin to fit a candidate on all training rows, and before each window, which gives its scores and labels."""
        age = _age_of_start(self.recipe, candidate, self.train, self.names, self.start)
        whole = pool.submit(fit_bare, self.recipe, candidate, self.train, self.names, self.start)
        ahead = partial(score_ahead, self.recipe, candidate, self.train, self.names, goes_on_after=age)
        if self.memo is None or age is not None:
            return whole, [pool.submit(ahead, fold) for fold in self.folds]
        return whole, [pool.submit(self.memo.scored, candidate, fold, partial(ahead, fold)) for fold in self.folds]


def score_ahead(
    recipe: TrainingRecipe,
    candidate: ModelCandidate,
    train: pd.DataFrame,
    names: list[str],
    fold: Fold,
    goes_on_after: timedelta | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Fit a candidate on the rows that had matured before a backtest window; return its scores there and the labels.

    For a warm start, `goes_on_after` is how much newer the training rows are than those of the champion. The fit then
    repeats that: first on the rows that are older by as much, then a warm start on the rest.
    """
    window, rows = train.loc[fold.test], train.loc[fold.train]
    start = None if goes_on_after is None else _start_before(recipe, candidate, rows, names, goes_on_after)
    model = fit_bare(recipe, candidate, rows, names, start)
    return model.predict(window[names]), window["label"].to_numpy(dtype=np.float64)


def _start_before(
    recipe: TrainingRecipe, candidate: ModelCandidate, rows: pd.DataFrame, names: list[str], age: timedelta
) -> Start | None:
    """Fit what a warm start of these rows would have gone on from, so much older; None where too little is left."""
    until = rows["prediction_at"].max() - age
    older = rows.loc[rows["prediction_at"] <= until]
    if older["label"].nunique() < 2:
        return None
    return Start(fit_bare(recipe, candidate, older, names), until.to_pydatetime(), "")


def predict_out_of_fold(
    recipe: TrainingRecipe, name: str, train: pd.DataFrame, folds: Sequence[Fold], offered: Sequence[Sequence[str]]
) -> OutOfFoldPredictions:
    """Score the windows with one candidate as `fit_candidates` measures it ahead, and fit nothing on all rows.

    Parameters
    ----------
    offered
        The features it is given, of each window its own: what is kept may have been chosen on what was before it.

    Raises
    ------
    ValueError
        On a candidate that the recipe does not have, or no window to score.
    """
    if not folds:
        raise ValueError("the training rows are too few for a window with as much before it")
    candidate, ahead = recipe.candidate(name), _windows(train, folds)
    members = [recipe.candidate(member) for member in candidate.members] or [candidate]
    fits = [
        partial(_predict_window, recipe, each, train, names, fold)
        for each in members
        for fold, names in zip(folds, offered, strict=True)
    ]
    parts = fit_side_by_side(fits, recipe.threads)
    for place, each in enumerate(members):
        ahead.scores[each.name] = np.concatenate(parts[place * len(folds) : (place + 1) * len(folds)])
    weights: tuple[float, ...] = ()
    if candidate.kind == "blend":
        scores = _blended_ahead(recipe.task, candidate, ahead)
        weights = fit_weights([ahead.scores[member] for member in candidate.members], ahead.labels, recipe.task)
    else:
        scores = ahead.scores[name]
    places = np.concatenate([np.flatnonzero(fold.test) for fold in folds])
    curve = fit_curve(recipe.calibration, scores, ahead.labels)
    return OutOfFoldPredictions(places, ahead.labels, _calibrated_ahead(recipe, scores, ahead), weights, curve)


def finish(
    recipe: TrainingRecipe, name: str, train: pd.DataFrame, offered: Sequence[str], out_of_fold: OutOfFoldPredictions
) -> FittedModel:
    """Fit it on all training rows, weighed and calibrated by what was found ahead of them, as `fit_candidates` does."""
    candidate = recipe.candidate(name)
    fits: list[Callable[[], FittedModel]] = []
    for each in candidate.members or (name,):
        taken, names = narrowed(recipe.candidate(each), offered)
        fits.append(partial(fit_bare, recipe, taken, train, names))
    fitted = fit_side_by_side(fits, recipe.threads)
    model = fitted[0]
    if candidate.members:
        model = Blend(candidate.members, tuple(fitted), out_of_fold.weights, recipe.task)
    return model if out_of_fold.curve is None else CalibratedModel(model, out_of_fold.curve)


def narrowed(candidate: ModelCandidate, offered: Sequence[str]) -> tuple[ModelCandidate, list[str]]:
    """Give the candidate with those of its features that are offered, and the columns it needs.

    What a group history counts by is no feature that can be left out. Raises ValueError where nothing is left.
    """
    names = list(dict.fromkeys([*offered, *candidate.group_by]))
    if not candidate.features:
        return candidate, names
    kept = tuple(name for name in candidate.features if name in offered)
    if not kept:
        raise ValueError(f"candidate {candidate.name!r} takes none of the features that are offered")
    return candidate.model_copy(update={"features": kept}), names


def _windows(train: pd.DataFrame, folds: Sequence[Fold]) -> _Ahead:
    labels = train["label"].to_numpy(dtype=np.float64)
    parts = [labels[fold.test] for fold in folds]
    numbers = [np.full(part.size, number) for number, part in enumerate(parts)]
    return _Ahead(np.concatenate([*parts, np.empty(0)]), np.concatenate([*numbers, np.empty(0, dtype=np.int64)]))


def _predict_window(
    recipe: TrainingRecipe, candidate: ModelCandidate, train: pd.DataFrame, offered: Sequence[str], fold: Fold
) -> FloatArray:
    taken, names = narrowed(candidate, offered)
    return score_ahead(recipe, taken, train, names, fold)[0]


def _age_of_start(
    recipe: TrainingRecipe, candidate: ModelCandidate, train: pd.DataFrame, names: Sequence[str], start: Start | None
) -> timedelta | None:
    """Give how much newer the training rows are than what a candidate goes on from; None where it is trained anew."""
    if start is None or going_on(recipe, candidate, train, names, start) is None:
        return None
    return max(timedelta(0), train["prediction_at"].max().to_pydatetime() - start.trained_until)


def fit_bare(
    recipe: TrainingRecipe, candidate: ModelCandidate, train: pd.DataFrame, names: list[str], start: Start | None = None
) -> FittedModel:
    """Fit one candidate that is no blend on training rows, balanced as declared; nothing calibrates it yet.

    With a `start`, a candidate that declares `warm_start` goes on from its model where it can, as `going_on` says.
    """
    if not model_kind(candidate.kind).learns:  # shares: counted, whatever the balance of what is learned
        counted = FitOptions(task=recipe.task)
        return fit_candidate(candidate, train[names], train["label"].to_numpy(), seed=recipe.seed, options=counted)
    goes_on = going_on(recipe, candidate, train, names, start)
    before = None
    if goes_on is not None:
        before, shown = goes_on
        train = train.loc[shown]
    labels = train["label"].to_numpy(dtype=np.float64)
    taken, weights = balanced(recipe.imbalance, labels, np.random.default_rng(recipe.seed))
    weights = with_label_weights(train, taken, weights)
    chosen = train[names].iloc[taken] if taken.size < labels.size else train[names]
    rows = FitRows(chosen, labels[taken], weights)
    if recipe.augmentation is not None:
        rows = augmented(recipe.augmentation, rows, np.random.default_rng(recipe.seed))
    options = FitOptions(rows.weights, before, recipe.task)
    return fit_candidate(candidate, rows.features, rows.labels, seed=recipe.seed, options=options)


def going_on(
    recipe: TrainingRecipe, candidate: ModelCandidate, train: pd.DataFrame, names: Sequence[str], start: Start | None
) -> tuple[FittedModel, NDArray[np.bool_]] | None:
    """Give the model that a candidate goes on from and the rows it is shown; None where it is trained anew on all rows.

    It is shown what is newer than its start was trained on, and of the older rows the share that is replayed, drawn at
    random. It is trained anew where it declares no `warm_start`; where the champion holds no model of its name and
    kind, or one of other features; and where what it would be shown is of one class alone.
    """
    if start is None or candidate.warm_start is None:
        return None
    before = part_of(start.model, candidate.name)
    if before.kind != candidate.kind or set(before.feature_names) != set(candidate.features or names):
        return None
    is_new = (train["prediction_at"] > start.trained_until).to_numpy()
    is_replayed = np.random.default_rng(recipe.seed).random(len(train)) < candidate.warm_start.replay_share
    shown = is_new | is_replayed
    return (before, shown) if train.loc[shown, "label"].nunique() > 1 else None


def _fit_blend(
    task: str, candidate: ModelCandidate, fitted: dict[str, FittedModel], ahead: _Ahead
) -> tuple[Blend, FloatArray]:
    """Weigh the members on all windows; what measures the blend was weighed on the other windows."""
    scores = [ahead.scores[member] for member in candidate.members]
    members = tuple(fitted[member] for member in candidate.members)
    weights = fit_weights(scores, ahead.labels, task)
    return Blend(candidate.members, members, weights, task), _blended_ahead(task, candidate, ahead)


def _blended_ahead(task: str, candidate: ModelCandidate, ahead: _Ahead) -> FloatArray:
    scores = [ahead.scores[member] for member in candidate.members]
    measured = np.empty(ahead.labels.size)
    for window in np.unique(ahead.window):
        others, own = ahead.without(window), ahead.window == window
        weights = fit_weights([score[others] for score in scores], ahead.labels[others], task)
        measured[own] = blended([score[own] for score in scores], weights, task)
    return measured


def _calibrate(
    recipe: TrainingRecipe, model: FittedModel, scores: FloatArray, ahead: _Ahead
) -> tuple[FittedModel, FloatArray]:
    """Learn the curve on all windows; what measures it was learned on the other windows."""
    if recipe.calibration == "none" or not ahead.labels.size:
        return model, scores
    final = fit_curve(recipe.calibration, scores, ahead.labels)
    return (model if final is None else CalibratedModel(model, final)), _calibrated_ahead(recipe, scores, ahead)


def _calibrated_ahead(recipe: TrainingRecipe, scores: FloatArray, ahead: _Ahead) -> FloatArray:
    if recipe.calibration == "none":
        return scores
    measured = scores.copy()
    for window in np.unique(ahead.window):
        others, own = ahead.without(window), ahead.window == window
        curve = fit_curve(recipe.calibration, scores[others], ahead.labels[others]) if others.any() else None
        measured[own] = scores[own] if curve is None else curve(scores[own])
    return measured
