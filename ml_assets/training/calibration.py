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
    from ml_assets.training.model_kind import Contributions, FittedModel

CURVE_FILE = "calibration.json"
LEAST_ROWS = 20  # a step of an isotonic curve rests on as many; one of one or two rows is noise
PRIOR_ROWS = 2  # how many rows of the average each step is drawn by
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
    thousand rows) toward changing nothing; isotonic after Zadrozny and Elkan (2002), with steps of
    twenty rows or more. A slope that would turn the
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

    def importance(self) -> dict[str, float]:
        """By column, what the model inside says."""
        return self.model.importance()

    def contributions(self, features: pd.DataFrame) -> Contributions | None:
        """Give the parts of the model inside, stretched and moved by a Platt curve; None with an isotonic one."""
        found = self.model.contributions(features) if self.curve.method == "platt" else None
        if found is None:
            return None
        intercept, slope = self.curve.values
        return {name: slope * part for name, part in found[0].items()}, intercept + slope * found[1]


def read_curve(files: Mapping[str, bytes]) -> tuple[str, Curve]:
    """Give the kind of the model inside, and the curve, from the files of a calibrated model."""
    described = json.loads(files[CURVE_FILE])
    return described["kind"], Curve(described["method"], tuple(described["values"]))


def _platt(x: FloatArray, labels: FloatArray) -> tuple[float, float]:
    """Find where the gradient of the penalised mean log loss is zero: there alone, since the loss is strictly convex.

    Solving for the gradient is exact to about 1e-13; comparing losses, as a minimiser does, stops at about 1e-7.
    """
    from scipy.optimize import root

    prior: FloatArray = np.array([0.0, 1.0])
    strength = 1 / 1000
    design = np.column_stack([np.ones_like(x), x])
    n = max(x.size, 1)

    def gradient(at: FloatArray) -> FloatArray:
        return design.T @ (sigmoid(design @ at) - labels) / n + strength * (at - prior)

    def hessian(at: FloatArray) -> FloatArray:
        p = sigmoid(design @ at)
        return (design * (p * (1 - p))[:, None]).T @ design / n + strength * np.eye(2)

    found = root(gradient, prior, jac=hessian, method="lm", options={"xtol": 1e-15, "ftol": 1e-15})
    if np.abs(gradient(found.x)).max() > 1e-9:
        raise RuntimeError(f"Platt's curve was not found on {x.size} rows: {found.message}")
    return float(found.x[0]), float(found.x[1])


def _isotonic(scores: FloatArray, labels: FloatArray) -> Curve:
    """Fit rising steps of at least LEAST_ROWS rows each; straight lines join them.

    A step of fewer rows joins the neighbour whose share is nearer. Then each is drawn to the share of all rows, by as
    much as PRIOR_ROWS would, so that twenty positives in a row do not make a certainty.
    """
    from sklearn.isotonic import isotonic_regression

    values, place, rows = np.unique(scores, return_inverse=True, return_counts=True)
    positives = np.bincount(place, weights=labels)
    fitted = np.asarray(isotonic_regression(positives / rows, sample_weight=rows))
    starts = np.flatnonzero(np.r_[True, np.diff(fitted) != 0])
    ends = np.r_[starts[1:], values.size] - 1
    n_rows, n_positive = np.add.reduceat(rows, starts), np.add.reduceat(positives, starts)
    parts = zip(values[starts], values[ends], n_rows, n_positive, strict=True)
    steps = _merge_small([_Step(*map(float, part)) for part in parts])
    base = PRIOR_ROWS * float(labels.mean())
    weights = np.array([step.rows for step in steps])
    drawn = np.array([(step.positives + base) / (step.rows + PRIOR_ROWS) for step in steps])
    shares = np.clip(np.asarray(isotonic_regression(drawn, sample_weight=weights)), 1e-4, 1 - 1e-4)
    points = {at: share for step, share in zip(steps, shares.tolist(), strict=True) for at in (step.first, step.last)}
    return Curve("isotonic", (*(float(at) for at in points), *points.values()))


@dataclass(frozen=True)
class _Step:
    """A step of a curve: its lowest and highest score, its rows, and the positives among them."""

    first: float
    last: float
    rows: float
    positives: float

    @property
    def share(self) -> float:
        return self.positives / self.rows

    def with_next(self, other: _Step) -> _Step:
        return _Step(self.first, other.last, self.rows + other.rows, self.positives + other.positives)


def _merge_small(steps: list[_Step]) -> list[_Step]:
    """Join the smallest step with its nearer neighbour until each has LEAST_ROWS rows; shares still rise."""
    merged = list(steps)
    while len(merged) > 1:
        at = min(range(len(merged)), key=lambda place: merged[place].rows)
        if merged[at].rows >= LEAST_ROWS:
            break
        below = merged[at].share - merged[at - 1].share if at else float("inf")
        above = merged[at + 1].share - merged[at].share if at + 1 < len(merged) else float("inf")
        left = at - 1 if below <= above else at
        merged[left : left + 2] = [merged[left].with_next(merged[left + 1])]
    return merged
