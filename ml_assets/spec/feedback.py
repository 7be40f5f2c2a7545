"""Whether what a model says can reach its own training data, by what is declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ml_assets.spec.declared import Fault
from ml_assets.spec.raw_yaml import mapping_of

if TYPE_CHECKING:
    from ml_assets.spec.use_case import UseCaseSpec

TO_TRAINING = "training/labels -> training/training_set"


def feedback_paths(spec: UseCaseSpec) -> tuple[str, ...]:
    """List the ways from predictions back to the training set, each from table to table; none where nothing says so.

    A declaration says three: people act on the worklist, the review queue chooses by scores whose label is asked for,
    and an asset of the predictions writes a source. What people do with predictions otherwise is not known here.
    """
    return tuple(_paths(spec))


def _paths(spec: UseCaseSpec) -> Iterator[str]:
    outcomes = ", ".join(f"validated/{name}" for name in spec.labels.sources)
    if spec.acted_on:
        yield f"predictions/{spec.acted_on} -> what people do -> {outcomes} -> {TO_TRAINING}"
    if spec.review is not None:
        yield f"predictions/predictions -> labels/review_queue -> validated/{spec.review.answers} -> {TO_TRAINING}"
    for source in spec.sources:
        if source.asset is not None and source.asset.startswith(f"{spec.name}/predictions/"):
            yield f"{source.asset.removeprefix(spec.name + '/')} -> validated/{source.name} -> training/training_set"


def feedback_faults(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find a list that people act on and that is not the first by rank: there is no next one to compare it with.

    >>> declared = {"acted_on": "worklist", "worklist": {"routes": {"max_risk": 0.1}}}
    >>> [message[:34] for _, message in feedback_faults(declared)]
    ['found acted_on beside worklist.rou']
    """
    if declared.get("acted_on") and mapping_of(declared.get("worklist")).get("routes"):
        said = "found acted_on beside worklist.routes; allowed: one of both, routes choose by confidence, not by rank"
        yield ("acted_on",), said
