"""The lowest candidate: the mean label of the training rows, for everybody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.training.model_kind import FitRequest, ModelKind

if TYPE_CHECKING:
    import pandas as pd

CONSTANT_FILE = "constant.json"


@dataclass(frozen=True)
class Constant:
    """One score. What does not beat it out of time has learned nothing that lasts."""

    mean: float

    @property
    def kind(self) -> str:
        """The kind of candidate this is."""
        return "constant"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """No columns are needed."""
        return ()

    def predict(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Give the same score, one a row."""
        return np.full(len(features), self.mean)

    def to_files(self) -> dict[str, bytes]:
        """The number as JSON, written so that it reads back to the bit."""
        return {CONSTANT_FILE: json.dumps({"mean": self.mean}).encode()}

    def importance(self) -> dict[str, float]:
        """No columns to lean on."""
        return {}

    def contributions(self, features: pd.DataFrame) -> None:
        """No parts: all rows are scored alike."""


def fit_constant(request: FitRequest) -> Constant:
    """Take the mean of the labels, each row evenly."""
    return Constant(float(request.labels.mean()))


def load_constant(files: Mapping[str, bytes]) -> Constant:
    """Read back what `to_files` gave."""
    return Constant(json.loads(files[CONSTANT_FILE])["mean"])


KIND = ModelKind(
    "constant", {}, fit_constant, load_constant, learns=False, cost=0, tasks=("binary", "regression", "count")
)
