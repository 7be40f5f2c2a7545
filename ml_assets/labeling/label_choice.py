"""Which labels to train on: of a label model, of the vote, or gold alone; by held-out gold, with the reason.

The newer half of the gold labels judges; the older half names the label model that is judged. A label model is used
only if it beats the vote there; the vote only if it beats always saying the most frequent class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ml_assets.labeling.label_models import LABEL_MODELS, VOTE, LabelModel
from ml_assets.labeling.votes import FloatArray, IntArray, VoteMatrix, accuracy_by_example, mean_accuracy
from ml_assets.stats.proportions import wilson_interval

GOLD_ALONE = "gold_alone"
MIN_GOLD = 20  # held-out gold labels below which nothing can be said
LEVEL = 0.9
_UNKNOWN_GAIN = (float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class MeasuredLabels:
    """Accuracy of one way to label, on the held-out gold labels, with Wilson's interval."""

    name: str
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class LabelChoice:
    """What was chosen and why.

    Attributes
    ----------
    chosen
        A name of `LABEL_MODELS`, or `gold_alone`.
    reason
        In words, with the figures that decided.
    n_gold, n_held_out
        Gold labels, and those that judged.
    measured
        Every label model on the held-out gold labels; empty where there are too few.
    gain
        Accuracy of the judged label model less that of the vote, with the 90 % interval of the paired difference; NaN
        where it was not measured.
    models
        The fitted label models.
    """

    chosen: str
    reason: str
    n_gold: int
    n_held_out: int
    measured: tuple[MeasuredLabels, ...]
    gain: tuple[float, float, float]
    models: Mapping[str, LabelModel]

    def probabilities(self, votes: VoteMatrix) -> FloatArray | None:
        """Give the probability of each class by what was chosen; None where gold alone is used."""
        return None if self.chosen == GOLD_ALONE else self.models[self.chosen].probabilities(votes)


def choose_labels(votes: VoteMatrix, gold: IntArray, *, min_gold: int = MIN_GOLD) -> LabelChoice:
    """Fit every label model to the votes, and choose by held-out gold which labels to use.

    Parameters
    ----------
    votes
        Of examples in order of time.
    gold
        Shape (examples,): position of the true class, negative where it is not known.
    min_gold
        Held-out gold labels that are needed to judge; with fewer the vote is used.
    """
    models = {name: fit(votes) for name, fit in LABEL_MODELS.items()}
    known = np.flatnonzero(gold >= 0)
    older, held_out = known[: len(known) // 2], known[len(known) // 2 :]
    if len(held_out) < min_gold:
        said = (
            f"{len(held_out)} held-out gold labels; {min_gold} are needed to compare a label model with the vote, so "
            "the vote is used"
        )
        return LabelChoice(VOTE, said, len(known), len(held_out), (), _UNKNOWN_GAIN, models)
    scores = {name: model.probabilities(votes.rows(known)) for name, model in models.items()}
    split, true = len(older), gold[known]
    measured = tuple(_measured(name, scores[name][split:], true[split:]) for name in scores)
    on_older = {name: mean_accuracy(scores[name][:split], true[:split]) for name in scores if name != VOTE}
    judged = max(on_older, key=lambda name: (on_older[name], name == "abstaining_em"))
    gain = _paired_gain(scores[judged][split:], scores[VOTE][split:], true[split:])
    frequent = int(np.bincount(true[:split]).argmax())
    chosen, reason = _verdict(judged, gain, measured, float((true[split:] == frequent).mean()))
    said = f"on {len(held_out)} held-out gold labels {reason}"
    return LabelChoice(chosen, said, len(known), len(held_out), measured, gain, models)


def _verdict(
    judged: str, gain: tuple[float, float, float], measured: tuple[MeasuredLabels, ...], one_class: float
) -> tuple[str, str]:
    by_name = {each.name: each for each in measured}
    compared = (
        f"{judged} has accuracy {by_name[judged].accuracy:.3f}, the vote "
        f"{by_name[VOTE].accuracy:.3f}: {gain[0]:+.3f}, 90 % interval {gain[1]:+.3f} to {gain[2]:+.3f}"
    )
    best = judged if gain[0] > 0 else VOTE
    if by_name[best].accuracy <= one_class:
        said = f"the most frequent class of the older gold labels has {one_class:.3f}, so gold labels alone are used"
        return GOLD_ALONE, f"{compared}; {said}"
    if best == VOTE:
        return VOTE, f"{compared}; no label model beats the vote, so the vote is used"
    return judged, f"{compared}; it beats the vote and is used"


def _measured(name: str, probabilities: FloatArray, true: IntArray) -> MeasuredLabels:
    accuracy = mean_accuracy(probabilities, true)
    low, high = wilson_interval(accuracy * len(true), len(true), LEVEL)
    return MeasuredLabels(name, accuracy, low, high)


def _paired_gain(probabilities: FloatArray, vote: FloatArray, true: IntArray) -> tuple[float, float, float]:
    """Give the mean difference in accuracy, example by example, with its 90 % normal interval."""
    differences = accuracy_by_example(probabilities, true) - accuracy_by_example(vote, true)
    mean = float(differences.mean())
    half = 1.6449 * float(differences.std(ddof=1)) / len(differences) ** 0.5 if len(differences) > 1 else float("nan")
    return mean, mean - half, mean + half
