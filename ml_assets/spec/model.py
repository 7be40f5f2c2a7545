"""What is fitted, on what it is compared, and by which rule it may serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from ml_assets.spec.calendar import Duration
from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.untyped import list_of, mapping_of, named_parts

GateMode = Literal["enabled", "disabled"]
RungKind = Literal["group_history", "logistic_regression", "xgboost"]

# what `parameters` may set, by kind; the defaults stand beside the estimators, and a test holds the two together
RUNG_PARAMETERS: dict[RungKind, tuple[str, ...]] = {
    "group_history": ("prior_strength",),
    "logistic_regression": ("C", "max_iter", "min_frequency"),
    "xgboost": ("rounds", "eta", "max_depth", "max_leaves", "min_child_weight", "subsample", "colsample_bytree",
                "reg_lambda", "reg_alpha", "gamma", "max_delta_step", "max_cat_to_onehot", "max_cat_threshold"),
}  # fmt: skip


class Rung(Declared):
    """One step of the ladder, from simple to complex."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]
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

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find rungs that share a name, and a ladder that does not begin with the heuristic."""
        seen: set[str] = set()
        for place, name, _ in named_parts(declared.get("ladder")):
            if name in seen:
                yield ("ladder", place, "name"), f"found {name!r} again; allowed: a name once"
            seen.add(name)
        kind = next((mapping_of(rung).get("kind") for rung in list_of(declared.get("ladder"))), None)
        if isinstance(kind, str) and kind in RUNG_PARAMETERS and kind != "group_history":
            found = f"the first rung is the heuristic to beat; found {kind!r}; allowed: group_history"
            yield ("ladder", 0, "kind"), found
