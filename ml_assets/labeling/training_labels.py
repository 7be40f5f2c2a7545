"""Labels to train on: gold where it is known, else what the chosen label model says, with a weight and a reason."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_assets.labeling.vote_codes import encode_votes
from ml_assets.labeling.votes import FloatArray, IntArray, VoteMatrix


@dataclass(frozen=True, eq=False)
class WeakLabels:
    """Labels of examples that functions vote on. Shape of each: (examples,).

    Attributes
    ----------
    label
        Position of the most probable class; -1 where nobody votes, or where no class is more probable than others.
    probability
        Of that class.
    weight
        0 at chance, 1 when certain.
    """

    label: IntArray
    probability: FloatArray
    weight: FloatArray


def weak_labels_of(votes: VoteMatrix, probabilities: FloatArray) -> WeakLabels:
    """Take the most probable class of each example that at least one function votes on.

    >>> from ml_assets.labeling.votes import read_votes
    >>> votes = read_votes([[1, None], [0, 1], [None, None]], [0, 1])
    >>> found = weak_labels_of(votes, np.array([[0.1, 0.9], [0.5, 0.5], [0.9, 0.1]]))
    >>> found.label.tolist(), found.weight.round(2).tolist()
    ([1, -1, -1], [0.8, 0.0, 0.0])
    """
    best = probabilities.max(axis=1)
    is_voted = (votes.votes >= 0).any(axis=1)
    chance = 1 / votes.n_classes
    is_told = is_voted & (best > chance + 1e-9) & ((probabilities >= best[:, None] - 1e-12).sum(axis=1) == 1)
    label = np.where(is_told, probabilities.argmax(axis=1), -1)
    return WeakLabels(label, best, np.where(is_told, (best - chance) / (1 - chance), 0.0))


def reasons_of(votes: VoteMatrix, labels: IntArray, model: str) -> NDArray[np.object_]:
    """Say what each weak label rests on: the model, and the functions that vote for it and against it. Null: no label.

    >>> from ml_assets.labeling.votes import read_votes
    >>> reasons_of(read_votes([[1, 0]], [0, 1], ["link", "thanks"]), np.array([1]), "majority_vote").tolist()
    ['majority_vote: for 1 link; against thanks']
    """
    if not labels.size:
        return np.empty(0, dtype=object)
    names, pattern_of = np.array(votes.voters), labels - labels.min()
    packed = encode_votes(votes)
    for code in packed.codes:  # rows with the same label and votes get the same number
        _, pattern_of = np.unique(pattern_of * (int(code.max(initial=0)) + 1) + code, return_inverse=True)
    _, first, pattern_of = np.unique(pattern_of, return_index=True, return_inverse=True)
    said = np.empty(len(first), dtype=object)
    for place, row in enumerate(first.tolist()):
        label, votes_of = int(labels[row]), votes.votes[row]
        if label >= 0:
            pro, con = names[votes_of == label], names[(votes_of >= 0) & (votes_of != label)]
            against = f"; against {', '.join(con)}" if con.size else ""
            said[place] = f"{model}: for {votes.classes[label]} {', '.join(pro) or 'none'}{against}"
    return said[pattern_of]
