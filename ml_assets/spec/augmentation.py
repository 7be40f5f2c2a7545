"""Rows that a fit makes up of its training rows, as declared."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ml_assets.spec.declared import Declared


class Augmentation(Declared):
    """Rows that are made of training rows whenever a model is fitted, and are stored nowhere.

    Attributes
    ----------
    method
        `smote`: rows of the rarer class, each between one and a neighbour of its class, until there are `share` times
        as many as of the other. `perturbation`: copies of a `share` of the rows, with noise on their numbers.
    neighbours
        Of `smote`: how many of the nearest rows a neighbour is drawn from.
    noise
        Of `perturbation`: standard deviation of the noise, in those of each feature.
    """

    method: Literal["smote", "perturbation"]
    share: float = Field(default=1.0, gt=0, le=10)
    neighbours: int = Field(default=5, ge=1)
    noise: float = Field(default=0.05, gt=0, le=1)
