"""The PSI of windows of drops, and of the placebo windows inside a reference.

In go rows a drop and bin; out come logarithms of the steady PSI, of one window or of all windows side by side.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ml_assets.stats.binning import FloatArray
from ml_assets.stats.divergence import expected_psi, psi_of_rows

TINY_PSI = 1e-6  # PSI of two equal histograms is 0, whose logarithm is not finite


def log_steady_psi(references: NDArray[np.int64], windows: NDArray[np.int64]) -> FloatArray:
    """Give the log PSI of each window without the drop that moves it most.

    Parameters
    ----------
    references, windows
        Rows a bin, of shapes (n, bins) and (n, drops, bins). A window of one drop with rows is taken as it is; one
        without any is NaN.

    >>> calm, storm = [50, 50], [0, 100]
    >>> np.exp(log_steady_psi(np.array([[500, 500]]), np.array([[calm, calm, storm, calm]]))).round(4).tolist()
    [0.0]
    """
    total = windows.sum(axis=1, keepdims=True)
    without = total - windows
    without = np.where(without.sum(axis=2, keepdims=True) > 0, without, total)
    n, drops, bins = without.shape
    each = psi_of_rows(np.repeat(references, drops, axis=0), without.reshape(n * drops, bins)).reshape(n, drops)
    return np.log(each.min(axis=1) + TINY_PSI)


def log_psi_of_windows(by_day: NDArray[np.int64], window: int) -> FloatArray:
    """Give the log steady PSI of windows side by side, up to the last drop, against all other drops: the placebos.

    `by_day` has the shape (drops, bins). Windows without rows are left out.
    """
    windows = side_by_side(by_day, window)
    rests = by_day.sum(axis=0) - windows.sum(axis=1)
    has_rows = (windows.sum(axis=(1, 2)) > 0) & (rests.sum(axis=1) > 0)
    return log_steady_psi(rests[has_rows], windows[has_rows]) if has_rows.any() else np.empty(0)


def n_varying_windows(by_day: NDArray[np.int64], window: int) -> int:
    """Count the windows, side by side, in which not all rows fall into the fullest bin of the reference."""
    windows = side_by_side(by_day, window).sum(axis=1)
    fullest = int(by_day.sum(axis=0).argmax())
    return int((windows.sum(axis=1) > windows[:, fullest]).sum())


def side_by_side(by_day: NDArray[np.int64], window: int) -> NDArray[np.int64]:
    """Cut counts by drop and bin into windows side by side, up to the last drop: (windows, drops, bins)."""
    n = by_day.shape[0] // window
    return by_day[by_day.shape[0] - n * window :].reshape(n, window, by_day.shape[1])


def chance_psi(by_day: NDArray[np.int64], window: int) -> float:
    """Give the mean PSI that the placebo windows would have by their numbers of rows alone."""
    total = by_day.sum(axis=0)
    n_bins = int(np.count_nonzero(total))
    sizes = side_by_side(by_day, window).sum(axis=(1, 2))
    found = [expected_psi(float(total.sum() - n), float(n), n_bins) for n in sizes]
    return float(np.nanmean(found)) if np.isfinite(found).any() else math.nan
