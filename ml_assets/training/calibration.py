"""From a score to a probability: a curve learned on scores of rows the model had not seen, saved with the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.stats.logit import logit, sigmoid

if TYPE_CHECKING:
    import pandas as pd

    from ml_assets.spec.model import CalibrationMethod
    from ml_assets.training.estimators import FittedModel

CURVE_FILE = "calibration.json"
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A rising map of probabilities.

    Attributes
    ----------
    method
        `platt`: sigmoid(intercept + slope * logit(score)); `isotonic`: straight lines between points.
    values
        (intercept, slope), or the points' scores followed by their probabilities.
    """

    method: CalibrationMethod
    values: tuple[float, ...]

    def __call__(self, scores: FloatArray) -> FloatArray:
        """Give the probability of each score."""
        if self.method == "platt":
            intercept, slope = self.values
            return sigmoid(intercept + slope * logit(scores))
        half = len(self.values) // 2
        return np.interp(scores, self.values[:half], self.values[half:])


def fit_curve(method: CalibrationMethod, scores: FloatArray, labels: FloatArray) -> Curve | None:
    """Learn the curve from scores out of time and what became of them; None for the method `none`.

    Platt, "Probabilistic outputs for support vector machines" (1999), in logit space and with a weak prior (one of a
    thousand rows) toward changing nothing; isotonic after Zadrozny and Elkan (2002). A slope that would turn the
    order around is not learned: everybody gets the share of positives then.

    >>> rng = np.random.default_rng(0)
    >>> truth = rng.uniform(0.1, 0.5, 20000)
    >>> curve = fit_curve("platt", truth / 2, (rng.random(20000) < truth).astype(float))
    >>> bool(abs(curve(np.array([0.15]))[0] - 0.3) < 0.02)
    True
    """
    if method == "none":
        return None
    if method == "isotonic":
        return _isotonic(scores, labels)
    intercept, slope = _platt(logit(scores), labels)
    if slope < 0:
        intercept, slope = _platt(np.zeros_like(scores), labels)[0], 0.0
    return Curve("platt", (intercept, slope))


@dataclass(frozen=True)
class CalibratedModel:
    """A fitted model and the curve that follows it: one pipeline, saved and checked in one piece."""

    model: FittedModel
    curve: Curve

    @property
    def kind(self) -> str:
        """How `load_model` reads it."""
        return "calibrated"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns that the model needs."""
        return self.model.feature_names

    def predict(self, features: pd.DataFrame) -> FloatArray:
        """Calibrated probability of a positive, one a row."""
        return self.curve(self.model.predict(features))

    def to_files(self) -> dict[str, bytes]:
        """The model's files, and the curve with the model's kind as JSON."""
        described: dict[str, Any] = {
            "kind": self.model.kind,
            "method": self.curve.method,
            "values": list(self.curve.values),
        }
        return {**self.model.to_files(), CURVE_FILE: json.dumps(described).encode()}


def read_curve(files: Mapping[str, bytes]) -> tuple[str, Curve]:
    """Give the kind of the model inside, and the curve, from the files of a calibrated model."""
    described = json.loads(files[CURVE_FILE])
    return described["kind"], Curve(described["method"], tuple(described["values"]))


def _platt(x: FloatArray, labels: FloatArray) -> tuple[float, float]:
    """Newton's method on the penalised log likelihood, which is strictly convex.

    A step that does not lower it enough is halved: far from the end a whole one may lead away.
    """
    weights: FloatArray = np.array([0.0, 1.0])
    prior: FloatArray = weights
    strength = max(x.size, 1) / 1000
    design = np.column_stack([np.ones_like(x), x])

    def lost(at: FloatArray) -> float:
        odds = design @ at
        return float((np.logaddexp(0, odds) - labels * odds).sum() + strength / 2 * ((at - prior) ** 2).sum())

    for _ in range(50):
        p = sigmoid(design @ weights)
        gradient = design.T @ (p - labels) + strength * (weights - prior)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + strength * np.eye(2)
        step: FloatArray = np.asarray(np.linalg.solve(hessian, gradient), dtype=np.float64)
        before, promised = lost(weights), float(gradient @ step)
        scale = 1.0
        while lost(weights - scale * step) > before - scale * promised / 1e4 and scale > 1e-9:
            scale /= 2
        weights = weights - scale * step
        if np.abs(step).max() < 1e-10:
            break
    return float(weights[0]), float(weights[1])


def _isotonic(scores: FloatArray, labels: FloatArray) -> Curve:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=1e-4, y_max=1 - 1e-4, out_of_bounds="clip").fit(scores, labels)
    points = [*fitted.X_thresholds_.tolist(), *fitted.y_thresholds_.tolist()]
    return Curve("isotonic", tuple(points))
