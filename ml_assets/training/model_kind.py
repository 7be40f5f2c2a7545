"""What a kind of model is: how it is fitted, what it becomes, and how it is read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from ml_assets.spec.model import ModelCandidate
    from ml_assets.training.candidate_parameters import FitOptions

FloatArray = NDArray[np.float64]
Contributions = tuple[dict[str, FloatArray], FloatArray]


class FittedModel(Protocol):
    """What every kind of model becomes once fitted. Models are data: no pickle, no joblib."""

    @property
    def kind(self) -> str:
        """The kind of model, by which `load_model` knows how to read its files."""
        ...

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns that `predict` needs; others are ignored."""
        ...

    def predict(self, features: pd.DataFrame) -> FloatArray:
        """Give the score of each row, shape (rows,): a probability, or a mean. Each depends on its own row only.

        An unknown (null, not finite) or never seen value is the model's to handle. A missing column, or one of
        another kind than at fit, raises ValueError naming it.
        """
        ...

    def to_files(self) -> dict[str, bytes]:
        """The model as files by name; equal models give equal bytes."""
        ...

    def importance(self) -> dict[str, float]:
        """How much it leans on each column, in its own unit: compare within a model. Empty where it has no such thing.

        Mean gain of splits for boosted trees; summed absolute weights (per standard deviation) for a logistic
        regression; for a blend the members' shares of their own totals, weighed as they are.
        """
        ...

    def contributions(self, features: pd.DataFrame) -> Contributions | None:
        """Split each score, on the scale of its task, into the part of each column, and the base; they add up to it.

        That scale is log odds of probabilities, the logarithm of counts, and else the unit of the label.

        None where there are no such parts: groups, constants, and isotonic curves, which are no sums.
        """
        ...


@dataclass(frozen=True)
class FitRequest:
    """What a kind is fitted on.

    Attributes
    ----------
    candidate
        What the declaration says of this model: `parameters`, for example, and `warm_start`.
    features
        One row an example, the columns it may use: numbers (NaN unknown) and text (None unknown). Not to be changed.
    labels
        One a row: 0 or 1, or what else the task of `options` knows.
    options
        How much rows count, what model to go on from, and what is predicted.
    """

    candidate: ModelCandidate
    features: pd.DataFrame
    labels: FloatArray
    seed: int
    options: FitOptions


class Fit(Protocol):
    """How a kind is fitted."""

    def __call__(self, request: FitRequest, /) -> FittedModel:
        """Fit in one thread; equal requests give equal bytes. ValueError on rows or parameters it cannot use."""
        ...


class Load(Protocol):
    """How a fitted model is read back."""

    def __call__(self, files: Mapping[str, bytes]) -> FittedModel:
        """Read what `to_files` gave. ValueError names a file that is not as `to_files` writes it."""
        ...


@dataclass(frozen=True)
class ModelKind:
    """A kind of model, as `model.candidates` names it.

    Attributes
    ----------
    name
        The word for it in a declaration.
    parameters
        What a declaration may set, with defaults; one whose default is whole takes whole numbers.
    learns
        Whether it learns from features, and so needs labels that vary; False for one that counts shares.
    goes_on
        Whether a fit may go on from the champion's model, as `warm_start` declares.
    cost
        How long a fit takes compared with other kinds; the longest begin first.
    tasks
        What it can predict.
    """

    name: str
    parameters: Mapping[str, float]
    fit: Fit
    load: Load
    learns: bool = True
    goes_on: bool = False
    cost: int = 1
    tasks: tuple[str, ...] = ("binary",)
