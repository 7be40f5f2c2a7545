"""How unusual a measurement is beside measurements of the same kind when nothing was wrong: its placebos.

A fixed threshold such as PSI above 0.2 is crossed every week by some columns and never by others. Here each monitor
is measured in the unit of its own placebos, and a family of monitors shares one budget of false alarms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

FAMILIES = 3  # feeds, features against the drops before, features against the training window


@dataclass(frozen=True)
class Standing:
    """A measurement in the unit of its placebos.

    Attributes
    ----------
    value, z
        The measurement, and its distance from the placebos' mean in their standard deviations; NaN
        where either cannot be told.
    threshold
        The |z| above which it is unusual; infinite with fewer than two independent placebos.
    placebo_mean, placebo_sd, n_placebos, n_independent
        What it rests on. Windows that overlap are not independent: `n_independent` counts those that do not.
    """

    value: float
    z: float
    threshold: float
    placebo_mean: float
    placebo_sd: float
    n_placebos: int
    n_independent: float

    @property
    def is_over(self) -> bool:
        """Say whether the measurement is unusual."""
        return bool(abs(self.z) > self.threshold)


def false_alarm_rate(budget: timedelta, window: timedelta, n_monitors: float, families: int = 1) -> float:
    """Give the share of windows in which one monitor may be over by chance, so that the family keeps its budget.

    The budget, one false alarm in `budget`, is divided over the windows that fit into it side by side, the families
    and the monitors (Bonferroni's inequality). Windows that overlap look again at the same days: what they add is
    left to the persistence that an alarm needs.

    >>> round(false_alarm_rate(timedelta(weeks=26), timedelta(weeks=1), 20, families=3), 6)
    0.000641
    """
    return 1 / (max(1.0, budget / window) * max(1.0, n_monitors) * families)


def rate_with_persistence(rate: float, k: int, n: int) -> float:
    """Give the share of drops that may be over when an alarm needs k of n and may come at `rate`.

    Were drops independent, C(n, k) r^k of them would alarm at a share r over; were they all alike, r. Real drops are
    neither: the geometric mean of both answers is taken, and measured on real history.

    >>> rate_with_persistence(1e-5, 1, 1), rate_with_persistence(1e-5, 2, 3).__round__(6)
    (1e-05, 0.000135)
    """
    independent = (rate / math.comb(n, k)) ** (1 / k)
    return math.sqrt(rate * max(rate, min(1.0, independent)))


def effective_monitors(placebos: ArrayLike) -> float:
    """Give how many independent monitors would vary as these do: many features move together.

    1 + (M - 1)(1 - Var(eigenvalues of their correlation) / M), between 1 and M (Nyholt, 2004, Am. J. Hum. Genet. 74).

    Parameters
    ----------
    placebos
        Shape (placebos, monitors). Monitors that never vary count as one more each; fewer than three placebos tell
        nothing, and every monitor counts.

    >>> effective_monitors([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0], [0.0, 0.0]]).__round__(6)
    1.0
    """
    values = np.asarray(placebos, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < 3:
        return float(values.shape[-1]) if values.ndim == 2 else 1.0
    varies = np.isfinite(values).all(axis=0) & (values.std(axis=0) > 1e-12)
    still, moving = int((~varies).sum()), int(varies.sum())
    if moving < 2:
        return float(still + moving)
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(values[:, varies], rowvar=False))
    effective = 1 + (moving - 1) * (1 - float(eigenvalues.var(ddof=1)) / moving)
    return still + min(max(effective, 1.0), float(moving))


@cache
def threshold_of(rate: float, n_independent: float) -> float:
    """Give the |z| that a new measurement exceeds with probability `rate`, knowing `n_independent` placebos.

    Student's two-sided quantile for a new observation beside n others, t(n - 1) sqrt(1 + 1/n): the mean and the
    deviation were themselves estimated from few placebos. Infinite below two.

    >>> round(threshold_of(0.05, 28), 2), threshold_of(0.05, 1)
    (2.09, inf)
    """
    if n_independent < 2:
        return math.inf
    from scipy.special import stdtrit

    return float(-stdtrit(n_independent - 1, rate / 2) * math.sqrt(1 + 1 / n_independent))


def standing_of(
    value: float, placebos: ArrayLike, *, rate: float, floor: float, n_independent: float | None = None
) -> Standing:
    """Put a measurement beside its placebos.

    Parameters
    ----------
    placebos
        Measurements of the same kind; those that are not finite are left out.
    floor
        The least deviation that counts as one: placebos that never varied say little of what would be unusual.
    n_independent
        How many of the placebos are independent; by default all.

    >>> standing_of(9.0, [1.0, 3.0, 1.0, 3.0], rate=0.01, floor=0.1).z.__round__(2)
    6.06
    """
    known = np.asarray(placebos, dtype=np.float64)
    known = known[np.isfinite(known)]
    n = float(known.size if n_independent is None else min(n_independent, known.size))
    if known.size < 2 or not math.isfinite(value):
        return Standing(value, math.nan, math.inf, math.nan, math.nan, int(known.size), n)
    mean, deviation = float(known.mean()), max(float(known.std(ddof=1)), floor)
    return Standing(value, (value - mean) / deviation, threshold_of(rate, n), mean, deviation, int(known.size), n)


def persistent(recent: ArrayLike, k: int, n: int) -> float:
    """Give the k-th largest of the last n values, which exceeds a threshold when k of n do; 0 of fewer than k.

    >>> persistent([9.0, 0.1, 7.0], 2, 3), persistent([9.0], 2, 3)
    (7.0, 0.0)
    """
    last = np.asarray(recent, dtype=np.float64)[-n:]
    last = np.sort(np.where(np.isfinite(last), last, 0.0))
    return float(last[-k]) if last.size >= k else 0.0
