"""Labels that are likely wrong, by confident learning: cleanlab on predictions that never saw the label.

C. G. Northcutt, L. Jiang and I. L. Chuang, Confident learning: estimating uncertainty in dataset labels, JAIR 70
(2021). Nothing is dropped: what is found is for a person to look at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_assets.labeling.votes import FloatArray, IntArray

LEAST_ROWS, LEAST_OF_A_CLASS = 50, 10


@dataclass(frozen=True)
class LikelyLabelError:
    """A label that is likely wrong.

    Attributes
    ----------
    place
        Position of the row.
    given, suggested
        Positions of the class it is labeled as, and of the most probable one.
    probability
        Of the given class, as predicted ahead of it.
    reason
        In words, with the figures.
    """

    place: int
    given: int
    suggested: int
    probability: float
    reason: str


def find_label_errors(labels: IntArray, probabilities: FloatArray) -> list[LikelyLabelError]:
    """List labels that are likely wrong, the least probable first.

    A class is confidently predicted where its probability is at least the mean of the rows labeled so. How many labels
    of a class are wrong is estimated by how many of them are confidently another one; as many with the largest margin
    are listed (cleanlab's `prune_by_noise_rate`).

    Parameters
    ----------
    labels
        Shape (rows,): positions of the classes.
    probabilities
        Shape (rows, classes): predicted by models that were trained without the row. NaN where there is no prediction:
        the row is not judged.

    Raises
    ------
    ValueError
        On fewer than 50 judged rows, or fewer than 10 of a class: nothing can be said.
    """
    judged = np.flatnonzero(np.isfinite(probabilities).all(axis=1))
    given, predicted = labels[judged], probabilities[judged]
    counts = np.bincount(given, minlength=probabilities.shape[1])
    if len(judged) < LEAST_ROWS or counts.min() < LEAST_OF_A_CLASS:
        raise ValueError(
            f"{len(judged)} labels with a prediction ahead of them, {counts.min()} of the rarest class; {LEAST_ROWS} "
            f"and {LEAST_OF_A_CLASS} are needed"
        )
    from cleanlab.filter import find_label_issues

    predicted = predicted / predicted.sum(axis=1, keepdims=True)
    is_wrong = np.asarray(find_label_issues(given, predicted, filter_by="prune_by_noise_rate", n_jobs=1))
    usual = [float(predicted[given == k, k].mean()) for k in range(len(counts))]
    found = []
    for row in np.flatnonzero(is_wrong):
        own = float(predicted[row, given[row]])
        other = int(np.argmax(predicted[row]))
        said = (
            f"predicted ahead of it with probability {own:.3f}; labels of its class have {usual[given[row]]:.3f} in "
            f"the mean, and another class has {float(predicted[row, other]):.3f}"
        )
        found.append(LikelyLabelError(int(judged[row]), int(given[row]), other, own, said))
    return sorted(found, key=lambda each: (each.probability, each.place))
