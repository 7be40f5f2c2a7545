"""How many different values a slice of a column holds, for many slices at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.int64]


def count_distinct(codes: Whole, starts: Whole, ends: Whole) -> Whole:
    """Count the different codes in `codes[start:end]` for each pair; -1 is no value and is not counted.

    A value is new in a slice where it stood last before the slice begins. So the count is the number of positions
    below `end` whose previous position of the same code is before `start`, less those below `start`, all of which
    are. Counting under two bounds at once is done bit by bit, in a wavelet matrix (Claude and Navarro 2012): O(n log n)
    to build, O(log n) a slice.

    Examples
    --------
    >>> count_distinct(np.array([7, 7, -1, 8, 7]), np.array([0, 1, 2]), np.array([5, 3, 2])).tolist()
    [2, 1, 0]
    """
    kept = codes >= 0
    before = np.concatenate([[0], np.cumsum(kept)])
    codes, starts, ends = codes[kept], before[starts], np.maximum(before[ends], before[starts])
    order = np.argsort(codes, kind="stable")
    previous = np.zeros(codes.size, dtype=np.int64)  # 0: none before, else its position + 1
    same = codes[order][1:] == codes[order][:-1]
    previous[order[1:][same]] = order[:-1][same] + 1
    return _count_below(previous, ends, starts + 1) - starts


def _count_below(values: Whole, ends: Whole, bounds: Whole) -> Whole:
    """Count, for each pair, the `values[:end]` below `bound`; values are 0 to n."""
    low, high = np.zeros(ends.size, dtype=np.int64), ends.copy()
    found = np.zeros(ends.size, dtype=np.int64)
    for bit in reversed(range(int(values.size + 1).bit_length())):
        is_one = (values >> bit) & 1
        zeros = np.concatenate([[0], np.cumsum(1 - is_one)])
        low_zeros, high_zeros = zeros[low], zeros[high]
        goes_right = (bounds >> bit) & 1 == 1
        found += np.where(goes_right, high_zeros - low_zeros, 0)
        low = np.where(goes_right, zeros[-1] + low - low_zeros, low_zeros)
        high = np.where(goes_right, zeros[-1] + high - high_zeros, high_zeros)
        values = np.concatenate([values[is_one == 0], values[is_one == 1]])
    return found
