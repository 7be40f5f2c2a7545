"""Label models: from votes to the probability of each class, without gold labels.

`majority_vote` counts. `dawid_skene` learns how each voter confuses classes, from votes alone. `abstaining_em` learns
in addition what it means that a function says nothing, and discounts functions that say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from ml_assets.labeling.abstaining_em import fit_abstaining_em
from ml_assets.labeling.dawid_skene import fit_dawid_skene
from ml_assets.labeling.votes import FloatArray, VoteMatrix

VOTE = "majority_vote"


class LabelModel(Protocol):
    """What turns votes into probabilities."""

    def probabilities(self, votes: VoteMatrix) -> FloatArray:
        """Give the probability of each class. Shape (examples, classes); rows sum to 1."""
        ...


@dataclass(frozen=True)
class MajorityVote:
    """Most votes win; classes with as many votes share; where nobody votes all classes are as probable."""

    def probabilities(self, votes: VoteMatrix) -> FloatArray:
        """Give 1 for the class with most votes. Shape (examples, classes); n tied classes have 1/n each.

        >>> from ml_assets.labeling.votes import read_votes
        >>> MajorityVote().probabilities(read_votes([[0, 0, 1], [0, 1, None]], [0, 1])).tolist()
        [[1.0, 0.0], [0.5, 0.5]]
        """
        counts = votes.counts()
        is_top = counts == counts.max(axis=1, keepdims=True)
        return is_top / is_top.sum(axis=1, keepdims=True)


def fit_majority_vote(votes: VoteMatrix) -> MajorityVote:
    """Give the vote, which has nothing to learn of `votes`."""
    del votes
    return MajorityVote()


Fit = Callable[[VoteMatrix], LabelModel]
LABEL_MODELS: Mapping[str, Fit] = MappingProxyType(
    {VOTE: fit_majority_vote, "dawid_skene": fit_dawid_skene, "abstaining_em": fit_abstaining_em}
)


def voted_share(votes: VoteMatrix) -> float:
    """Give the share of examples that at least one voter voted on."""
    return float((votes.votes >= 0).any(axis=1).mean()) if votes.n_examples else float("nan")
