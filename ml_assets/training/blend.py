"""A weighted mean of candidates: what several see together is steadier than what one sees."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.stats.tasks import task_of

if TYPE_CHECKING:
    import pandas as pd

    from ml_assets.training.model_kind import Contributions, FittedModel

BLEND_FILE = "blend.json"
FloatArray = NDArray[np.float64]
# a member's weight is drawn to its even share by as much as this share of the rows would
EVEN_SHARE_STRENGTH = 0.05


@dataclass(frozen=True)
class Blend:
    """Members and their weights, in the order declared; the weights are not negative and add up to one.

    The mean is taken on the scale of the task: of log odds (a logarithmic opinion pool: Genest and Zidek, 1986), of
    logarithms of counts, of amounts.
    """

    names: tuple[str, ...]
    members: tuple[FittedModel, ...]
    weights: tuple[float, ...]
    task: str = "binary"

    @property
    def kind(self) -> str:
        """The kind of candidate this is."""
        return "blend"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns that any member needs."""
        return tuple(dict.fromkeys(name for member in self.members for name in member.feature_names))

    def predict(self, features: pd.DataFrame) -> FloatArray:
        """Give the weighted mean of the members' scores, one a row."""
        return blended([member.predict(features) for member in self.members], self.weights, self.task)

    def to_files(self) -> dict[str, bytes]:
        """Each member's files under its name, and the weights as JSON."""
        files = {
            f"{name}/{file}": content
            for name, member in zip(self.names, self.members, strict=True)
            for file, content in member.to_files().items()
        }
        kinds = [member.kind for member in self.members]
        described: dict[str, object] = {"names": self.names, "kinds": kinds, "weights": self.weights}
        if self.task != "binary":
            described["task"] = self.task
        return {**files, BLEND_FILE: json.dumps(described).encode()}

    def importance(self) -> dict[str, float]:
        """By column, the members' shares of their own totals, weighed as they are."""
        totals: dict[str, float] = {}
        for member, weight in zip(self.members, self.weights, strict=True):
            leans_on = member.importance()
            whole = sum(leans_on.values()) or 1.0
            for name, value in leans_on.items():
                totals[name] = totals.get(name, 0.0) + weight * value / whole
        return totals

    def contributions(self, features: pd.DataFrame) -> Contributions | None:
        """Give the members' parts, weighed as they are; None where a member has no parts."""
        parts: dict[str, FloatArray] = {}
        base = np.zeros(len(features))
        for member, weight in zip(self.members, self.weights, strict=True):
            found = member.contributions(features)
            if found is None:
                return None
            base = base + weight * found[1]
            for name, part in found[0].items():
                parts[name] = parts.get(name, np.zeros(len(features))) + weight * part
        return parts, base


def blended(scores: Sequence[FloatArray], weights: Sequence[float], task: str) -> FloatArray:
    """Give the weighted mean on the scale of the task. Added member by member: a row does not depend on others."""
    scale = task_of(task).scale
    total = np.zeros_like(scores[0])
    for score, weight in zip(scores, weights, strict=True):
        total = total + weight * scale.link(score)
    return scale.inverse(total)


def fit_weights(scores: Sequence[FloatArray], labels: FloatArray, task: str) -> tuple[float, ...]:
    """Give the weights that lose least on scores out of time, drawn a little to even shares.

    Stacking (Wolpert, 1992; Breiman, 1996) with weights on the simplex; the loss is convex. Without rows the shares are
    even.

    >>> labels = np.array([0.0, 1.0] * 500)
    >>> good, blind = np.where(labels == 1, 0.8, 0.2), np.full(1000, 0.5)
    >>> [round(weight, 2) for weight in fit_weights([good, blind], labels, "binary")]
    [1.0, 0.0]
    """
    from scipy.optimize import LinearConstraint, minimize

    even = np.full(len(scores), 1 / len(scores))
    if not labels.size:
        return tuple(even.tolist())
    scale = task_of(task).scale
    design, unit = np.column_stack([scale.link(score) for score in scores]), scale.dispersion(labels)

    def loss(weights: FloatArray) -> float:
        odds = design @ weights
        toward_even = EVEN_SHARE_STRENGTH / 2 * ((weights - even) ** 2).sum()
        return float((scale.cumulant(odds) - labels * odds).mean() / unit + toward_even)

    def gradient(weights: FloatArray) -> FloatArray:
        missed = design.T @ (scale.inverse(design @ weights) - labels) / labels.size / unit
        return missed + EVEN_SHARE_STRENGTH * (weights - even)

    found = minimize(
        loss, even, jac=gradient, method="SLSQP", bounds=[(0, 1)] * even.size,
        constraints=LinearConstraint(np.ones(even.size), 1, 1), options={"ftol": 1e-15, "maxiter": 200},
    )  # fmt: skip
    weights = np.clip(found.x, 0, 1)
    return tuple((weights / weights.sum()).tolist())


def members_of(files: Mapping[str, bytes]) -> tuple[list[tuple[str, str, dict[str, bytes]]], tuple[float, ...]]:
    """Give each member's name, kind and files, and the weights, from the files of a blend."""
    described = json.loads(files[BLEND_FILE])
    members = [
        (name, kind, {file[len(name) + 1 :]: content for file, content in files.items() if file.startswith(f"{name}/")})
        for name, kind in zip(described["names"], described["kinds"], strict=True)
    ]
    return members, tuple(described["weights"])


def task_of_blend(files: Mapping[str, bytes]) -> str:
    """Name the task that a blend predicts, from its files."""
    return json.loads(files[BLEND_FILE]).get("task", "binary")
