"""Measure people's labels: each annotator against the others, and the examples they disagree on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_assets.labeling.dawid_skene import fit_dawid_skene
from ml_assets.labeling.votes import ABSTAIN, FloatArray, VoteMatrix
from ml_assets.stats.proportions import wilson_interval

LEVEL, LEAST_ANSWERS = 0.9, 10


@dataclass(frozen=True)
class AnnotatorQuality:
    """One annotator.

    Attributes
    ----------
    answers
        All of them.
    compared
        Answers on examples that others answered too.
    agreement
        Share of the compared answers that the consensus of the others holds true, in expectation; None of none.
    low, high
        Wilson's 90 % interval of it.
    is_flagged
        The interval lies below what the other annotators have in the mean.
    """

    annotator: str
    answers: int
    compared: int
    agreement: float | None
    low: float
    high: float
    is_flagged: bool


@dataclass(frozen=True)
class Disagreement:
    """An example that annotators answer differently; `consensus` and its probability are of Dawid and Skene's model."""

    place: int
    answers: tuple[tuple[str, str], ...]
    consensus: str
    probability: float


def rate_annotators(votes: VoteMatrix) -> list[AnnotatorQuality]:
    """Rate each annotator by the consensus of the others, in order of the columns.

    The consensus is of Dawid and Skene's model, fitted to all answers and asked without those of the annotator.
    """
    model, cast = fit_dawid_skene(votes), votes.votes >= 0
    hits, compared = np.zeros(len(votes.voters)), np.zeros(len(votes.voters), dtype=int)
    for place in range(len(votes.voters)):
        rows = np.flatnonzero(cast[:, place] & (cast.sum(axis=1) > 1))
        said = votes.votes[rows].copy()
        own = said[:, place].copy()
        said[:, place] = ABSTAIN
        others = model.probabilities(VoteMatrix(said, votes.classes, votes.voters))
        hits[place], compared[place] = others[np.arange(len(rows)), own].sum(), len(rows)
    found = []
    for place, name in enumerate(votes.voters):
        low, high = wilson_interval(hits[place], compared[place], LEVEL)
        rest = max(compared.sum() - compared[place], 1)
        usual = (hits.sum() - hits[place]) / rest
        found.append(
            AnnotatorQuality(
                name, int(cast[:, place].sum()), int(compared[place]),
                float(hits[place] / compared[place]) if compared[place] else None, low, high,
                bool(compared[place] >= LEAST_ANSWERS and high < usual),
            )
        )  # fmt: skip
    return found


def list_disagreements(votes: VoteMatrix) -> list[Disagreement]:
    """List the examples with different answers, those the consensus is least sure of first."""
    counts = votes.counts()
    consensus = fit_dawid_skene(votes).probabilities(votes)
    found = [_disagreement(votes, consensus, int(row)) for row in np.flatnonzero((counts > 0).sum(axis=1) > 1)]
    return sorted(found, key=lambda each: (each.probability, each.place))


def _disagreement(votes: VoteMatrix, consensus: FloatArray, row: int) -> Disagreement:
    said = votes.votes[row]
    answers = tuple((votes.voters[place], str(votes.classes[said[place]])) for place in np.flatnonzero(said >= 0))
    best = int(np.argmax(consensus[row]))
    return Disagreement(row, answers, str(votes.classes[best]), float(consensus[row, best]))
