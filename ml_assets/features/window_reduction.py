"""Sums and extremes of many slices of one array, exact and quick, with no subtraction.

A difference of two running sums is what most code does here; one huge value then leaves its
rounding error in every later window, and one NaN spoils them all. A tree of partial results has
neither fault: a slice is put together from the nodes that lie inside it, and only from those.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]


def reduce_slices(values: Floats, starts: Positions, ends: Positions, ufunc: np.ufunc, identity: float) -> Floats:
    """Reduce `values[start:end]` for each pair of `starts` and `ends`.

    Parameters
    ----------
    values
        Shape (n, k), finite: k columns reduced at once.
    starts, ends
        Shape (q,): slices of rows, end excluded; an empty slice gives `identity`.
    ufunc
        `numpy.add`, `numpy.minimum` or `numpy.maximum`.

    Returns
    -------
    array of shape (q, k)
        The order of additions depends on the positions alone: same slices of the same array, same bits.

    Notes
    -----
    The bottom-up segment tree of Bentley (1977): O(n) to build, O(log n) a slice.

    Examples
    --------
    >>> column = np.array([[1.0], [1e300], [2.0], [4.0]])
    >>> reduce_slices(column, np.array([2, 0]), np.array([4, 1]), np.add, 0.0).ravel().tolist()
    [6.0, 1.0]
    """
    found = np.full((starts.size, values.shape[1]), identity)
    left, right = starts.astype(np.int64), ends.astype(np.int64)
    level = values
    while True:
        is_open = left < right
        if not is_open.any():
            return found
        take = np.flatnonzero(is_open & ((left & 1) == 1))
        found[take] = ufunc(found[take], level[left[take]])
        left[take] += 1
        take = np.flatnonzero((left < right) & ((right & 1) == 1))
        right[take] -= 1
        found[take] = ufunc(found[take], level[right[take]])
        left >>= 1
        right >>= 1
        if level.shape[0] % 2:
            level = np.vstack([level, np.full((1, level.shape[1]), identity)])
        level = ufunc(level[0::2], level[1::2])
