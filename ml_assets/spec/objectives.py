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
from ml_assets.spec.features import known_features
from ml_assets.spec.names import Identifier, did_you_mean, not_among
from ml_assets.spec.raw_yaml import list_of, mapping_of, named_parts, names_in
from ml_assets.spec.tasks import measures_of

SCORE = "score"
OUTCOME = "outcome_"  # before the name of a measure: its column in a training set
TAKEN = (
    *("score", "model_score", "baseline_score", "prior_shift", "abstained", "served_by", "model_version"),
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
        Of the boosted trees that learn it; as for a candidate of xgboost.
    """

    name: Identifier
    measure: Identifier
    description: str = ""
    at_least: float | None = None
    at_most: float | None = None
    parameters: dict[str, float | int | str] = Field(default_factory=dict)


def objective_faults(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find objectives of measures that nobody gives, and lists and guardrails of what nobody foretells or measures."""
    model = mapping_of(declared.get("model"))
    measures = names_in(mapping_of(declared.get("labels")).get("measures"))
    features = known_features(mapping_of(declared.get("features"))).names
    for place, name in measures:
        if f"{OUTCOME}{name}" in features:
            said = f"found {name!r}, and a feature is named {OUTCOME}{name}; allowed: no feature of that name"
            yield ("labels", "measures", place), said
    shown = [name for _, name in names_in(mapping_of(declared.get("worklist")).get("columns"))]
    yield from _misnamed(model, [name for _, name in measures], shown)
    objectives = list_of(model.get("objectives"))
    names = [name for _, name, _ in named_parts(objectives)]
    if len(names) < len(objectives):
        return  # one without a name: nobody knows what is meant
    foretold = [name for each in objectives if isinstance(name := mapping_of(each).get("measure"), str)]
    guarded = [
        *measures_of(str(declared.get("task", "binary"))),
        *(name for _, name in names_in(model.get("metrics"))),
        *(f"{name}_mae" for name in names),
        *(f"{name}_on_list" for name in foretold),
    ]
    for place, each in enumerate(list_of(mapping_of(model.get("gate")).get("guardrails"))):
        measure = mapping_of(each).get("measure")
        if isinstance(measure, str) and measure not in guarded:
            yield ("model", "gate", "guardrails", place, "measure"), not_among(measure, guarded)
    yield from _misranked(mapping_of(declared.get("worklist")), names)


def _misnamed(model: Mapping[str, Any], measures: list[str], shown: list[str]) -> Iterator[Fault]:
    names: list[str] = []
    for place, name, objective in named_parts(model.get("objectives")):
        if name in (*names, *TAKEN, *shown):
            said = "a name once, and none of the columns of predictions and lists"
            yield ("model", "objectives", place, "name"), f"found {name!r}, which is taken; allowed: {said}"
        names.append(name)
        measure = objective.get("measure")
        if isinstance(measure, str) and measure not in measures:
            said = f"found {measure!r}; allowed: a name in labels.measures: {', '.join(measures) or 'there is none'}"
            yield ("model", "objectives", place, "measure"), said + did_you_mean(measure, measures)


def _misranked(worklist: Mapping[str, Any], names: list[str]) -> Iterator[Fault]:
    rank_by = worklist.get("rank_by")
    if rank_by == {}:
        yield ("worklist", "rank_by"), "found nothing; allowed: the score or an objective, each with its weight"
    for name, weight in mapping_of(rank_by).items():
        if isinstance(weight, float) and not math.isfinite(weight):
            yield ("worklist", "rank_by", name), f"found {weight}; allowed: a finite number"
        if name not in (SCORE, *names):
            allowed = ", ".join([SCORE, *names])
            yield ("worklist", "rank_by", name), f"found {name!r}; allowed: {allowed}{did_you_mean(name, names)}"
