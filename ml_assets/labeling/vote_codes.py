"""Votes packed for speed: several voters share one code, so that a pass over a million examples is a few look-ups.

A group of voters with few possible votes has few combinations. The log-likelihood of each combination is computed once,
and an example looks its own up; expected counts are summed by combination and then split by voter. Both are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_assets.labeling.votes import FloatArray, VoteMatrix

_SMALLEST_TABLE, _LARGEST_TABLE = 64, 1 << 16


@dataclass(frozen=True, eq=False)
class VoteCodes:
    """Votes by group of voters.

    Attributes
    ----------
    codes
        For each group an array of shape (examples,): the combination of votes, 0 is an abstention in each place.
    groups
        For each group the positions of its voters.
    n_classes
        Votes of a voter take `n_classes + 1` values: the classes, then the abstention.
    """

    codes: tuple[NDArray[np.int32], ...]
    groups: tuple[range, ...]
    n_classes: int

    def log_likelihood(self, log_emission: FloatArray) -> FloatArray:
        """Sum over voters the log-probability of what each said, given each class.

        Parameters
        ----------
        log_emission
            Shape (voters, classes, classes + 1): of a vote for each class, then of an abstention.

        Returns
        -------
        array
            Shape (examples, classes).
        """
        total = np.zeros((self.codes[0].size, self.n_classes))
        for code, group in zip(self.codes, self.groups, strict=True):
            table = np.zeros((1, self.n_classes))
            for voter in group:
                by_vote = np.roll(log_emission[voter], 1, axis=1).T  # the abstention first
                table = (table[:, None, :] + by_vote[None, :, :]).reshape(-1, self.n_classes)
            total += table[code]
        return total

    def expected_votes(self, probabilities: FloatArray) -> FloatArray:
        """Sum the probabilities of classes over the examples on which a voter gave each vote.

        Parameters
        ----------
        probabilities
            Shape (examples, classes).

        Returns
        -------
        array
            Shape (voters, classes, classes + 1): true class, then the vote, the abstention last.
        """
        values = self.n_classes + 1
        found = np.empty((self.groups[-1].stop, self.n_classes, values))
        for code, group in zip(self.codes, self.groups, strict=True):
            size = values ** len(group)
            for k in range(self.n_classes):
                sums = np.bincount(code, probabilities[:, k], size).reshape((values,) * len(group))
                for place, voter in enumerate(group):
                    others = tuple(axis for axis in range(len(group)) if axis != place)
                    found[voter, k] = np.roll(sums.sum(axis=others), -1)
        return found


def encode_votes(matrix: VoteMatrix) -> VoteCodes:
    """Pack votes; a group is as large as keeps its combinations fewer than the examples.

    >>> from ml_assets.labeling.votes import read_votes
    >>> packed = encode_votes(read_votes([[0, None], [1, 1]], [0, 1]))
    >>> packed.expected_votes(np.array([[1.0, 0.0], [0.2, 0.8]]))[1].tolist()
    [[0.0, 0.2, 1.0], [0.0, 0.8, 0.0]]

    Raises
    ------
    ValueError
        On a matrix without voters.
    """
    n_voters, values = len(matrix.voters), matrix.n_classes + 1
    if not n_voters:
        raise ValueError("votes: found no voter; allowed: one or more")
    bound = min(max(matrix.n_examples, _SMALLEST_TABLE), _LARGEST_TABLE)
    size = max(1, int(np.log(bound) / np.log(values)))
    groups = tuple(range(start, min(start + size, n_voters)) for start in range(0, n_voters, size))
    codes = []
    for group in groups:
        code = np.zeros(matrix.n_examples, dtype=np.int32)
        for voter in group:
            code = code * values + (matrix.votes[:, voter] + 1)
        codes.append(code.astype(np.int32))
    return VoteCodes(tuple(codes), groups, matrix.n_classes)
