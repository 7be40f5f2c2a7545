"""Less noise in an outcome by what was known of the unit before the experiment (CUPED)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Adjusted:
    """An outcome without what a covariate explains of it.

    Attributes
    ----------
    values
        One a row, in the unit of the outcome; their mean over all rows is that of the outcome.
    slope
        What was subtracted per unit of the covariate.
    variance_reduction
        Share of the variance that the covariate explains, from 0 to 1; 0 where either is constant.
    """

    values: NDArray[np.float64]
    slope: float
    variance_reduction: float


def adjust_by_covariate(outcome: ArrayLike, covariate: ArrayLike) -> Adjusted:
    """Subtract from an outcome what a covariate known before assignment explains of it.

    Deng, Xu, Kohavi and Walker (2013, WSDM): the difference of arms stays unbiased, since assignment cannot change the
    covariate. The slope is estimated from all rows, whatever their arm.

    Parameters
    ----------
    outcome, covariate
        One finite value a row. The covariate must not depend on the arm: the champion's score of every row, say.

    >>> found = adjust_by_covariate([1.0, 2.0, 3.0], [10.0, 20.0, 30.0])
    >>> found.values.tolist(), found.slope, found.variance_reduction
    ([2.0, 2.0, 2.0], 0.1, 1.0)
    """
    y, x = np.asarray(outcome, dtype=np.float64), np.asarray(covariate, dtype=np.float64)
    if y.size < 3 or x.std() == 0 or y.std() == 0:
        return Adjusted(y.copy(), 0.0, 0.0)
    centred = x - x.mean()
    slope = float(centred @ (y - y.mean()) / (centred @ centred))
    values = y - slope * centred
    return Adjusted(values, slope, float(1 - values.var() / y.var()))
