"""Examples that are far from all that was seen: greedy k-center (Gonzalez 1985, Sener and Savarese 2018)."""

from __future__ import annotations

import numpy as np

from ml_assets.labeling.votes import FloatArray, IntArray


def choose_centers(points: FloatArray, n: int, seen: FloatArray | None = None) -> tuple[IntArray, FloatArray]:
    """Choose `n` points one after the other, each the farthest from those chosen and from those seen.

    Parameters
    ----------
    points
        Shape (points, features), finite, on one scale.
    seen
        Points that are known already. Without any, the first chosen is the one nearest to the mean.

    Returns
    -------
    positions, distances
        Of the chosen points in order, and how far each was from all before; of a first one without `seen`, from the
        mean.

    >>> positions, distances = choose_centers(np.array([[0.0], [1.0], [9.0], [10.0]]), 2, np.array([[0.0]]))
    >>> positions.tolist(), distances.tolist()
    ([3, 1], [10.0, 1.0])
    """
    n = min(n, len(points))
    chosen, far = np.empty(n, dtype=np.int64), np.empty(n)
    if not n:
        return chosen, far
    nearest = np.full(len(points), np.inf)
    for each in seen if seen is not None else ():
        nearest = np.minimum(nearest, _squared(points, each))
    for place in range(n):
        if np.isinf(nearest).all():
            from_mean = _squared(points, points.mean(axis=0))
            position = int(np.argmin(from_mean))
            distance = float(from_mean[position])
        else:
            position = int(np.argmax(nearest))
            distance = float(nearest[position])
        chosen[place], far[place] = position, np.sqrt(max(distance, 0.0))
        nearest = np.minimum(nearest, _squared(points, points[position]))
        nearest[chosen[: place + 1]] = -1.0  # a copy of a chosen point is as near as it, and still another example
    return chosen, far


def _squared(points: FloatArray, center: FloatArray) -> FloatArray:
    return ((points - center) ** 2).sum(axis=1)


def standardize(points: FloatArray, by: FloatArray | None = None) -> FloatArray:
    """Give columns a mean of 0 and a standard deviation of 1, those of `by` where given; unknown and constant are 0."""
    base = points if by is None else by
    is_known = np.isfinite(base)
    counts = np.maximum(is_known.sum(axis=0), 1)
    mean = np.where(is_known, base, 0.0).sum(axis=0) / counts
    deviation = np.sqrt(np.where(is_known, (base - mean) ** 2, 0.0).sum(axis=0) / counts)
    scaled = (points - mean) / np.where(deviation > 1e-12, deviation, np.inf)
    return np.where(np.isfinite(scaled), scaled, 0.0)
