"""What a declaration may set on a candidate, and what holds where it is silent."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ml_assets.spec.model import ModelCandidate
    from ml_assets.training.model_kind import FittedModel


@dataclass(frozen=True)
class FitOptions:
    """What else a fit may be given.

    Attributes
    ----------
    weights
        How much each row counts; None is evenly. Shares are counted evenly always.
    start
        A model of the same candidate to go on from, where the candidate declares `warm_start`.
    task
        What is predicted, by the name of the task.
    """

    weights: NDArray[np.float64] | None = None
    start: FittedModel | None = None
    task: str = "binary"


PLAIN = FitOptions()


def candidate_parameters(candidate: ModelCandidate, defaults: Mapping[str, float]) -> dict[str, float]:
    """The candidate's parameters over the defaults of its kind; whole where the default is whole.

    Raises
    ------
    ValueError
        On a name that the kind does not know, or a value that is no number of the default's kind.

    >>> from ml_assets.spec.model import ModelCandidate
    >>> candidate = ModelCandidate(name="r", kind="xgboost", parameters={"max_depth": 3})
    >>> candidate_parameters(candidate, {"eta": 0.05, "max_depth": 6})
    {'eta': 0.05, 'max_depth': 3}
    """
    merged = dict(defaults)
    for name, value in candidate.parameters.items():
        if name not in defaults:
            nearest = difflib.get_close_matches(name, defaults, n=1)
            hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
            allowed = ", ".join(defaults)
            raise ValueError(
                f"candidate {candidate.name!r} sets {name!r}{hint}; a candidate of {candidate.kind} allows {allowed}"
            )
        is_whole = isinstance(defaults[name], int)
        if isinstance(value, str) or not math.isfinite(value) or (is_whole and value != int(value)):
            kind = "whole number" if is_whole else "finite number"
            raise ValueError(f"candidate {candidate.name!r}: {name!r} must be a {kind}, got {value!r}")
        merged[name] = int(value) if is_whole else float(value)
    return merged
