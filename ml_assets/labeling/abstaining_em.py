"""EM with accuracies that depend on the class, and a model of abstention; careful where votes cannot tell.

A function that votes for one class only says something by its silence: that class is less probable where it does not
vote. A person who was not asked says nothing by it. So abstention is modelled for those voters alone that vote for one
class and could not do so by chance.

Without gold the likelihood has several maxima, and the best one can be far from the truth: functions that repeat each
other look perfect. Three things keep the model near what the vote supports: voters that repeat each other count less
(`redundancy`), accuracies are shrunk to what functions usually reach, and EM stops after few rounds. Measured in
docs/labeling.md: run until nothing moves, it was worse than the vote in more of the generated worlds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_assets.labeling.confusion_model import ConfusionModel, class_shares, fitted_rows, weighted_shares
from ml_assets.labeling.redundancy import flagged_correlations
from ml_assets.labeling.vote_codes import encode_votes
from ml_assets.labeling.votes import FloatArray, VoteMatrix

ROUNDS = 5
SAMPLED_ROWS = 20_000  # of a larger table every nth row is enough to see a correlation
CONFUSION_PRIOR = 2.0  # votes of the mean voter that are added to those of each
USUAL_ACCURACY, USUAL_PRECISION = 0.7, 0.85  # of a vote; of a vote of a function for one class only
PRECISION_PRIOR = 25.0  # votes at the usual precision that are added to those of each one-sided function
CLASS_PRIOR = 10.0  # examples at the shares of the vote that are added
ONE_SIDED_SHARE, ONE_SIDED_CHANCE = 0.98, 1e-3
_RATE_BOUNDS = (1e-6, 1 - 1e-3)


def find_one_sided(votes: VoteMatrix) -> NDArray[np.bool_]:
    """Say of each voter whether it votes for one class only, though chance would have given it others. Shape (voters,).

    >>> from ml_assets.labeling.votes import read_votes
    >>> find_one_sided(read_votes([[1, 0], [1, 1]] * 20, [0, 1])).tolist()
    [True, False]
    """
    counts = votes.counts_by_voter()
    cast, top = counts.sum(axis=1), counts.argmax(axis=1)
    if not cast.sum():
        return np.zeros(len(votes.voters), dtype=bool)
    share = np.clip(counts.sum(axis=0) / cast.sum(), 1e-9, 1 - 1e-9)
    is_beyond_chance = cast * np.log(share[top]) < np.log(ONE_SIDED_CHANCE)
    return (counts.max(axis=1) >= ONE_SIDED_SHARE * cast) & is_beyond_chance & (cast > 0)


def fit_abstaining_em(votes: VoteMatrix) -> ConfusionModel:
    """Fit from the shares of the votes, those of repeating voters discounted, in five rounds of EM.

    >>> from ml_assets.labeling.votes import read_votes
    >>> votes = read_votes([[1, None], [None, 0], [None, None], [1, None]] * 20, [0, 1])
    >>> fit_abstaining_em(votes).probabilities(votes).argmax(axis=1)[:4].tolist()
    [1, 0, 1, 1]
    """
    is_one_sided = find_one_sided(votes)
    weights = 1 / (1 + correlations_of(votes, is_one_sided).sum(axis=1))
    return _fit(votes, is_one_sided, weights, ROUNDS)


def correlations_of(votes: VoteMatrix, is_one_sided: NDArray[np.bool_] | None = None) -> FloatArray:
    """Give the correlation of each pair of voters that repeats itself, 0 for others. Shape (voters, voters).

    The classes are guessed by one round of EM on a sample of the examples.
    """
    if is_one_sided is None:
        is_one_sided = find_one_sided(votes)
    sample = votes.rows(slice(None, None, -(-votes.n_examples // SAMPLED_ROWS) or 1))
    guess = _fit(sample, is_one_sided, np.ones(len(votes.voters)), 1).probabilities(sample)
    return flagged_correlations(sample, guess, is_one_sided)


def _fit(votes: VoteMatrix, is_one_sided: NDArray[np.bool_], weights: FloatArray, rounds: int) -> ConfusionModel:
    votes = fitted_rows(votes)
    codes = encode_votes(votes)
    found = weighted_shares(votes, weights)
    start = class_shares(found)
    model = ConfusionModel(start, np.ones((len(weights), votes.n_classes, votes.n_classes + 1)), weights)
    for _ in range(rounds):
        cells = codes.expected_votes(found)
        n_by_class = found.sum(axis=0)
        prior = (n_by_class + CLASS_PRIOR * start) / (len(found) + CLASS_PRIOR)
        confusion, rates = _confusion(cells[:, :, :-1]), _voting_rates(cells, n_by_class, prior, is_one_sided)
        emission = np.concatenate([confusion * rates[:, :, None], 1 - rates[:, :, None]], axis=2)
        model = ConfusionModel(prior, emission, weights)
        found = model.of_codes(codes)
    return model


def _confusion(cells: FloatArray) -> FloatArray:
    """Give the probability of each vote given the true class, when voting; shrunk to that of all voters together."""
    n_classes = cells.shape[1]
    usual = _on_diagonal(USUAL_ACCURACY, n_classes)
    pooled = cells.sum(axis=0) + 2 * n_classes * usual
    pooled /= pooled.sum(axis=1, keepdims=True)
    casts = np.where(cells.sum(axis=1) > 0, 1.0, 1e-2)  # what a voter never says it is hardly expected to say
    expected = pooled[None] * casts[:, None, :]
    expected /= expected.sum(axis=2, keepdims=True)
    shrunk = cells + CONFUSION_PRIOR * expected
    return shrunk / shrunk.sum(axis=2, keepdims=True)


def _voting_rates(
    cells: FloatArray, n_by_class: FloatArray, prior: FloatArray, is_one_sided: NDArray[np.bool_]
) -> FloatArray:
    """Give how probable it is that a voter votes at all, given the true class. Shape (voters, classes).

    Of a one-sided function by its precision, shrunk to the usual one; of others its mean rate in each class.
    """
    cast = cells[:, :, :-1].sum(axis=2)
    n_cast = cast.sum(axis=1, keepdims=True)
    side = cells[:, :, :-1].sum(axis=1).argmax(axis=1)
    usual = _on_diagonal(USUAL_PRECISION, cells.shape[1])[side] * prior
    usual /= usual.sum(axis=1, keepdims=True)
    shares = (cast + PRECISION_PRIOR * usual) / (n_cast + PRECISION_PRIOR)
    by_class = shares * n_cast / np.maximum(n_by_class, 1e-9)
    overall = np.broadcast_to(n_cast / max(n_by_class.sum(), 1.0), by_class.shape)
    return np.clip(np.where(is_one_sided[:, None], by_class, overall), *_RATE_BOUNDS)


def _on_diagonal(share: float, n_classes: int) -> FloatArray:
    """Give a square matrix with `share` on the diagonal and rows that sum to 1."""
    return np.where(np.eye(n_classes) > 0, share, (1 - share) / (n_classes - 1))
