"""What is learned of voters: how probable each of their votes is, given the true class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_assets.labeling.vote_codes import VoteCodes, encode_votes
from ml_assets.labeling.votes import FloatArray, VoteMatrix

MAX_FITTED_ROWS = 200_000


@dataclass(frozen=True, eq=False)
class ConfusionModel:
    """Votes are independent given the class, but for weights.

    Attributes
    ----------
    prior
        Shape (classes,): the share of each class.
    emission
        Shape (voters, classes, classes + 1): probability of each vote given the true class, the abstention last. Where
        an abstention says nothing it is 1 in each class, and the votes sum to 1 beside it.
    weights
        Shape (voters,): 1, or less for a voter that repeats others.
    """

    prior: FloatArray
    emission: FloatArray
    weights: FloatArray

    def probabilities(self, votes: VoteMatrix) -> FloatArray:
        """Give the probability of each class. Shape (examples, classes); rows sum to 1."""
        return self.of_codes(encode_votes(votes))

    def of_codes(self, codes: VoteCodes) -> FloatArray:
        """Give the probability of each class for packed votes."""
        scores = codes.log_likelihood(self.weights[:, None, None] * np.log(self.emission))
        scores += np.log(np.maximum(self.prior, 1e-300))  # a class that nobody votes for
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores


def class_shares(probabilities: FloatArray) -> FloatArray:
    """Give the mean probability of each class; of no rows, all classes are as frequent.

    >>> class_shares(np.empty((0, 4))).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    return (
        probabilities.mean(axis=0)
        if len(probabilities)
        else np.full(probabilities.shape[1], 1 / probabilities.shape[1])
    )


def fitted_rows(votes: VoteMatrix) -> VoteMatrix:
    """Give the rows to learn from: all, or of a very large table every nth, which moves accuracies by less than 0.002.

    >>> fitted_rows(VoteMatrix(np.zeros((500_000, 1), dtype=np.int16), (0, 1), ("a",))).n_examples
    166667
    """
    step = -(-votes.n_examples // MAX_FITTED_ROWS) or 1
    return votes.rows(slice(None, None, step)) if step > 1 else votes


def weighted_shares(votes: VoteMatrix, weights: FloatArray | None = None) -> FloatArray:
    """Give the share of the votes for each class, with one vote more at the shares of the whole table.

    Parameters
    ----------
    weights
        Shape (voters,): how much each vote counts; by default 1.

    Returns
    -------
    array
        Shape (examples, classes); where nobody votes, the mean share of the examples with votes.

    >>> from ml_assets.labeling.votes import read_votes
    >>> weighted_shares(read_votes([[0, 0, 0], [1, None, None], [None, None, None]], [0, 1])).tolist()
    [[0.875, 0.125], [0.25, 0.75], [0.5, 0.5]]
    """
    counts = votes.counts()
    total = counts.sum(axis=1)
    voted = total > 0
    base = (counts[voted] / total[voted, None]).mean(axis=0) if voted.any() else np.full(votes.n_classes, np.nan)
    base = np.nan_to_num(base, nan=1 / votes.n_classes)
    if weights is not None:
        counts = np.stack([(votes.votes == k) @ weights for k in range(votes.n_classes)], axis=1)
        total = counts.sum(axis=1)
    return (counts + base) / (total + 1)[:, None]
