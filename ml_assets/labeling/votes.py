"""Votes of labeling functions or people as a matrix: examples in rows, voters in columns."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ABSTAIN = -1
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class VoteMatrix:
    """What each voter says of each example.

    Attributes
    ----------
    votes
        Shape (examples, voters), int16: position in `classes`, or `ABSTAIN` where the voter says nothing.
    classes
        The possible labels, any number from two.
    voters
        Names of the functions or people, in order of the columns.
    """

    votes: NDArray[np.int16]
    classes: tuple[Hashable, ...]
    voters: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check shapes and values.

        Raises
        ------
        ValueError
            On fewer than two classes, a shape that does not fit, or a vote that is no class.
        """
        if len(self.classes) < 2:
            raise ValueError(f"classes: found {len(self.classes)}; allowed: two or more")
        if self.votes.ndim != 2 or self.votes.shape[1] != len(self.voters):
            raise ValueError(f"votes: found shape {self.votes.shape}; allowed: (examples, {len(self.voters)})")
        if self.votes.size and not (self.votes.min() >= ABSTAIN and self.votes.max() < len(self.classes)):
            allowed = f"{ABSTAIN} to {len(self.classes) - 1}"
            raise ValueError(f"votes: found {self.votes.min()} to {self.votes.max()}; allowed: {allowed}")

    @property
    def n_examples(self) -> int:
        """Number of rows."""
        return self.votes.shape[0]

    @property
    def n_classes(self) -> int:
        """Number of possible labels."""
        return len(self.classes)

    def rows(self, chosen: NDArray[np.bool_] | IntArray | slice) -> VoteMatrix:
        """Give the votes on some examples only."""
        return VoteMatrix(self.votes[chosen], self.classes, self.voters)

    def counts(self) -> FloatArray:
        """Count the votes for each class. Shape (examples, classes)."""
        return np.stack([(self.votes == k).sum(axis=1) for k in range(self.n_classes)], axis=1).astype(np.float64)

    def counts_by_voter(self) -> FloatArray:
        """Count the votes of each voter for each class. Shape (voters, classes)."""
        return np.stack([(self.votes == k).sum(axis=0) for k in range(self.n_classes)], axis=1).astype(np.float64)


def read_votes(values: Any, classes: Sequence[Hashable], voters: Sequence[str] | None = None) -> VoteMatrix:
    """Make a matrix of votes from labels, null (None or NaN) where a voter abstains.

    Parameters
    ----------
    values
        Shape (examples, voters): labels out of `classes`, or null.
    voters
        Their names; by default `0`, `1`, ...

    Raises
    ------
    ValueError
        On a vote that is none of `classes`.

    >>> read_votes([["spam", None], ["ham", "spam"]], ["ham", "spam"]).votes.tolist()
    [[1, -1], [0, 1]]
    """
    table = np.asarray(values, dtype=object)
    if table.ndim != 2:
        raise ValueError(f"votes: found {table.ndim} dimensions; allowed: 2, examples and voters")
    codes = np.full(table.shape, ABSTAIN, dtype=np.int16)
    is_known = np.array([value is None or value != value for value in table.flat], dtype=bool)  # noqa: PLR0124 - NaN
    is_known = is_known.reshape(table.shape)
    for position, label in enumerate(classes):
        found = table == label
        codes[found] = position
        is_known |= found
    if not is_known.all():
        raise ValueError(f"votes: found {table[~is_known][0]!r}; allowed: {', '.join(map(repr, classes))}, or null")
    return VoteMatrix(codes, tuple(classes), tuple(voters or map(str, range(table.shape[1]))))


def gather_votes(examples: IntArray, voters: IntArray, labels: IntArray, shape: tuple[int, int]) -> NDArray[np.int16]:
    """Lay votes out as a matrix of `shape`, from lists with one entry a vote.

    Of two votes of one voter on one example the last counts.

    >>> gather_votes(np.array([0, 1]), np.array([1, 0]), np.array([1, 0]), (2, 2)).tolist()
    [[-1, 1], [0, -1]]
    """
    votes = np.full(shape, ABSTAIN, dtype=np.int16)
    votes[examples, voters] = labels
    return votes


def mean_accuracy(probabilities: FloatArray, gold: IntArray) -> float:
    """Give the share of examples whose most probable class is the gold one; of n tied classes the right one counts 1/n.

    Parameters
    ----------
    probabilities
        Shape (examples, classes).
    gold
        Position of the true class; negative where it is not known, which is left out.

    >>> mean_accuracy(np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([0, 1]))
    0.75
    """
    hits = accuracy_by_example(probabilities, gold)
    return float(hits.mean()) if hits.size else float("nan")


def accuracy_by_example(probabilities: FloatArray, gold: IntArray) -> FloatArray:
    """Give for each example with a gold label 1 where the most probable class is right, 1/n where n tie, else 0."""
    known = gold >= 0
    p, true = probabilities[known], gold[known]
    is_top = p >= p.max(axis=1, keepdims=True) - 1e-12
    return is_top[np.arange(len(true)), true] / is_top.sum(axis=1)
