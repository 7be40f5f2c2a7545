"""By which rules a candidate may serve, and who has the last word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from ml_assets.spec.declared import Declared

GateMode = Literal["enabled", "dry_run", "disabled"]


GUARDED = ("auc", "average_precision", "log_loss", "log_loss_on_old_rows", "brier", "ece", "cost_at_implied_threshold",
           "precision_at_capacity", "recall_at_capacity")  # fmt: skip


class Guardrail(Declared):
    """A measure of the window that may not get worse by more than this, whatever the log loss gains.

    `measure` is one of `evaluation_measures`: those of GUARDED, and `<objective>_mae` and `<measure>_on_list` of the
    declared objectives. `log_loss_on_old_rows` is of warm starts alone: what was trained anew keeps its guardrail.
    """

    measure: str
    max_worse: float = Field(ge=0, description="in the unit of the measure, beside the champion's")


class GateRule(Declared):
    """The numbers by which a candidate replaces a champion.

    Losses are log losses on the newest matured window that neither model trained on.
    Differences are champion minus candidate, relative to the champion's: above zero is better.
    """

    renamed: ClassVar[Mapping[str, str]] = {"freshness_worth": "max_loss_per_30d_newer"}
    mode: GateMode = Field(
        default="enabled",
        description="dry_run measures and records, and lets nothing through; disabled promotes whatever it would say",
    )
    approval: bool = Field(default=False, description="a person has to approve what the gate would promote")
    min_gain: float = Field(description="the least relative gain in log loss, as estimated")
    max_loss: float = Field(ge=0, description="how much worse the interval's lower end may be")
    max_loss_per_30d_newer: float = Field(
        default=0.0,
        ge=0,
        description="how much worse still the lower end may be for every 30 days that the candidate's newest training "
        "rows are newer than the champion's: what is expected of newer data before anything is measured",
    )
    interval_level: float = Field(gt=0, lt=1, description="coverage of the paired day-block-bootstrap interval")
    resamples: int = Field(ge=100)
    min_auc: float = Field(ge=0, le=1, description="a candidate below this AUC is refused")
    max_auc: float = Field(default=1.0, ge=0, le=1, description="above this AUC a leak is looked for, not celebrated")
    max_auc_drop: float = Field(ge=0, description="how far the AUC may fall below the champion's")
    max_ece: float = Field(
        gt=0, description="the largest expected calibration error that may serve, in ten bins of equal count"
    )
    max_slice_loss: float = Field(
        default=0.05, ge=0, description="how much worse, relative, a slice of min_slice examples may become"
    )
    min_slice: int = Field(default=1000, ge=1, description="slices with fewer labelled examples are shown, not judged")
    guardrails: tuple[Guardrail, ...] = ()
    min_examples: int = Field(ge=1, description="fewer labelled examples in the window decide nothing")
    min_days: int = Field(ge=2, description="fewer days in the window give no interval")
