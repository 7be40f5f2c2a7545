"""What was chosen and judged, fitted again on all matured rows, so that it does not begin to serve a holdout old.

Weights of a blend and the calibration curve stay as they were found ahead of the training rows: the holdout is learned
from, and nothing is chosen on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.spec.model import ModelCandidate, TrainingRecipe
from ml_assets.stats.task import Task
from ml_assets.training.blend import Blend
from ml_assets.training.calibration import CalibratedModel
from ml_assets.training.candidate import Start, fit_bare
from ml_assets.training.fit_pool import fit_side_by_side
from ml_assets.training.model_kind import FittedModel

if TYPE_CHECKING:
    import pandas as pd

LEAST_SPREAD = 1e-4  # spread of scores, in the unit of the task, below which a model says the same of everybody
MOST_LOSS = 1.02  # times the judged model's loss on the holdout, which the refit has learned and the other has not


def refit(
    recipe: TrainingRecipe,
    candidate: ModelCandidate,
    judged: FittedModel,
    rows: pd.DataFrame,
    features: Sequence[str],
    start: Start | None = None,
) -> FittedModel:
    """Fit `candidate` on all `rows`, with the weights and the calibration that `judged` has.

    Parameters
    ----------
    rows
        A training set, of both splits: `label`, `prediction_at` and the feature columns.
    judged
        The model of that candidate that was fitted on the rows of split `train`.
    """
    names = list(features)
    if isinstance(judged, CalibratedModel):
        return CalibratedModel(refit(recipe, candidate, judged.model, rows, names, start), judged.curve)
    if isinstance(judged, Blend):
        fits = [partial(fit_bare, recipe, recipe.candidate(name), rows, names, start) for name in judged.names]
        return Blend(judged.names, tuple(fit_side_by_side(fits, recipe.threads)), judged.weights, judged.task)
    return fit_bare(recipe, candidate, rows, names, start)


def departs(task: Task, judged: FittedModel, refitted: FittedModel, holdout: pd.DataFrame) -> str:
    """Say in which way a refit does not behave like what was judged; empty where it does.

    >>> from ml_assets.stats.binary import BINARY
    >>> from ml_assets.training.constant import Constant
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"label": [1.0, 0.0, 1.0, 1.0]})
    >>> departs(BINARY, Constant(0.7), Constant(0.72), rows)
    ''
    >>> departs(BINARY, Constant(0.7), Constant(0.1), rows)[:27]
    'its log loss on the holdout'
    """
    before, after = judged.predict(holdout), refitted.predict(holdout)
    if not np.isfinite(after).all():
        return "a score of it is not finite"
    labels = holdout["label"].to_numpy(dtype=np.float64)
    if after.std() < LEAST_SPREAD * task.spread_unit(labels) <= before.std():
        return "it gives every row of the holdout the same score"
    was, now = task.loss(labels, before), task.loss(labels, after)
    if now > MOST_LOSS * was:
        said = f"its {task.loss_metric} on the holdout, which it has learned, is {now:.4f}"
        return f"{said} where what was judged has {was:.4f}"
    return ""
