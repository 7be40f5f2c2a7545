"""Whether acting on the list changes the outcomes that are learned of: examples just on it beside those just not.

What people do about an example may keep from happening what was predicted. Its label is then that of the action, and a
model that learns of it unlearns what the list was for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LEVEL, RESAMPLES = 0.9, 2000
LEAST, LEAST_DROPS = 30, 10  # examples on either side, and drops, below which nothing is said
_LEAST_WIDE = 3  # places on the list from which on a trend along it can be told


@dataclass(frozen=True)
class ActedComparison:
    """Acted examples beside the next ones, as many a drop.

    Attributes
    ----------
    n_acted, n_next, n_drops
        Labelled examples on the list and just below it, and drops.
    label_acted, label_next, score_acted, score_next
        Means.
    jump, lower, upper
        By how much the label less the score changes where the list ends, in the unit of the label, with its 90 %
        interval from resampled drops; below zero acting lowers labels. None where there is too little to say.
    """

    n_acted: int
    n_next: int
    n_drops: int
    label_acted: float | None
    label_next: float | None
    score_acted: float | None
    score_next: float | None
    jump: float | None = None
    lower: float | None = None
    upper: float | None = None

    @property
    def is_changed(self) -> bool:
        """Say whether labels surely change where the list ends."""
        return self.lower is not None and self.upper is not None and (self.lower > 0 or self.upper < 0)


def compare_acted(
    drops: npt.NDArray[np.int64], places: Floats, labels: Floats, scores: Floats, rng: np.random.Generator
) -> ActedComparison:
    """Compare examples by where they stood beside the end of the list.

    Parameters
    ----------
    drops
        A number a drop.
    places
        The rank less half a place, beside the length of the list: from -1 to 0 on it, from 0 to 1 just below it.
    labels, scores
        Of the same examples, finite.

    Notes
    -----
    A regression discontinuity (Thistlethwaite and Campbell 1960; Imbens and Lemieux 2008): the jump of a line that is
    fitted to label less score on either side. Lists of fewer than three places have no line; their means are compared.
    The interval resamples whole drops.
    """
    acted = places < 0
    counted = ActedComparison(
        n_acted=int(acted.sum()),
        n_next=int((~acted).sum()),
        n_drops=int(np.unique(drops).size),
        label_acted=_mean(labels[acted]),
        label_next=_mean(labels[~acted]),
        score_acted=_mean(scores[acted]),
        score_next=_mean(scores[~acted]),
    )
    if min(counted.n_acted, counted.n_next) < LEAST or counted.n_drops < LEAST_DROPS:
        return counted
    columns = [np.ones(places.size), acted.astype(np.float64)]
    if np.unique(places[acted]).size >= _LEAST_WIDE and np.unique(places[~acted]).size >= _LEAST_WIDE:
        columns += [places, places * acted]
    design = np.column_stack(columns)
    groups = np.unique(drops, return_inverse=True)[1]
    squares = np.zeros((counted.n_drops, design.shape[1], design.shape[1]))
    products = np.zeros((counted.n_drops, design.shape[1]))
    np.add.at(squares, groups, design[:, :, None] * design[:, None, :])
    np.add.at(products, groups, design * (labels - scores)[:, None])
    drawn = rng.integers(0, counted.n_drops, size=(RESAMPLES, counted.n_drops))
    jumps = [_jump(squares[chosen].sum(axis=0), products[chosen].sum(axis=0)) for chosen in drawn]
    lower, upper = np.quantile(jumps, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    jump = _jump(squares.sum(axis=0), products.sum(axis=0))
    return replace(counted, jump=jump, lower=float(lower), upper=float(upper))


def _jump(squares: Floats, products: Floats) -> float:
    return float(np.linalg.lstsq(squares, products, rcond=None)[0][1])


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if values.size else None


def acted_sentence(found: ActedComparison) -> str:
    """Say what was found in a sentence or two."""
    if found.jump is None:
        return (
            f"not enough data to say whether acting changes labels: {found.n_acted} labelled examples were on the list "
            f"and {found.n_next} just below it, in {found.n_drops} drops; {LEAST} of each and {LEAST_DROPS} are needed"
        )
    measured = (
        f"beside what scores say, labels of the {found.n_acted} acted examples differ by {found.jump:+.3g} "
        f"({found.lower:+.3g} to {found.upper:+.3g}) from those just below the list"
    )
    if not found.is_changed:
        return f"{measured}: no sure sign that acting changes labels"
    return (
        f"{measured}: labels of acted examples are no longer natural, and a model trained on them learns what people "
        "did. Keep a share of the list, drawn by chance, from being acted on: it shows what would have come"
    )
