"""What is fitted, on what it is compared, and by which rule it may serve."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ml_assets.spec.calendar import Duration

GateMode = Literal["enabled", "disabled"]
RungKind = Literal["group_history", "logistic_regression", "xgboost"]


class Declared(BaseModel):
    """A part of a declaration: frozen, and without room for names nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Rung(Declared):
    """One step of the ladder, from simple to complex."""

    name: str
    kind: RungKind
    parameters: dict[str, float | int | str] = Field(default_factory=dict)
    group_by: tuple[str, ...] = ()


class GateRule(Declared):
    """The numbers by which a candidate replaces a champion.

    Losses are log losses on the newest matured window that neither model trained on.
    Differences are champion minus candidate, relative to the champion's: above zero is better.
    """

    min_gain: float = Field(description="the least relative gain in log loss, as estimated")
    max_loss: float = Field(ge=0, description="how much worse the interval's lower end may be")
    interval_level: float = Field(gt=0, lt=1, description="coverage of the paired day-block-bootstrap interval")
    resamples: int = Field(ge=100)
    min_auc: float = Field(ge=0, le=1, description="a candidate below this AUC is refused")
    max_auc_drop: float = Field(ge=0, description="how far the AUC may fall below the champion's")
    max_ece: float = Field(gt=0, description="the largest expected calibration error that may serve")
    min_examples: int = Field(ge=1, description="fewer labelled examples in the window decide nothing")
    min_days: int = Field(ge=2, description="fewer days in the window give no interval")


class ModelSpec(Declared):
    """The ladder of rungs, the holdout they meet on, and the gate."""

    holdout: Duration
    margin: float = Field(ge=0, description="relative log loss a more complex rung must gain to be taken")
    seed: int = 0
    threads: int = Field(default=2, ge=1)
    ladder: tuple[Rung, ...] = Field(min_length=1)
    gate: GateRule
