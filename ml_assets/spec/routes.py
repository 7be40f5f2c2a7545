"""Which examples the machine may decide, as declared: by how often it may be wrong about them."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from ml_assets.spec.declared import Declared
from ml_assets.spec.duration import Duration

DECIDED, ESCALATED, ABSTAINED = "decided", "escalated", "abstained"


class Routes(Declared):
    """The way of each example of a drop: the machine decides, a person does, or nobody.

    The machine decides where its score is far enough from one half. How far is found on matured examples of the past:
    so far that, of what it would have decided, at most `max_risk` was wrong.

    Attributes
    ----------
    max_risk
        Share of wrong decisions that is allowed among those of the machine.
    level
        Chance that the share is kept, given the matured examples.
    escalate
        Of the others, how many of a drop go to people: those that the worklist ranks first. The rest is decided by
        nobody.
    window
        Matured examples of so long before a drop are the evidence.
    """

    max_risk: float = Field(gt=0, lt=0.5)
    level: float = Field(default=0.9, gt=0.5, lt=1)
    escalate: int = Field(default=0, ge=0)
    window: Duration = timedelta(days=56)
