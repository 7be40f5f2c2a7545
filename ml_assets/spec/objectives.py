"""What is predicted beside the probability: amounts, each by a model of its own, blended only when decisions are taken.

Objectives that are trained apart can be weighed anew without training anything again (Huyen, 2022, chapter 6:
decoupling objectives).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.names import Identifier, did_you_mean
from ml_assets.spec.untyped import list_of, mapping_of, named_parts, names_in

SCORE = "score"
TAKEN = (
    *("score", "model_score", "baseline_score", "prior_shift", "abstained", "model_version"),
    *("batch_date", "example_id", "prediction_at", "rank"),
)


class Objective(Declared):
    """An amount that is foretold of every example.

    Attributes
    ----------
    measure
        The column of `labels.measures` that it foretells; the mean of what it may come to, in its unit.
    at_least, at_most
        Outcomes beyond count as these in training: a few extreme ones would decide the mean.
    parameters
        Of the boosted trees that learn it; as for a rung of xgboost.
    """

    name: Identifier
    measure: Identifier
    description: str = ""
    at_least: float | None = None
    at_most: float | None = None
    parameters: dict[str, float | int | str] = Field(default_factory=dict)


def objective_faults(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find objectives of measures that nobody gives, and lists that are ranked by what nobody foretells."""
    measures = [name for _, name in names_in(mapping_of(declared.get("labels")).get("measures"))]
    objectives = mapping_of(declared.get("model")).get("objectives")
    names: list[str] = []
    for place, name, objective in named_parts(objectives):
        if name in (*names, *TAKEN):
            said = "a name once, and none of the columns of predictions and lists"
            yield ("model", "objectives", place, "name"), f"found {name!r}, which is taken; allowed: {said}"
        names.append(name)
        measure = objective.get("measure")
        if isinstance(measure, str) and measure not in measures:
            said = f"found {measure!r}; allowed: a name in labels.measures: {', '.join(measures) or 'there is none'}"
            yield ("model", "objectives", place, "measure"), said + did_you_mean(measure, measures)
    if len(names) < len(list_of(objectives)):
        return  # one without a name: nobody knows what is meant
    rank_by = mapping_of(declared.get("worklist")).get("rank_by")
    if rank_by is not None and not mapping_of(rank_by):
        yield ("worklist", "rank_by"), "found nothing; allowed: the score or an objective, each with its weight"
    for name, weight in mapping_of(rank_by).items():
        if isinstance(weight, float) and not math.isfinite(weight):
            yield ("worklist", "rank_by", name), f"found {weight}; allowed: a finite number"
        if name not in (SCORE, *names):
            allowed = ", ".join([SCORE, *names])
            yield ("worklist", "rank_by", name), f"found {name!r}; allowed: {allowed}{did_you_mean(name, names)}"
