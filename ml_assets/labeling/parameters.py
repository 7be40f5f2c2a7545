"""The numbers of a fitted label model as rows, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ml_assets.labeling.confusion_model import ConfusionModel
from ml_assets.labeling.label_models import LabelModel, MajorityVote
from ml_assets.labeling.votes import VoteMatrix


def parameter_rows(model: LabelModel, votes: VoteMatrix) -> list[dict[str, Any]]:
    """Give the numbers of a model. Grain: voter x class x vote; rows without a voter are shares of classes.

    Columns `function`, `class`, `vote` (null: an abstention), `probability`, `weight`; none for a majority vote.
    """
    if not isinstance(model, ConfusionModel):
        return []
    said = [*votes.classes, None]
    rows: list[dict[str, Any]] = [
        {"function": None, "class": each, "vote": None, "probability": float(share), "weight": 1.0}
        for each, share in zip(votes.classes, model.prior, strict=True)
    ]
    for place, voter in enumerate(votes.voters):
        for k, true in enumerate(votes.classes):
            rows += [
                {"function": voter, "class": true, "vote": vote, "probability": float(model.emission[place, k, column]),
                 "weight": float(model.weights[place])}
                for column, vote in enumerate(said)
            ]  # fmt: skip
    return rows


def model_of_rows(rows: Iterable[Mapping[str, Any]], votes: VoteMatrix) -> LabelModel:
    """Build the model again from what `parameter_rows` gave; of no rows, the majority vote."""
    rows = list(rows)
    if not rows:
        return MajorityVote()
    classes = {each: place for place, each in enumerate(votes.classes)}
    voters = {each: place for place, each in enumerate(votes.voters)}
    emission = np.ones((len(voters), len(classes), len(classes) + 1))
    prior, weights = np.ones(len(classes)), np.ones(len(voters))
    for row in rows:
        if row["function"] is None:
            prior[classes[row["class"]]] = row["probability"]
            continue
        voter = voters[row["function"]]
        vote = len(classes) if row["vote"] is None else classes[row["vote"]]
        emission[voter, classes[row["class"]], vote] = row["probability"]
        weights[voter] = row["weight"]
    return ConfusionModel(prior, emission, weights)
