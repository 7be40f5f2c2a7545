"""Intervals of shares: how far a counted share may be from the true one."""

from __future__ import annotations

from statistics import NormalDist


def wilson_interval(hits: float, n: float, level: float = 0.9) -> tuple[float, float]:
    """Give Wilson's score interval of a share; (0, 1) where nothing was counted.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927). It keeps its
    level for few cases and for shares near 0 and 1, where the normal interval does not.

    Parameters
    ----------
    hits
        Cases that count, 0 to `n`; may be a sum of fractions.

    >>> [round(bound, 4) for bound in wilson_interval(8, 10, 0.95)]
    [0.4902, 0.9433]
    """
    if n <= 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = hits / n
    middle = share + z * z / (2 * n)
    half = z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    scale = 1 + z * z / n
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
