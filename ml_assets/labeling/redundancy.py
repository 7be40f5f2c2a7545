"""Voters that repeat each other: copies, near copies, functions that look for the same thing.

Given the true class, independent voters have uncorrelated surprises: what one says beyond what the class explains tells
nothing of what another says. Correlated surprises are found from a first guess of the classes, and such voters share
the weight of one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_assets.labeling.votes import ABSTAIN, FloatArray, VoteMatrix

MIN_VOTES, MIN_COMMON = 10, 60
MIN_PAIRS, MOST_TAKEN_OFF = 10, 0.45
FLAGGED_FIRING, FLAGGED_VOTES = 0.3, 0.4  # the second of the lower bound
_SURE = 2.0  # standard errors


@dataclass(frozen=True)
class CorrelatedPair:
    """Two voters whose surprises are correlated: they are no two witnesses.

    Attributes
    ----------
    correlation
        Of their surprises, given the class; 1 is a copy.
    common
        Examples that both vote on.
    """

    first: str
    second: str
    correlation: float
    common: int


def find_correlated(votes: VoteMatrix, correlations: FloatArray) -> list[CorrelatedPair]:
    """List the pairs of voters that repeat each other, the strongest first; `correlations` as flagged."""
    cast = (votes.votes >= 0).astype(np.float64)
    common = (cast.T @ cast).astype(int)
    pairs = [
        CorrelatedPair(votes.voters[i], votes.voters[j], float(correlations[i, j]), int(common[i, j]))
        for i, j in zip(*np.nonzero(np.triu(correlations)), strict=True)
    ]
    return sorted(pairs, key=lambda pair: -pair.correlation)


def flagged_correlations(votes: VoteMatrix, guess: FloatArray, is_one_sided: NDArray[np.bool_]) -> FloatArray:
    """Give the correlation of the surprises of each pair that repeats itself, 0 for others. Shape (voters, voters).

    Where one of a pair is one-sided, what counts is when they speak; else what they say where both do. The second kind
    is above 0 for any two voters in a table with examples that are hard for everyone: the median, up to 0.45, is no
    sign of a copy.

    Parameters
    ----------
    guess
        Shape (examples, classes): probability of each class, by a first guess.

    >>> from ml_assets.labeling.votes import read_votes
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(0, 2, 400)
    >>> said = [np.where(rng.random(400) < 0.7, truth, 1 - truth) for _ in range(2)]
    >>> votes = read_votes(np.stack([*said, said[1]], axis=1), [0, 1])
    >>> flagged_correlations(votes, np.eye(2)[truth], np.zeros(3, dtype=bool)).round(1).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    if not votes.n_examples:
        return np.zeros((len(votes.voters),) * 2)
    either = is_one_sided[:, None] | is_one_sided[None, :]
    by_firing, by_vote, lower = _firing_correlation(votes, guess), *_vote_correlation(votes, guess)
    compared = by_vote[~either & (by_vote != 0) & ~np.eye(len(by_vote), dtype=bool)]
    usual = min(max(float(np.median(compared)), 0.0), MOST_TAKEN_OFF) if compared.size >= MIN_PAIRS else 0.0
    is_flagged = np.where(either, by_firing > FLAGGED_FIRING, lower > FLAGGED_VOTES + usual)
    np.fill_diagonal(is_flagged, val=False)
    return np.where(is_flagged, np.minimum(np.where(either, by_firing, by_vote), 1.0), 0.0)


def _firing_correlation(votes: VoteMatrix, guess: FloatArray) -> FloatArray:
    """Correlate when voters vote for a class, given the guess; of the classes the largest. Shape (voters, voters)."""
    found = np.zeros((len(votes.voters),) * 2)
    for k in range(votes.n_classes):
        fires = (votes.votes == k).astype(np.float64)
        rate = guess.T @ fires / np.maximum(guess.sum(axis=0), 1e-9)[:, None]
        surprise = fires - guess @ rate
        surprise -= surprise.mean(axis=0)
        spread = surprise.std(axis=0)
        pairs = surprise.T @ surprise / max(len(fires), 1) / np.maximum(np.outer(spread, spread), 1e-12)
        rare = fires.sum(axis=0) < MIN_VOTES
        pairs[rare] = 0.0
        pairs[:, rare] = 0.0
        found = np.maximum(found, pairs)
    return found


def _vote_correlation(votes: VoteMatrix, guess: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Correlate what voters say where both vote, given the guess; 0 where few do.

    Returns
    -------
    correlation, lower
        Shapes (voters, voters); the second is two standard errors lower.
    """
    cast = (votes.votes != ABSTAIN).astype(np.float64)
    common = cast.T @ cast
    spoken = np.stack([guess.T @ (votes.votes == k) for k in range(votes.n_classes)], axis=2)  # class, voter, vote
    rates = (spoken + 0.5 / votes.n_classes) / (spoken.sum(axis=2, keepdims=True) + 0.5)
    together, apart = np.zeros_like(common), np.zeros_like(common)
    for k in range(votes.n_classes):
        surprise = ((votes.votes == k) - guess @ rates[:, :, k]) * cast
        together += surprise.T @ surprise
        squares = surprise**2
        apart += np.sqrt((squares.T @ cast) * (cast.T @ squares))
    found = together / np.maximum(apart, 1e-12)
    found[common < MIN_COMMON] = 0.0
    return found, found - _SURE / np.sqrt(np.maximum(common, 1))
