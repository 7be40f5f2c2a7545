"""Which training rows are trained on and how much each counts, as declared; the holdout is never sampled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.duration import Duration
from ml_assets.spec.names import Identifier
from ml_assets.spec.raw_yaml import list_of, mapping_of

SamplingMethod = Literal["reservoir", "stratified", "time_weighted", "importance_weighted"]
RESERVOIR, STRATIFIED, TIME, IMPORTANCE = "reservoir", "stratified", "time_weighted", "importance_weighted"
_NEEDS = {STRATIFIED: "by", TIME: "half_life", IMPORTANCE: "importance"}
_OF_OTHERS = {"by": STRATIFIED, "half_life": TIME, "importance": IMPORTANCE}


class Sampling(Declared):
    """How training rows are drawn, and who is never on both sides of the split.

    Attributes
    ----------
    method
        `reservoir`: every row alike. `stratified`: of each stratum as many, rare ones as a whole. `time_weighted`:
        newer rows more, by `half_life`. `importance_weighted`: rows more whose `importance` is higher. Without a method
        all rows are taken.
    rows
        Rows that are drawn. Left out with `time_weighted`, all rows are taken and older ones count less.
    by
        Features whose values make the strata; `label` may be among them.
    importance
        A feature that holds the importance: a number of 0 or more.
    groups
        Columns of the examples, such as a customer. A training row with the same value as one of the holdout is left
        out.
    """

    method: SamplingMethod | None = None
    rows: int | None = Field(default=None, ge=1)
    by: tuple[Identifier, ...] = ()
    half_life: Duration | None = None
    importance: Identifier | None = None
    groups: tuple[Identifier, ...] = ()

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find a method without what it needs, and what another method would need."""
        method = declared.get("method")
        if method is None and not list_of(declared.get("groups")):
            yield ("method",), "found neither a method nor groups; allowed: one of them or both"
        needed = _NEEDS.get(str(method))
        if needed is not None and not declared.get(needed):
            yield ("method",), f"found {method} without {needed}; allowed: with {needed}"
        for key, owner in _OF_OTHERS.items():
            if declared.get(key) and method != owner:
                yield (key,), f"found {key} with the method {method}; allowed: with {owner}"
        if method is not None and method != TIME and declared.get("rows") is None:
            yield ("rows",), f"found {method} without rows; allowed: with how many rows are drawn"
        if method is None and declared.get("rows") is not None:
            yield ("rows",), "found rows without a method; allowed: with reservoir, for rows drawn alike"


def sampling_features(declared: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Name the features that a sampling asks for, each with where it stands."""
    sampling = mapping_of(declared.get("sampling"))
    for place, name in enumerate(list_of(sampling.get("by"))):
        if isinstance(name, str) and name != "label":
            yield ("sampling", "by", place), name
    if isinstance(sampling.get("importance"), str):
        yield ("sampling", "importance"), sampling["importance"]
