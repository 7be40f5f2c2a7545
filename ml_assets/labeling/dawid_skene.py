"""Dawid and Skene's model: each voter confuses classes in a way of its own, learned from votes alone by EM.

A. P. Dawid and A. M. Skene, Maximum likelihood estimation of observer error-rates using the EM algorithm, Applied
Statistics 28 (1979). An abstention says nothing: the model fails where functions vote for one class only.
"""

from __future__ import annotations

import numpy as np

from ml_assets.labeling.confusion_model import ConfusionModel, class_shares, fitted_rows, weighted_shares
from ml_assets.labeling.vote_codes import encode_votes
from ml_assets.labeling.votes import VoteMatrix

SMOOTHING = 0.01  # of a vote, in each cell: a voter that never erred so far may err
MAX_ROUNDS, TOLERANCE = 100, 1e-6


def fit_dawid_skene(votes: VoteMatrix) -> ConfusionModel:
    """Fit by EM, from the shares of the votes, until no probability moves by more than 1e-6, or for 100 rounds.

    >>> from ml_assets.labeling.votes import read_votes
    >>> votes = read_votes([[0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 1, 1]], [0, 1])
    >>> fit_dawid_skene(votes).probabilities(votes).argmax(axis=1).tolist()
    [0, 1, 0, 1]
    """
    votes = fitted_rows(votes)
    codes = encode_votes(votes)
    found = weighted_shares(votes)
    weights = np.ones(len(votes.voters))
    model = ConfusionModel(class_shares(found), np.ones((len(weights), votes.n_classes, votes.n_classes + 1)), weights)
    for _ in range(MAX_ROUNDS):
        cells = codes.expected_votes(found)[:, :, :-1] + SMOOTHING
        confusion = cells / cells.sum(axis=2, keepdims=True)
        silent = np.ones((*confusion.shape[:2], 1))
        model = ConfusionModel(class_shares(found), np.concatenate([confusion, silent], axis=2), weights)
        before, found = found, model.of_codes(codes)
        if np.abs(found - before).max(initial=0.0) < TOLERANCE:
            break
    return model
