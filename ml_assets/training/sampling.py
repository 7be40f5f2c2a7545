"""Training rows drawn as declared: each that is drawn keeps how much it counts and why; others are left out.

Every row has a number of its own, a hash of the seed and its example, so that a draw does not depend on the order of
rows and changes little from one training set to the next: a row stays until newer ones displace it, as in a reservoir.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.sampling import IMPORTANCE, RESERVOIR, STRATIFIED, TIME, Sampling

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SampledRows:
    """What was drawn of rows.

    Attributes
    ----------
    places
        Positions of the rows drawn, rising.
    weights, reasons
        Of each row drawn.
    """

    places: NDArray[np.int64]
    weights: FloatArray
    reasons: NDArray[np.object_]


def sample_rows(
    sampling: Sampling, names: Sequence[str], ages_s: FloatArray, columns: Mapping[str, Sequence[Any]], seed: int
) -> SampledRows:
    """Draw training rows.

    Parameters
    ----------
    names
        The example of each row.
    ages_s
        How much older each row is than the newest, in seconds.
    columns
        Values of what `by` and `importance` name.

    Returns
    -------
    SampledRows
        Weights of `reservoir`, `stratified` and `importance_weighted` undo what the draw prefers: they add up to about
        the number of rows. Those of `time_weighted` do not: older rows are meant to count less.

    Raises
    ------
    ValueError
        Where an importance is missing, negative or not finite.

    >>> drawn = sample_rows(Sampling(method="reservoir", rows=2), ["a", "b", "c", "d"], np.zeros(4), {}, 0)
    >>> len(drawn.places), drawn.weights.tolist(), drawn.reasons[0]
    (2, [2.0, 2.0], 'reservoir: 2 of 4')
    """
    keys = uniform_of(names, seed)
    if sampling.method == STRATIFIED:
        return _stratified(sampling, keys, [columns[name] for name in sampling.by])
    if sampling.method == TIME and sampling.half_life is not None:
        return _by_time(sampling, keys, ages_s)
    if sampling.method == IMPORTANCE and sampling.importance is not None:
        return _by_importance(sampling, keys, np.asarray(columns[sampling.importance], dtype=np.float64))
    if sampling.method == RESERVOIR:
        return _reservoir(sampling, keys)
    everything = np.arange(len(names))
    return SampledRows(everything, np.ones(len(names)), np.full(len(names), "all", dtype=object))


def uniform_of(names: Sequence[str], seed: int) -> FloatArray:
    """Give each name a number between 0 and 1, the same for the same seed.

    >>> bool(uniform_of(["a"], 1)[0] == uniform_of(["b", "a"], 1)[1])
    True
    """
    digests = (hashlib.sha256(f"{seed}\0{name}".encode()).digest()[:8] for name in names)
    return (np.array([int.from_bytes(each) for each in digests], dtype=np.float64) + 0.5) / 2.0**64


def _reservoir(sampling: Sampling, keys: FloatArray) -> SampledRows:
    count = min(sampling.rows or len(keys), len(keys))
    places = np.sort(np.argsort(keys, kind="stable")[:count])
    said = f"reservoir: {count} of {len(keys)}"
    return SampledRows(places, np.full(count, len(keys) / max(count, 1)), np.full(count, said, dtype=object))


def _stratified(sampling: Sampling, keys: FloatArray, by: Sequence[Sequence[Any]]) -> SampledRows:
    """Draw as many rows of each stratum, and of those with fewer all; what these leave is shared among the others."""
    strata = list(zip(*by, strict=True))
    sizes = Counter(strata)
    quota = _quotas(sizes, sampling.rows or len(keys))
    drawn: Counter[Any] = Counter()
    chosen: list[int] = []
    for place in np.argsort(keys, kind="stable").tolist():
        if drawn[strata[place]] < quota[strata[place]]:
            drawn[strata[place]] += 1
            chosen.append(place)
    places = np.sort(np.array(chosen, dtype=np.int64))
    said = {
        each: f"stratum {', '.join(map(str, each))}: {quota[each]} of {n}" for each, n in sizes.items()
    }  # fmt: skip
    weights = [sizes[strata[place]] / quota[strata[place]] for place in places]
    reasons = np.array([said[strata[place]] for place in places], dtype=object)
    return SampledRows(places, np.array(weights, dtype=np.float64), reasons)


def _quotas(sizes: Mapping[Any, int], rows: int) -> dict[Any, int]:
    """Share rows out: the smallest strata first, each at most its size.

    >>> _quotas({"a": 2, "b": 50, "c": 50}, 32)
    {'a': 2, 'b': 15, 'c': 15}
    """
    found: dict[Any, int] = {}
    left = rows
    for place, (name, size) in enumerate(sorted(sizes.items(), key=lambda item: (item[1], str(item[0])))):
        found[name] = min(size, max(1, round(left / (len(sizes) - place))))
        left = max(0, left - found[name])
    return found


def _by_time(sampling: Sampling, keys: FloatArray, ages_s: FloatArray) -> SampledRows:
    """Take all rows, older ones with less weight; or draw rows, older ones more seldom, and let each count the same."""
    half_life = sampling.half_life.total_seconds() if sampling.half_life else np.inf
    fresh = 0.5 ** (ages_s / half_life)
    if sampling.rows is None or sampling.rows >= len(keys):
        reasons = np.array([f"{age / 86400:.0f} days older than the newest" for age in ages_s], dtype=object)
        return SampledRows(np.arange(len(keys)), fresh, reasons)
    places, _ = _bottom(keys, fresh, sampling.rows)
    said = [f"drawn with {fresh[place]:.3f} of the chance of the newest" for place in places]
    return SampledRows(places, np.ones(len(places)), np.array(said, dtype=object))


def _by_importance(sampling: Sampling, keys: FloatArray, importance: FloatArray) -> SampledRows:
    """Draw rows by their importance; the weight is one over the probability of being drawn."""
    is_wrong = ~(importance >= 0) | np.isinf(importance)
    if is_wrong.any():
        raise ValueError(
            f"sampling.importance: {int(is_wrong.sum())} of {importance.size} training rows have a "
            f"{sampling.importance} that is no number of 0 or more; allowed: a feature that always is"
        )
    places, threshold = _bottom(keys, importance, min(sampling.rows or len(keys), int((importance > 0).sum())))
    chance = 1.0 if np.isinf(threshold) else -np.expm1(-importance[places] * threshold)
    weights = np.ones(len(places)) / chance
    said = [f"{sampling.importance} {importance[place]:.4g}" for place in places]
    return SampledRows(places, weights, np.array(said, dtype=object))


def _bottom(keys: FloatArray, weights: FloatArray, count: int) -> tuple[NDArray[np.int64], float]:
    """Draw rows without replacement by their weights, and give the threshold that decides what is drawn.

    P. S. Efraimidis and P. G. Spirakis, Weighted random sampling with a reservoir (2006); the threshold is the next
    rank, by which inclusion has a known probability (Cohen and Kaplan, Bottom-k sketches, 2007).
    """
    with np.errstate(divide="ignore"):
        ranks = np.where(weights > 0, -np.log(keys) / weights, np.inf)
    order = np.argsort(ranks, kind="stable")
    places = np.sort(order[:count])
    following = ranks[order[count]] if count < len(order) else np.inf
    return places, float(following)
