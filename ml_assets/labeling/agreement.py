"""Krippendorff's alpha: how far annotators agree beyond chance; any number of them, with missing values.

K. Krippendorff, Computing Krippendorff's alpha-reliability (2011). Alpha is 1 minus the observed disagreement
divided by the one expected were values drawn at random: 1 is perfect, 0 is chance, below 0 is worse than chance. Values
of a unit that only one annotator gave pair with nothing and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ml_assets.labeling.votes import FloatArray

Metric = Literal["nominal", "ordinal", "interval"]


@dataclass(frozen=True)
class AnnotatorAgreement:
    """Alpha with a percentile interval of resampled units.

    Attributes
    ----------
    alpha
        NaN where no unit has two values, or all values are the same: there is no disagreement to expect.
    units
        Units with two values or more.
    values
        Values in these units.
    """

    alpha: float
    low: float
    high: float
    level: float
    units: int
    values: int


def krippendorff_alpha(values: ArrayLike, metric: Metric = "nominal") -> float:
    """Give alpha of a table of values.

    Parameters
    ----------
    values
        Shape (units, annotators), NaN where there is none. Codes of classes for `nominal`; numbers whose order counts
        for `ordinal`, and whose distance counts for `interval`.

    Returns
    -------
    float
        NaN where it is not defined, see `AnnotatorAgreement`.

    >>> round(krippendorff_alpha([[0, 1], [1, 1], [0, 1], [0, 0], [0, 0], [0, 1], [0, 0], [0, 0], [1, 0], [0, 0]]), 3)
    0.095
    """
    coincidences, levels = _coincidences(np.asarray(values, dtype=np.float64))
    return _alpha(coincidences.sum(axis=0), levels, metric)


def measure_agreement(
    values: ArrayLike, metric: Metric, *, rng: np.random.Generator, resamples: int = 1000, level: float = 0.9
) -> AnnotatorAgreement:
    """Give alpha with the interval of units drawn again; parameters as of `krippendorff_alpha`.

    Bounds are NaN with fewer than two units.
    """
    table = np.asarray(values, dtype=np.float64)
    coincidences, levels = _coincidences(table)
    units = len(coincidences)
    low = high = float("nan")
    if units >= 2:
        flat = coincidences.reshape(units, -1)
        counts = rng.multinomial(units, np.full(units, 1 / units), size=resamples)
        sums = (counts @ flat).reshape(resamples, len(levels), len(levels))
        drawn = np.array([_alpha(each, levels, metric) for each in sums])
        drawn = drawn[np.isfinite(drawn)]
        if drawn.size:
            low, high = (float(bound) for bound in np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]))
    n_values = round(float(coincidences.sum()))
    return AnnotatorAgreement(_alpha(coincidences.sum(axis=0), levels, metric), low, high, level, units, n_values)


def _coincidences(table: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Count the pairs of values in each unit; each value counts once in sum. Shape (units, levels, levels)."""
    given = ~np.isnan(table)
    table, given = table[given.sum(axis=1) >= 2], given[given.sum(axis=1) >= 2]
    levels, codes = np.unique(table[given], return_inverse=True)
    counts = np.zeros((len(table), len(levels)))
    np.add.at(counts, (np.nonzero(given)[0], codes), 1.0)
    pairs = counts[:, :, None] * counts[:, None, :]
    places = np.arange(len(levels))
    pairs[:, places, places] -= counts
    return pairs / np.maximum(counts.sum(axis=1) - 1, 1)[:, None, None], levels


def _alpha(coincidences: FloatArray, levels: FloatArray, metric: Metric) -> float:
    totals = coincidences.sum(axis=1)
    distance = _squared_distance(totals, levels, metric)
    n = totals.sum()
    expected = float((np.outer(totals, totals) * distance).sum())
    if n <= 1 or expected <= 0:
        return float("nan")
    return float(1 - (n - 1) * (coincidences * distance).sum() / expected)


def _squared_distance(totals: FloatArray, levels: FloatArray, metric: Metric) -> FloatArray:
    if metric == "nominal":
        return 1 - np.eye(len(levels))
    if metric == "interval":
        return (levels[:, None] - levels[None, :]) ** 2
    middle = np.cumsum(totals) - totals / 2  # values from the middle of one level to that of the other
    return (middle[:, None] - middle[None, :]) ** 2
