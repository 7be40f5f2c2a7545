"""The baseline to beat: the mean label of the same group, drawn to the mean of all where a group is small.

Of labels 0 and 1 that mean is how often it happened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.training.candidate_parameters import candidate_parameters
from ml_assets.training.feature_matrix import (
    UNKNOWN_CODE,
    FeatureColumns,
    code_matrix,
    learn_columns,
    numeric_matrix,
    text_matrix,
)
from ml_assets.training.model_kind import FitRequest, ModelKind

if TYPE_CHECKING:
    import pandas as pd


GROUPS_FILE = "groups.json"
COLUMNS_FILE = "columns.json"
# prior_strength: how many examples of the overall share each group starts with.
DEFAULTS: dict[str, float] = {"prior_strength": 20.0}

GroupKey = tuple[float | str, ...]


@dataclass(frozen=True)
class GroupHistory:
    """Mean label by group, (total + m * mean) / (examples + m), with m the prior strength.

    A group never seen, or a row with an unknown in one of its group columns, gets the overall mean.

    Attributes
    ----------
    counts
        Examples of each group seen, and the sum of their labels.
    """

    columns: FeatureColumns
    prior_strength: float
    mean: float
    counts: Mapping[GroupKey, tuple[int, float]]

    @property
    def kind(self) -> str:
        """The kind of candidate this is."""
        return "group_history"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns that make a group."""
        return self.columns.names

    def predict(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Give the mean of each row's group, one a row. Raises ValueError on missing columns."""
        m = self.prior_strength
        share_of = {key: (total + m * self.mean) / (n + m) for key, (n, total) in self.counts.items()}
        keys = _group_keys(features, self.columns)
        shares = (self.mean if key is None else share_of.get(key, self.mean) for key in keys)
        return np.fromiter(shares, dtype=np.float64, count=len(features))

    def to_files(self) -> dict[str, bytes]:
        """The counts and columns as JSON; floats are written so that they read back to the bit."""
        content = {
            "prior_strength": self.prior_strength,
            "mean": self.mean,
            "groups": [[list(key), *self.counts[key]] for key in sorted(self.counts)],
        }
        return {GROUPS_FILE: json.dumps(content).encode(), COLUMNS_FILE: self.columns.to_json()}

    def importance(self) -> dict[str, float]:
        """No columns to lean on."""
        return {}

    def contributions(self, features: pd.DataFrame) -> None:
        """No parts: a share of a group is no sum."""


def fit_group_history(request: FitRequest) -> GroupHistory:
    """Count examples and add up labels by the candidate's `group_by` columns, each row evenly.

    Raises
    ------
    ValueError
        On a candidate without `group_by`, missing columns, or a negative prior strength.
    """
    candidate, features, labels = request.candidate, request.features, request.labels
    if not candidate.group_by:
        raise ValueError(f"candidate {candidate.name!r} is a group history and names no group_by columns")
    prior_strength = candidate_parameters(candidate, DEFAULTS)["prior_strength"]
    if not 0 <= prior_strength < float("inf"):
        raise ValueError(f"candidate {candidate.name!r}: prior_strength must be zero or more, got {prior_strength}")
    columns = learn_columns(features, candidate.group_by)
    counts: dict[GroupKey, tuple[int, float]] = {}
    for key, label in zip(_group_keys(features, columns), labels.tolist(), strict=True):
        if key is not None:
            n, total = counts.get(key, (0, 0))
            counts[key] = (n + 1, total + (int(label) if label.is_integer() else label))
    return GroupHistory(columns, prior_strength, float(labels.mean()), counts)


def load_group_history(files: Mapping[str, bytes]) -> GroupHistory:
    """Read back what `to_files` gave."""
    content = json.loads(files[GROUPS_FILE])
    counts = {tuple(key): (n, total) for key, n, total in content["groups"]}
    columns = FeatureColumns.from_json(files[COLUMNS_FILE])
    return GroupHistory(columns, content["prior_strength"], content["mean"], counts)


def _group_keys(features: pd.DataFrame, columns: FeatureColumns) -> list[GroupKey | None]:
    """The group of each row: numbers as float, texts as they are; None when one of them is unknown."""
    numbers, texts = numeric_matrix(features, columns), text_matrix(features, columns)
    by_name = dict(zip(columns.numeric, numbers.T.tolist(), strict=True))
    by_name |= dict(zip(columns.text, texts.T.tolist(), strict=True))
    is_unknown = np.isnan(numbers).any(axis=1) | (code_matrix(features, columns) == UNKNOWN_CODE).any(axis=1)
    rows = zip(*(by_name[name] for name in columns.names), strict=True)
    return [None if unknown else row for row, unknown in zip(rows, is_unknown.tolist(), strict=True)]


KIND = ModelKind(
    "group_history",
    DEFAULTS,
    fit_group_history,
    load_group_history,
    learns=False,
    cost=0,
    tasks=("binary", "regression", "count"),
)
