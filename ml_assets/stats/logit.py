"""Between probabilities and log odds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

SMALLEST = 1e-7  # nearer to 0 or 1 a probability counts as this: its log odds are beyond what data can tell


def logit(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Log odds, finite also of 0 and 1.

    >>> logit([0.5]).tolist(), round(float(logit(1.0)), 1)
    ([0.0], 16.1)
    """
    from scipy.special import logit as log_odds  # pyright: ignore[reportMissingTypeStubs]

    p = np.clip(np.asarray(probabilities, dtype=np.float64), SMALLEST, 1 - SMALLEST)
    return np.asarray(log_odds(p), dtype=np.float64)


def sigmoid(log_odds: ArrayLike) -> NDArray[np.float64]:
    """Probability of log odds, without overflow.

    >>> sigmoid([0.0, -1000.0, 1000.0]).tolist()
    [0.5, 0.0, 1.0]
    """
    from scipy.special import expit  # pyright: ignore[reportMissingTypeStubs]

    return np.asarray(expit(np.asarray(log_odds, dtype=np.float64)), dtype=np.float64)
