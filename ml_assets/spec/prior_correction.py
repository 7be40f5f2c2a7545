"""How scores follow a share of positives that has moved since the model was trained."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from ml_assets.spec.calendar import Duration
from ml_assets.spec.declared import Declared


class PriorCorrection(Declared):
    """A shift of all log odds of a drop, learned from the labels that matured lately.

    Attributes
    ----------
    window
        How far back labels are looked at; never into what the model was trained on.
    shrink_days
        As many days without any shift are added to what was seen: a single stormy day moves little.
    """

    window: Duration = timedelta(days=28)
    shrink_days: float = Field(default=24, ge=0)
