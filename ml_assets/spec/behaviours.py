"""What a model must do and must not do, declared: tests of behaviour beside measures of quality.

After Ribeiro et al., "Beyond accuracy: behavioral testing of NLP models with CheckList" (2020): invariance, direction
and minimum functionality; and perturbations, under which a model may waver but not fall.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.extensions import BEHAVIOURS, ExtensionError, extensions, load_extension
from ml_assets.spec.names import not_among
from ml_assets.spec.user_sql import check_expression

FORMER_KINDS = {"minimum": "labelled_cases"}  # of earlier releases, and what they are called now
_NEEDS: dict[str, tuple[str, ...]] = {
    "invariance": ("change", "max_change"),
    "direction": ("change", "direction"),
    "labelled_cases": ("cases",),
    "perturbation": ("max_change",),
    "out_of_range": ("change",),
}


def _checked(text: str) -> str:
    if text:
        check_expression(text)
    return text


RowSql = Annotated[str, AfterValidator(_checked)]


class Case(Declared):
    """An example that a person labelled: what is not said of it is as usual (the median, the most frequent text)."""

    values: dict[str, float | int | bool | str | None] = Field(min_length=1)
    label: Literal["high", "low"] = Field(description="whether its score belongs in the upper or the lower half")


class Behaviour(Declared):
    """One behaviour, tried on the labelled examples of the window on which the gate compares.

    Attributes
    ----------
    change
        By feature, a SQL expression over the features of the row, put in the feature's place.
    where
        SQL: the rows it is tried on; empty is all.
    max_change
        How far the score may move, as a mean of absolute differences.
    share
        The least share of rows (or cases) that must behave: move in the declared direction or stay within
        `tolerance`; be told apart; abstain.
    noise
        Perturbation: added to every feature that is not whole numbers, normal, in its standard deviations.
    missing, unseen
        Perturbation: features made unknown, or given a text no one has seen.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: Annotated[str, BeforeValidator(lambda kind: FORMER_KINDS.get(kind, kind))]
    parameters: dict[str, float | int | str] = Field(
        default_factory=dict, description="what a kind that an installed package adds asks for"
    )
    description: str = ""
    change: dict[str, RowSql] = Field(default_factory=dict)
    where: RowSql = ""
    direction: Literal["up", "down"] | None = None
    max_change: float | None = Field(default=None, ge=0)
    share: float = Field(default=0.95, ge=0, le=1)
    tolerance: float = Field(default=0.001, ge=0)
    noise: float = Field(default=0, ge=0)
    missing: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()
    severity: Literal["error", "warning"] = "error"

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find what the kind needs and does not have."""
        kind = FORMER_KINDS.get(str(declared.get("kind")), declared.get("kind"))
        if isinstance(kind, str) and (fault := kind_fault(kind)):
            yield ("kind",), fault
            return
        for key in _needs(str(kind)):
            if not declared.get(key) and declared.get(key) != 0:
                yield (key,), f"is required by {kind} and missing"
        if kind == "perturbation" and not any(declared.get(key) for key in ("noise", "missing", "unseen")):
            yield ("noise",), "is missing; allowed: at least one of noise, missing, unseen"


def kind_fault(kind: str) -> str:
    """Say what is wrong with a kind of behaviour; empty where it can be tried."""
    known = [*_NEEDS, *extensions(BEHAVIOURS)]
    if kind not in known:
        return not_among(kind, known)
    try:
        _needs(kind)
    except ExtensionError as error:
        return str(error)
    return ""


def _needs(kind: str) -> tuple[str, ...]:
    """Name the keys that a kind cannot do without; of one that a package adds, as it says itself."""
    if kind in _NEEDS or kind not in extensions(BEHAVIOURS):
        return _NEEDS.get(kind, ())
    return tuple(getattr(load_extension(BEHAVIOURS, kind), "needs", ()))
