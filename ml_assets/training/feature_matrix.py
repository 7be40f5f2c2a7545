"""From a frame of features to arrays a candidate can take: the one conversion, the same at fit and at predict.

A column is numeric or text. Which one, and which texts there are, is learned from the training rows and kept; nothing
else is learned here. Imputing, scaling and encoding are the candidates' own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN_CODE = -1
_NUMERIC = frozenset({"boolean", "integer", "floating", "mixed-integer-float", "decimal"})
_TEXT = frozenset({"string", "empty"})


@dataclass(frozen=True)
class FeatureColumns:
    """The columns a model was fitted on.

    Attributes
    ----------
    names
        All columns, in the order of the training frame.
    categories
        The texts seen in each text column, sorted; empty when all were unknown. Columns not named here are numeric.
    """

    names: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]

    @property
    def numeric(self) -> tuple[str, ...]:
        """The numeric columns, in order."""
        return tuple(name for name in self.names if name not in self.categories)

    @property
    def text(self) -> tuple[str, ...]:
        """The text columns, in order."""
        return tuple(name for name in self.names if name in self.categories)

    def to_json(self) -> bytes:
        """The columns as a file beside the model."""
        return json.dumps({"names": self.names, "categories": self.categories}, indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes) -> FeatureColumns:
        """Read back what `to_json` wrote."""
        read = json.loads(content)
        return cls(tuple(read["names"]), {name: tuple(texts) for name, texts in read["categories"].items()})


def learn_columns(features: pd.DataFrame, names: Sequence[str] | None = None) -> FeatureColumns:
    """Learn kinds and categories of the columns `names` (all when None) from training rows.

    Raises
    ------
    ValueError
        On no columns, missing or repeated ones, or a column that is neither numeric nor text, such as a timestamp.
    """
    names = tuple(features.columns) if names is None else tuple(names)
    if not names:
        raise ValueError("there are no feature columns to fit on")
    _check_present(features, names)
    categories: dict[str, tuple[str, ...]] = {}
    for name in names:
        found = _inferred(features[name])
        if found in _TEXT:
            categories[name] = tuple(sorted(features[name].dropna().unique()))
        elif found not in _NUMERIC:
            raise ValueError(f"feature column {name!r} holds {found}: a feature is all numbers (or bool) or all text")
    return FeatureColumns(names, categories)


def numeric_matrix(features: pd.DataFrame, columns: FeatureColumns) -> NDArray[np.float64]:
    """The numeric columns side by side (rows x numeric columns), NaN where unknown.

    What is not finite as float32 counts as unknown, for every candidate alike: float32 is what xgboost computes in.

    Raises
    ------
    ValueError
        Naming columns that are missing, or that are numeric to the model and hold something else here.
    """
    _check_present(features, columns.names)
    matrix = np.empty((len(features), len(columns.numeric)), dtype=np.float64)
    for position, name in enumerate(columns.numeric):
        column = features[name]
        found = _inferred(column)
        if found not in _NUMERIC and not column.isna().all():
            raise ValueError(f"feature column {name!r} was numeric when the model was fitted and holds {found} here")
        matrix[:, position] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    matrix[~(np.abs(matrix) <= np.finfo(np.float32).max)] = np.nan
    return matrix


def code_matrix(features: pd.DataFrame, columns: FeatureColumns) -> NDArray[np.int64]:
    """The text columns as positions in their categories (rows x text columns), -1 where unknown or never seen.

    Raises
    ------
    ValueError
        Naming columns that are missing, or that are text to the model and hold something else here.
    """
    import pandas as pd

    _check_present(features, columns.names)
    matrix = np.full((len(features), len(columns.text)), UNKNOWN_CODE, dtype=np.int64)
    for position, name in enumerate(columns.text):
        column = features[name].astype(object)
        is_known = column.notna().to_numpy()
        if not is_known.any():
            continue
        found = _inferred(column)
        if found not in _TEXT:
            raise ValueError(f"feature column {name!r} was text when the model was fitted and holds {found} here")
        categories = pd.Index(columns.categories[name], dtype=object)
        matrix[is_known, position] = categories.get_indexer(pd.Index(column[is_known], dtype=object))
    return matrix


def text_matrix(features: pd.DataFrame, columns: FeatureColumns) -> NDArray[np.object_]:
    """The text columns as texts (rows x text columns), None where unknown or never seen in training."""
    codes = code_matrix(features, columns)
    texts = np.empty(codes.shape, dtype=object)
    for position, name in enumerate(columns.text):
        texts[:, position] = np.array([*columns.categories[name], None], dtype=object)[codes[:, position]]
    return texts


def _check_present(features: pd.DataFrame, names: Sequence[str]) -> None:
    present = list(features.columns)
    missing = [name for name in names if name not in set(present)]
    if missing:
        raise ValueError(f"feature columns are missing: {', '.join(missing)}")
    repeated = [name for name in names if present.count(name) > 1]
    if repeated:
        raise ValueError(f"feature columns occur more than once: {', '.join(repeated)}")


def _inferred(column: pd.Series) -> str:
    """What the known values of a column are, in pandas' words; "empty" when an untyped column has none."""
    import pandas as pd
    from pandas.api.types import infer_dtype

    values = column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column
    return infer_dtype(values, skipna=True)
