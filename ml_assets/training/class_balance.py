"""What a rare class is given, by declared rule, among training rows only; calibration afterwards undoes the shift."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from ml_assets.spec.model import Imbalance


def balanced(
    rule: Imbalance, labels: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
    """Give the positions of the rows to train on, in order, and how much each counts (None: evenly).

    `weights` lets both classes weigh the same in sum; `undersample` draws as many rows of the larger class as there
    are of the smaller one, without replacement. Either moves every score: what is trained so has to be calibrated.

    >>> rng = np.random.default_rng(0)
    >>> labels = np.array([0.0, 0, 0, 1])
    >>> balanced("weights", labels, rng)[1].round(2).tolist()
    [0.67, 0.67, 0.67, 2.0]
    >>> len(balanced("undersample", labels, rng)[0])
    2
    """
    everything = np.arange(labels.size)
    if rule == "none":
        return everything, None
    if rule == "weights":
        from sklearn.utils.class_weight import compute_sample_weight

        return everything, compute_sample_weight("balanced", labels)
    few, many = sorted((everything[labels == 1], everything[labels == 0]), key=len)
    return np.sort(np.concatenate([few, rng.choice(many, size=few.size, replace=False)])), None


def with_label_weights(
    train: pd.DataFrame, taken: NDArray[np.int64], weights: NDArray[np.float64] | None
) -> NDArray[np.float64] | None:
    """Multiply how much rows count by how sure their labels are, and by how they were drawn.

    Parameters
    ----------
    train
        Training rows; without the columns `label_weight` and `sample_weight`, `weights` stay.
    taken
        Positions of the rows that are trained on.

    >>> import pandas as pd
    >>> with_label_weights(pd.DataFrame({"label_weight": [1.0, 0.2]}), np.array([0, 1]), np.array([2.0, 2.0])).tolist()
    [2.0, 0.4]
    """
    for name in ("label_weight", "sample_weight"):
        if name in train.columns:
            own = train[name].to_numpy(dtype=np.float64)[taken]
            weights = own if weights is None else weights * own
    return weights
