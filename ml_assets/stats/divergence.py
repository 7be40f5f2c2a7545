"""How far the values of a window lie from those of a reference.

Of counts over the same bins: `psi`, `jensen_shannon`. Of the values themselves: `ks`, `wasserstein`; these see finite
values only, what is null or infinite is counted by the bins (see `binning`). What is undefined for lack of rows is
NaN, never a number that looks measured. How large is too large is not judged here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def psi(reference_counts: ArrayLike, window_counts: ArrayLike, *, pseudo_count: float = 0.5) -> float:
    """Population stability index of two histograms over the same bins, in nats.

    PSI = sum over bins of (w - r) ln(w / r), with r and w the shares of a bin (Siddiqi, 2006); the same as the
    symmetric divergence of Kullback and Leibler (1951, after Jeffreys). Symmetric, at least 0, without upper bound.

    Parameters
    ----------
    reference_counts, window_counts
        Rows a bin, of one length.
    pseudo_count
        Added to both counts of each bin that either side fills, before shares are taken; 0.5 is the prior of
        Jeffreys. Bins that are empty on both sides are left out. With 0 this is the plain formula.

    Returns
    -------
    float
        NaN when either side has no rows; inf when pseudo_count is 0 and one side alone is empty in a bin.

    Raises
    ------
    ValueError
        On counts of different length, counts that are negative or not finite, or a negative pseudo_count.

    >>> round(psi([50, 50], [80, 20], pseudo_count=0), 4)
    0.4159
    >>> psi([50, 50, 0], [50, 50, 0])
    0.0
    """
    r, w = _checked_counts(reference_counts, window_counts, dimensions=1)
    return float(psi_of_rows(r[np.newaxis], w[np.newaxis], pseudo_count=pseudo_count)[0])


def psi_of_rows(
    reference_counts: ArrayLike, window_counts: ArrayLike, *, pseudo_count: float = 0.5
) -> NDArray[np.float64]:
    """`psi` of each of k pairs of histograms, such as k windows, each with its own reference.

    Parameters
    ----------
    reference_counts, window_counts
        Rows a bin, both of shape (k, bins).
    pseudo_count
        As in `psi`.

    Returns
    -------
    NDArray
        k values; NaN and inf as in `psi`.

    Raises
    ------
    ValueError
        On counts of different shape, counts that are negative or not finite, or a negative pseudo_count.

    >>> psi_of_rows([[50, 50], [0, 0]], [[50, 50], [3, 4]]).tolist()
    [0.0, nan]
    """
    if not 0 <= pseudo_count < np.inf:
        raise ValueError(f"pseudo_count must be finite and at least 0, got {pseudo_count}")
    r, w = _checked_counts(reference_counts, window_counts, dimensions=2)
    is_filled = (r > 0) | (w > 0)
    has_rows = (r.sum(axis=1) > 0) & (w.sum(axis=1) > 0)
    with np.errstate(divide="ignore", invalid="ignore"):  # empty bins and empty rows are put right just below
        r_share, w_share = (
            smoothed / smoothed.sum(axis=1, keepdims=True)
            for smoothed in (np.where(is_filled, counts + pseudo_count, 0.0) for counts in (r, w))
        )
        # a difference of logs, not the log of a quotient: exactly symmetric, and never of the other sign than w - r
        terms = (w_share - r_share) * (np.log(w_share) - np.log(r_share))
    return np.where(has_rows, np.where(is_filled, terms, 0.0).sum(axis=1), np.nan)


def expected_psi(n_reference: float, n_window: float, n_bins: int) -> float:
    """PSI that two samples of one distribution have on average: few rows alone move a histogram.

    (bins - 1)(1/n + 1/m), from the chi-squared limit of PSI (Yurdakul and Naranjo, 2020, Journal of Risk Model
    Validation 14). NaN without rows.

    >>> round(expected_psi(1000, 100, 11), 4)
    0.11
    """
    if n_reference <= 0 or n_window <= 0:
        return float("nan")
    return max(1, n_bins - 1) * (1 / n_reference + 1 / n_window)


def jensen_shannon(reference_counts: ArrayLike, window_counts: ArrayLike) -> float:
    """Jensen-Shannon distance of two histograms over the same bins: 0 when of equal shares, 1 when nothing is shared.

    The square root of (KL(r, m) + KL(w, m)) / 2 in bits, with r and w the shares of a bin and m their mean (Lin,
    1991; Endres and Schindelin, 2003). Symmetric, and a metric.

    Parameters
    ----------
    reference_counts, window_counts
        Rows a bin, of one length.

    Returns
    -------
    float
        In [0, 1]; NaN when either side has no rows.

    Raises
    ------
    ValueError
        On counts of different length, or counts that are negative or not finite.

    >>> jensen_shannon([10, 0], [0, 3])
    1.0
    >>> round(jensen_shannon([50, 50], [80, 20]), 4)
    0.2704
    """
    from scipy.spatial.distance import jensenshannon  # pyright: ignore[reportMissingTypeStubs]

    r, w = _checked_counts(reference_counts, window_counts, dimensions=1)
    if r.sum() == 0 or w.sum() == 0:
        return float("nan")
    distance: Any = jensenshannon(r, w, base=2)  # takes the shares itself
    return min(float(distance), 1.0)


def ks(reference: ArrayLike, window: ArrayLike, *, is_sorted: bool = False) -> float:
    """Two-sample Kolmogorov-Smirnov statistic: the largest distance of the two empirical distribution functions.

    sup over t of |F(t) - G(t)| (Smirnov, 1939), exact with ties. Between neighbouring values of one sample its
    distribution function is flat while the other can only rise; the supremum is therefore reached at a value of that
    sample or just below one. Hence only the values of the smaller sample are looked up in the larger.

    Parameters
    ----------
    reference, window
        Values; NaN and infinities are left out.
    is_sorted
        True when both are already in the order of `numpy.sort` (NaN last), which is then not checked.

    Returns
    -------
    float
        In [0, 1], symmetric; NaN when either side has no finite value.

    Raises
    ------
    ValueError
        On values that are not one-dimensional.

    >>> ks([1, 2, 3, 4], [3, 4, 4, 5])
    0.5
    """
    small, large = _smaller_first(_finite_sorted(reference, is_sorted), _finite_sorted(window, is_sorted))
    if not small.size:
        return float("nan")
    is_new = np.append(True, small[1:] > small[:-1])
    values = small[is_new]
    n_below = np.flatnonzero(is_new)
    n_up_to = np.append(n_below[1:], small.size)
    just_below = np.searchsorted(large, values, side="left") / large.size - n_below / small.size
    at_value = np.searchsorted(large, values, side="right") / large.size - n_up_to / small.size
    return float(max(np.abs(just_below).max(), np.abs(at_value).max()))


def wasserstein(reference: ArrayLike, window: ArrayLike, *, is_sorted: bool = False) -> float:
    """First Wasserstein distance, in the unit of the values: how far a value must move on average.

    The integral of |F(t) - G(t)| over t, with F and G the empirical distribution functions (Vallender, 1974).

    Parameters
    ----------
    reference, window
        Values; NaN and infinities are left out.
    is_sorted
        True when both are already in the order of `numpy.sort` (NaN last), which is then not checked.

    Returns
    -------
    float
        At least 0, symmetric; NaN when either side has no finite value.

    Raises
    ------
    ValueError
        On values that are not one-dimensional.

    >>> wasserstein([0, 1, 3], [5, 6, 8])
    5.0
    """
    small, large = _smaller_first(_finite_sorted(reference, is_sorted), _finite_sorted(window, is_sorted))
    if not small.size:
        return float("nan")
    position = np.searchsorted(large, small)
    merged = np.insert(large, position, small)
    # F - G after each value, times both sizes: whole numbers, hence exact. In place, because with 200,000 values the
    # time goes into fresh memory. Within a tie F - G is half way, but the step to the next value is 0 there.
    lead = np.full(merged.size, float(small.size))
    lead[position + np.arange(small.size)] = -float(large.size)
    np.cumsum(lead, out=lead)
    np.abs(lead, out=lead)
    area = lead[:-1]
    area *= np.diff(merged)
    return float(area.sum()) / (small.size * large.size)


def _smaller_first(one: FloatArray, other: FloatArray) -> tuple[FloatArray, FloatArray]:
    return (one, other) if one.size <= other.size else (other, one)


def _finite_sorted(values: ArrayLike, is_sorted: bool) -> FloatArray:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1:
        raise ValueError(f"values must be one-dimensional, got shape {found.shape}")
    if not is_sorted:
        return np.sort(found[np.isfinite(found)])
    start = np.searchsorted(found, -np.inf, side="right")
    stop = np.searchsorted(found, np.inf, side="left")
    return found[start:stop]


def _checked_counts(
    reference_counts: ArrayLike, window_counts: ArrayLike, *, dimensions: int
) -> tuple[FloatArray, FloatArray]:
    # order="C": rows are then summed in one order, whatever the layout, and `psi_of_rows` equals `psi` to the last bit
    r = np.asarray(reference_counts, dtype=np.float64, order="C")
    w = np.asarray(window_counts, dtype=np.float64, order="C")
    if r.ndim != dimensions or r.shape != w.shape:
        raise ValueError(
            f"counts must be of one shape with {dimensions} dimension(s), got shapes {r.shape} and {w.shape}"
        )
    for name, counts in (("reference_counts", r), ("window_counts", w)):
        is_wrong = ~((counts >= 0) & (counts < np.inf))
        if is_wrong.any():
            raise ValueError(f"{name} must be finite and at least 0: {int(is_wrong.sum())} are not")
    return r, w
