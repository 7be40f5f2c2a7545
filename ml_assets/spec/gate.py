"""By which rules a candidate may serve, and who has the last word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from ml_assets.spec.declared import Declared, Fault

GateMode = Literal["enabled", "dry_run", "disabled"]


class Guardrail(Declared):
    """A measure of the window that may not get worse by more than this, whatever the loss gains.

    `measure` is one of `evaluation_measures`: those of the task, and `<objective>_mae` and `<measure>_on_list` of the
    declared objectives. `<loss>_on_old_rows` is of warm starts alone: what was trained anew keeps its guardrail.
    """

    measure: str
    max_worse: float = Field(ge=0, description="in the unit of the measure, beside the champion's")


class Bar(Declared):
    """A metric of the task that a candidate has to reach, or may not exceed, whatever serves."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find a bar without a bound, and one that nothing keeps."""
        low, high = declared.get("at_least"), declared.get("at_most")
        if low is None and high is None:
            yield ("metric",), "found neither at_least nor at_most; allowed: one of them or both"
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            yield ("at_most",), f"found {high:g}; allowed: {low:g} or more, at_least of the same bar"


class GateRule(Declared):
    """The numbers by which a candidate replaces a champion.

    Losses are those of the task (log loss, squared error, deviance) on the newest matured window that neither model
    trained on.
    Differences are champion minus candidate, relative to the champion's: above zero is better.
    """

    renamed: ClassVar[Mapping[str, str]] = {"freshness_worth": "max_loss_per_30d_newer"}
    mode: GateMode = Field(
        default="enabled",
        description="dry_run measures and records, and lets nothing through; disabled promotes whatever it would say",
    )
    approval: bool = Field(default=False, description="a person has to approve what the gate would promote")
    min_gain: float = Field(description="the least relative gain in the loss of the task, as estimated")
    max_loss: float = Field(ge=0, description="how much worse the interval's lower end may be")
    max_loss_per_30d_newer: float = Field(
        default=0.0,
        ge=0,
        description="how much worse still the lower end may be for every 30 days that the candidate's newest training "
        "rows are newer than the champion's: what is expected of newer data before anything is measured",
    )
    interval_level: float = Field(gt=0, lt=1, description="coverage of the paired day-block-bootstrap interval")
    resamples: int = Field(ge=100)
    min_auc: float | None = Field(
        default=None, ge=0, le=1, description="a candidate below this AUC is refused; a binary task needs it"
    )
    max_auc: float = Field(default=1.0, ge=0, le=1, description="above this AUC a leak is looked for, not celebrated")
    max_auc_drop: float | None = Field(
        default=None, ge=0, description="how far the AUC may fall below the champion's; a binary task needs it"
    )
    max_ece: float | None = Field(
        default=None,
        gt=0,
        description="the largest expected calibration error that may serve, in ten bins of equal count; a binary task "
        "needs it",
    )
    bars: tuple[Bar, ...] = Field(
        default=(), description="metrics of the task that a candidate has to reach, or may not exceed"
    )
    max_slice_loss: float = Field(
        default=0.05, ge=0, description="how much worse, relative, a slice of min_slice examples may become"
    )
    min_slice: int = Field(default=1000, ge=1, description="slices with fewer labelled examples are shown, not judged")
    guardrails: tuple[Guardrail, ...] = ()
    min_examples: int = Field(ge=1, description="fewer labelled examples in the window decide nothing")
    min_days: int = Field(ge=2, description="fewer days in the window give no interval")
