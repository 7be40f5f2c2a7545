"""How far inputs may lie from what a model was trained on before its score means nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.training.feature_matrix import learn_columns, numeric_matrix

if TYPE_CHECKING:
    import pandas as pd

ENVELOPE_FILE = "envelope.json"


@dataclass(frozen=True)
class Envelope:
    """By numeric feature, the range of the training rows, widened. Unknown values are inside: models expect them."""

    ranges: dict[str, tuple[float, float]]

    def outside(self, features: pd.DataFrame) -> list[str | None]:
        """Name the features of each row that lie outside, separated by a comma; None where all are inside.

        Raises ValueError when a feature is missing.
        """
        absent = [name for name in self.ranges if name not in features.columns]
        if absent:
            raise ValueError(f"features that the model takes are missing: {', '.join(absent)}")
        found: list[list[str]] = [[] for _ in range(len(features))]
        for name, (lower, upper) in self.ranges.items():
            values = features[name].to_numpy(dtype=np.float64, na_value=np.nan)
            for row in np.flatnonzero((values < lower) | (values > upper)).tolist():
                found[row].append(name)
        return [", ".join(names) or None for names in found]

    def to_files(self) -> dict[str, bytes]:
        """The ranges as JSON."""
        return {ENVELOPE_FILE: json.dumps({name: list(ends) for name, ends in self.ranges.items()}).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Envelope:
        """Read back what `to_files` gave."""
        return cls({name: (ends[0], ends[1]) for name, ends in json.loads(files[ENVELOPE_FILE]).items()})


def learn_envelope(features: pd.DataFrame, beyond: float) -> Envelope:
    """Learn each given numeric feature's range, and widen it on both sides by `beyond` times its width.

    A feature that never varied is widened by `beyond` times its size, or by `beyond` where it was zero.

    >>> import pandas as pd
    >>> envelope = learn_envelope(pd.DataFrame({"wind_mph": [0.0, 40.0, None]}), beyond=1)
    >>> envelope.outside(pd.DataFrame({"wind_mph": [None, 79.0, 1048.0]}))
    [None, None, 'wind_mph']
    """
    columns = learn_columns(features)
    matrix: NDArray[np.float64] = numeric_matrix(features, columns)
    ranges = {}
    for name, values in zip(columns.numeric, matrix.T, strict=True):
        known = values[~np.isnan(values)]
        if known.size:
            lower, upper = float(known.min()), float(known.max())
            width = (upper - lower) or abs(upper) or 1.0
            ranges[name] = (lower - beyond * width, upper + beyond * width)
    return Envelope(ranges)
