"""A fitted linear model as numbers: score rows by it, explain the scores, save it as JSON and load it.

A frame of features goes in, a score a row comes out: a probability, a mean, or a mean count. Nothing but numpy is
needed to score, and the file holds nothing but numbers and texts. How the numbers are found is in
`logistic_regression` and `linear_regression`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from ml_assets.stats.tasks import task_of
from ml_assets.training.feature_matrix import FeatureColumns, code_matrix, numeric_matrix

if TYPE_CHECKING:
    import pandas as pd

LINEAR_MODEL_FILE = "linear_model.json"
_EARLIER_FILE = "pipeline.skops"  # what models were saved as before
_CONFIG = ConfigDict(extra="forbid", strict=True)
# scikit-learn's MinMaxScaler takes a narrower range for a constant column, and divides by 1 instead
_ROWS_AT_ONCE = 2048  # so that what is worked on stays in the processor's cache
_NARROWEST = 10 * float(np.finfo(np.float64).eps)

FloatArray = NDArray[np.float64]
Model = TypeVar("Model", bound="LinearModel")


@dataclass(frozen=True, config=_CONFIG)
class ScaledTerm:
    """What one number adds on the scale of the task: coefficient * (unit - mean) / scale.

    `unit` is where the number lies between the bounds of the training rows, 0 at the lower and 1 at the upper. Beyond
    them it is 0 or 1: a line goes on for ever, so a value that training never saw counts as the nearest bound.

    Attributes
    ----------
    minimum, maximum
        The bounds, in the number's own unit: those of the training rows, drawn in where a few lie far away; equal for a
        constant, whose coefficient is 0. See `numeric_bounds`.
    mean, scale
        Mean and standard deviation of `unit` in the training rows; `scale` is 1 for a constant, and never
        below a hundredth: no value is standardised to more than 100.
    """

    minimum: FiniteFloat
    maximum: FiniteFloat
    mean: FiniteFloat
    scale: Annotated[FiniteFloat, Field(gt=0)]
    coefficient: FiniteFloat


@dataclass(frozen=True, config=_CONFIG)
class NumericColumn:
    """A numeric column: its value, the training median where unknown, and whether it is unknown.

    Attributes
    ----------
    missing
        The term of the flag, 1 where the value is unknown and 0 elsewhere; None where training had no unknown value.
    """

    median: FiniteFloat
    value: ScaledTerm
    missing: ScaledTerm | None


@dataclass(frozen=True, config=_CONFIG)
class TextColumn:
    """A text column: what each text adds on the scale of the task.

    Attributes
    ----------
    coefficients
        By text that is frequent in training.
    rare
        The other texts of the training rows, sorted.
    other
        What a rare text adds, and with it an unknown one and one that training never saw; 0 without rare texts.
    """

    coefficients: dict[str, FiniteFloat]
    rare: tuple[str, ...]
    other: FiniteFloat

    @property
    def categories(self) -> tuple[str, ...]:
        """All texts of the training rows, sorted."""
        return tuple(sorted({*self.coefficients, *self.rare}))

    @property
    def by_code(self) -> FloatArray:
        """What each of `categories` adds, then what any other text does: code -1 finds the last place."""
        return np.array([*(self.coefficients.get(text, self.other) for text in self.categories), self.other])


@dataclass(frozen=True, config=_CONFIG)
class LinearModel:
    """The numbers of a fitted linear model; see `ScaledTerm` for the formula.

    Attributes
    ----------
    KIND, TASK
        The kind of candidate, and the task whose scale it adds up on.
    names
        All columns, in the order of the training frame; each is in `numeric` or in `text`.
    intercept
        Of a row whose numbers are all at their mean and whose texts add nothing, on the scale of the task.
    """

    KIND: ClassVar[str]
    TASK: ClassVar[str]

    names: tuple[str, ...]
    intercept: FiniteFloat
    numeric: dict[str, NumericColumn]
    text: dict[str, TextColumn]

    @model_validator(mode="after")
    def _has_every_column_once(self) -> Self:
        if sorted(self.names) != sorted([*self.numeric, *self.text]):
            raise ValueError(f"names are {list(self.names)}, but columns are {[*self.numeric, *self.text]}")
        return self

    @property
    def kind(self) -> str:
        """The kind of candidate this is."""
        return self.KIND

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns needed to predict."""
        return self.names

    @cached_property
    def columns(self) -> FeatureColumns:
        """The columns and the texts of the training rows."""
        return FeatureColumns(self.names, {name: column.categories for name, column in self.text.items()})

    def predict(self, features: pd.DataFrame) -> FloatArray:
        """Give the score of each row. Raises ValueError on missing columns.

        Each row is added up alone, never by multiplying matrices: the last bits of a product depend on how many rows
        are scored together (a day alone, or inside a range).
        """
        return task_of(self.TASK).scale.inverse(self._parts(features).sum(axis=1) + self.intercept)

    def contributions(self, features: pd.DataFrame) -> tuple[dict[str, FloatArray], FloatArray]:
        """Split each row's sum into the part of each column and the base; numbers count from their mean."""
        parts = dict(zip((*self.columns.numeric, *self.columns.text), self._parts(features).T, strict=True))
        return {name: parts[name] for name in self.names}, np.full(len(features), self.intercept)

    def importance(self) -> dict[str, float]:
        """By column, the sum of its absolute coefficients: value and missing flag, or its texts.

        Those of numbers are per standard deviation.
        """
        totals: dict[str, float] = {}
        for name in self.names:
            if name in self.text:
                coefficients = [*self.text[name].coefficients.values(), self.text[name].other]
            else:
                terms = (self.numeric[name].value, self.numeric[name].missing)
                coefficients = [term.coefficient for term in terms if term is not None]
            totals[name] = float(sum(map(abs, coefficients)))
        return totals

    def to_files(self) -> dict[str, bytes]:
        """All numbers as JSON, written so that they read back to the bit."""
        return {LINEAR_MODEL_FILE: json.dumps(asdict(self), allow_nan=False).encode()}

    def _parts(self, features: pd.DataFrame) -> FloatArray:
        """What each column adds (rows x columns; numeric ones first)."""
        names = self.columns.numeric
        columns = [self.numeric[name] for name in names]
        numbers = numeric_matrix(features, self.columns)
        medians = np.array([column.median for column in columns])
        values = [column.value for column in columns]
        flagged = [place for place, column in enumerate(columns) if column.missing is not None]
        flags = [column.missing for column in columns if column.missing is not None]
        parts = np.empty((len(features), len(self.names)))
        for start in range(0, len(features), _ROWS_AT_ONCE):
            some = slice(start, start + _ROWS_AT_ONCE)
            is_unknown = np.isnan(numbers[some])
            parts[some, : len(names)] = _added(np.where(is_unknown, medians, numbers[some]), values)
            parts[some, flagged] += _added(is_unknown[:, flagged].astype(np.float64), flags)
        codes = code_matrix(features, self.columns)
        for place, name in enumerate(self.columns.text):
            parts[:, len(names) + place] = self.text[name].by_code[codes[:, place]]
        return parts


@dataclass(frozen=True, config=_CONFIG)
class FittedLogisticRegression(LinearModel):
    """A probability from log odds."""

    KIND: ClassVar[str] = "logistic_regression"
    TASK: ClassVar[str] = "binary"


@dataclass(frozen=True, config=_CONFIG)
class FittedLinearRegression(LinearModel):
    """A mean in the unit of the label."""

    KIND: ClassVar[str] = "linear_regression"
    TASK: ClassVar[str] = "regression"


@dataclass(frozen=True, config=_CONFIG)
class FittedPoissonRegression(LinearModel):
    """A mean count from its logarithm."""

    KIND: ClassVar[str] = "poisson_regression"
    TASK: ClassVar[str] = "count"


def load_linear_model(kind: type[Model], files: Mapping[str, bytes]) -> Model:
    """Read back what `to_files` gave.

    Raises
    ------
    ValueError
        Naming the file, and the keys that are not as they should be; or that an earlier version saved the model.
    KeyError
        When the file is not there.
    """
    if LINEAR_MODEL_FILE not in files and _EARLIER_FILE in files:
        raise ValueError(
            f"{_EARLIER_FILE}: an older version of ml_assets saved this model, and this version cannot read it; "
            "`ml-assets retrain` makes a new one"
        )
    try:
        return TypeAdapter(kind).validate_json(files[LINEAR_MODEL_FILE])
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'all'}: {each['msg']}" for each in error.errors()[:3])
        raise ValueError(f"{LINEAR_MODEL_FILE}: {wrong}") from error


def _added(values: FloatArray, terms: list[ScaledTerm]) -> FloatArray:
    """What values add (rows x terms), in the steps of scikit-learn's scalers."""
    minimum, maximum, mean, scale, coefficient = np.array(
        [(term.minimum, term.maximum, term.mean, term.scale, term.coefficient) for term in terms]
    ).reshape(-1, 5).T  # fmt: skip
    width = maximum - minimum
    factor = 1 / np.where(width < _NARROWEST, 1.0, width)
    unit = values * factor
    unit -= minimum * factor
    np.clip(unit, 0, 1, out=unit)
    unit -= mean
    unit /= scale
    unit *= coefficient
    return unit
