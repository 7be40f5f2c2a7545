"""What each feature adds to the log odds of a score, so that a single prediction can be explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.training.blend import Blend
from ml_assets.training.boosted_trees import FittedBoostedTrees
from ml_assets.training.calibration import CalibratedModel
from ml_assets.training.linear_model import FittedLogisticRegression

if TYPE_CHECKING:
    import pandas as pd

    from ml_assets.training.estimators import FittedModel

FloatArray = NDArray[np.float64]


def contributions(model: FittedModel, rows: pd.DataFrame) -> tuple[dict[str, FloatArray], FloatArray] | None:
    """Split the log odds of each row's score into its features' parts and a base; they add up to the log odds.

    For trees these are SHAP values, as xgboost computes them exactly (Lundberg et al., 2020); for a logistic
    regression weight times value, from the mean of the training rows; for a blend the members' parts as they are
    weighed; a Platt curve stretches and moves them. None where there are no such parts: groups, constants, and
    isotonic curves, which are no sums.
    """
    if isinstance(model, CalibratedModel):
        inner = contributions(model.model, rows)
        if inner is None or model.curve.method != "platt":
            return None
        intercept, slope = model.curve.values
        return {name: slope * part for name, part in inner[0].items()}, intercept + slope * inner[1]
    if isinstance(model, FittedBoostedTrees | FittedLogisticRegression):
        return model.contributions(rows)
    if isinstance(model, Blend):
        return _of_blend(model, rows)
    return None


def _of_blend(blend: Blend, rows: pd.DataFrame) -> tuple[dict[str, FloatArray], FloatArray] | None:
    parts: dict[str, FloatArray] = {}
    base = np.zeros(len(rows))
    for member, weight in zip(blend.members, blend.weights, strict=True):
        found = contributions(member, rows)
        if found is None:
            return None
        base = base + weight * found[1]
        for name, part in found[0].items():
            parts[name] = parts.get(name, np.zeros(len(rows))) + weight * part
    return parts, base
