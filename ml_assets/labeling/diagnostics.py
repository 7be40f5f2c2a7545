"""What each voter does: how often it votes, overlaps with or contradicts others, and is right on gold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_assets.labeling.votes import IntArray, VoteMatrix
from ml_assets.stats.proportions import wilson_interval


@dataclass(frozen=True)
class VoterDiagnostics:
    """One voter.

    Attributes
    ----------
    classes
        What it votes for, as text, in order.
    coverage, overlap, conflict
        Shares of all examples: it votes; another votes too; another votes for another class.
    n_gold
        Examples with a gold label that it votes on.
    accuracy
        Share of them on which it is right; None where there are none.
    low, high
        Wilson's interval of the accuracy.
    """

    voter: str
    classes: tuple[str, ...]
    coverage: float
    overlap: float
    conflict: float
    n_gold: int
    accuracy: float | None
    low: float
    high: float


def diagnose_voters(votes: VoteMatrix, gold: IntArray, level: float = 0.9) -> list[VoterDiagnostics]:
    """Describe each voter, in order of the columns.

    Parameters
    ----------
    gold
        Shape (examples,): position of the true class, negative where it is not known.
    level
        Of the interval of the accuracy.

    >>> from ml_assets.labeling.votes import read_votes
    >>> first, second = diagnose_voters(read_votes([[1, 1], [1, 0], [None, 0], [None, None]], [0, 1]),
    ...                                 np.array([1, 1, -1, -1]))
    >>> first.coverage, first.overlap, first.conflict, first.accuracy, second.accuracy, second.n_gold
    (0.5, 0.5, 0.25, 1.0, 0.5, 2)
    """
    cast = votes.votes >= 0
    by_class = votes.counts()
    n_votes = by_class.sum(axis=1)
    found = []
    for place, voter in enumerate(votes.voters):
        said, spoke = votes.votes[:, place], cast[:, place]
        same = by_class[np.arange(len(said)), np.maximum(said, 0)]
        judged = spoke & (gold >= 0)
        n_gold, hits = int(judged.sum()), int((said == gold)[judged].sum())
        low, high = wilson_interval(hits, n_gold, level)
        found.append(
            VoterDiagnostics(
                voter=voter,
                classes=tuple(str(votes.classes[k]) for k in np.unique(said[spoke])),
                coverage=_share(spoke),
                overlap=_share(spoke & (n_votes > 1)),
                conflict=_share(spoke & (n_votes > same)),
                n_gold=n_gold,
                accuracy=hits / n_gold if n_gold else None,
                low=low,
                high=high,
            )
        )
    return found


def _share(rows: np.ndarray) -> float:
    return float(rows.mean()) if rows.size else 0.0
