"""What final values of forecasts flatter a backtest by: one recipe, on what was known and on how forecasts ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.spec.model import TrainingRecipe
from ml_assets.stats.block_bootstrap import Interval, paired_day_block_bootstrap
from ml_assets.stats.tasks import task_of
from ml_assets.training.candidate import predict_out_of_fold
from ml_assets.training.time_folds import Fold, time_folds

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

LEVEL, RESAMPLES = 0.9, 1000


@dataclass(frozen=True)
class Flattery:
    """Losses out of time of one candidate, of the same rows and windows.

    Attributes
    ----------
    candidate, features
        What was fitted, and the features that forecasts decide.
    known, final, mixed
        Loss and metrics by name: fitted and scored on what was known; fitted and scored on final values, as a backtest
        with them promises; fitted on final values and scored on what was known, as it would have served.
    promised, kept
        Share of the loss on what was known that `final` and `mixed` save, with intervals of resampled days. Above zero
        is better.
    """

    candidate: str
    features: tuple[str, ...]
    loss: str
    known: Mapping[str, float]
    final: Mapping[str, float]
    mixed: Mapping[str, float]
    promised: Interval
    kept: Interval

    @property
    def is_flattered(self) -> bool:
        """Say whether final values surely promise more than what was known holds."""
        return self.promised.lower > 0


def measure_flattery(
    recipe: TrainingRecipe, candidate: str, rows: tuple[pd.DataFrame, pd.DataFrame], features: Sequence[str]
) -> Flattery:
    """Fit and score the windows inside the training rows on both, and on the one with the other.

    Parameters
    ----------
    rows
        The training rows with features as they were known, and the same rows with final values.
    features
        All features of the model.

    Raises
    ------
    ValueError
        Where the rows are too few for a window with as much before it.
    """
    known, final = rows
    task = task_of(recipe.task)
    folds = time_folds(known, recipe.folds, recipe.matures_after)
    if not folds:
        raise ValueError(
            f"the training rows are too few for a window of {recipe.folds.length.days} days with as much before it: "
            "there is nothing to measure out of time; run more drops and retrain"
        )
    offered = [tuple(features)] * len(folds)
    as_known = predict_out_of_fold(recipe, candidate, known, folds, offered)
    scores = {
        "known": as_known.scores,
        "final": predict_out_of_fold(recipe, candidate, final, folds, offered).scores,
        "mixed": _fitted_on_one_scored_on_other(recipe, candidate, (final, known), folds, features),
    }
    losses = {name: task.losses(as_known.labels, each) for name, each in scores.items()}
    days = known["batch_date"].astype(str).str[:10].to_numpy()[as_known.places]
    gains = [
        paired_day_block_bootstrap(
            losses["known"],
            losses[name],
            days,
            rng=np.random.default_rng(recipe.seed),
            resamples=RESAMPLES,
            level=LEVEL,
        )
        for name in ("final", "mixed")
    ]
    changed = tuple(name for name in features if not known[name].equals(final[name]))
    measured = {name: task.measure(as_known.labels, each) for name, each in scores.items()}
    return Flattery(candidate, changed, task.loss_metric.name, **measured, promised=gains[0], kept=gains[1])


def _fitted_on_one_scored_on_other(
    recipe: TrainingRecipe,
    candidate: str,
    rows: tuple[pd.DataFrame, pd.DataFrame],
    folds: Sequence[Fold],
    features: Sequence[str],
) -> NDArray[np.float64]:
    """Score windows of the second rows by what was fitted on the first: both under each other, in one frame."""
    import pandas as pd

    one, other = rows
    none = np.zeros(len(one), dtype=bool)
    stacked = pd.concat([one, other], ignore_index=True)
    apart = [Fold(np.concatenate([fold.train, none]), np.concatenate([none, fold.test])) for fold in folds]
    return predict_out_of_fold(recipe, candidate, stacked, apart, [tuple(features)] * len(folds)).scores
