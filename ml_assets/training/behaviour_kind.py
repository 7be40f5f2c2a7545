"""What a kind of behaviour is: how it is judged on rows that the model has not seen.

Installed packages add kinds by an entry point:

    [project.entry-points."ml_assets.behaviours"]
    stays_ordered = "our_package.ordered:KIND"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.spec.behaviours import Behaviour
from ml_assets.spec.extensions import BEHAVIOURS, load_value

if TYPE_CHECKING:
    import pandas as pd

    from ml_assets.training.applicability_domain import Envelope
    from ml_assets.training.model_kind import FittedModel


@dataclass(frozen=True)
class BehaviourTrial:
    """What a behaviour is judged on.

    Attributes
    ----------
    behaviour
        As it is declared.
    model
        The candidate. `model.predict(rows)` scores features.
    envelope
        Which inputs it abstains from; None where it scores all.
    rows, changed
        The features of the rows that `where` chooses, and the same with `change` made, in one order. Not to be changed.
    rng
        The only source of chance.
    """

    behaviour: Behaviour
    model: FittedModel
    envelope: Envelope | None
    rows: pd.DataFrame
    changed: pd.DataFrame
    rng: np.random.Generator


@dataclass(frozen=True)
class Judged:
    """What was found: whether it is kept, what was measured on `n` rows or cases against what threshold, in words."""

    is_kept: bool
    n: int
    measured: float
    threshold: float
    message: str


@dataclass(frozen=True)
class BehaviourKind:
    """A kind of behaviour, as `model.behaviours` names it.

    Attributes
    ----------
    judge
        Judges one trial; equal trials give equal results. What it raises counts as broken, with the error.
    needs
        Keys of the declaration that the kind cannot do without.
    """

    name: str
    judge: Callable[[BehaviourTrial], Judged]
    needs: tuple[str, ...] = ()


def added_behaviour_kind(name: str) -> BehaviourKind:
    """Load a kind of behaviour that a package adds.

    Raises ExtensionError where it cannot be loaded, or is no BehaviourKind of that name.
    """
    return load_value(BEHAVIOURS, name, BehaviourKind)
