"""Bins learned from reference values, so that any later value falls into exactly one of them.

Deciles collapse where one value fills most of a column (no rain in nine hours of ten): such a value gets a bin of its
own here. What is no number, or no known category, is counted in a bin too and never dropped. How far two histograms
lie apart is a matter of `divergence`.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Texts = ArrayLike | Sequence[str | float | None]

CATEGORY_SPECIALS = ("rare", "unseen", "null")
NUMERIC_SPECIALS = ("null", "infinite")


@dataclass(frozen=True)
class NumericBins:
    """Bins of a numeric column, in this order: one an atom, one an interval, `null`, `infinite`.

    Attributes
    ----------
    edges
        Inner cut points, ascending. Intervals are open below and closed above; the outer two have no bound, so there
        is one interval more than edges. They hold the finite values that are no atom.
    atoms
        Values with a bin of their own, ascending.

    >>> rain = NumericBins(edges=(0.1, 0.35), atoms=(0.0,))
    >>> rain.labels
    ('= 0', '<= 0.1', '(0.1, 0.35]', '> 0.35', 'null', 'infinite')
    >>> rain.code([0, 0.1, 0.2, 9, float("nan"), float("-inf")]).tolist()
    [0, 1, 2, 3, 4, 5]
    """

    edges: tuple[float, ...]
    atoms: tuple[float, ...]

    @property
    def n_bins(self) -> int:
        """Atoms, intervals and the two special bins together."""
        return len(self.atoms) + len(self.edges) + 1 + len(NUMERIC_SPECIALS)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """A readable text a bin, in the order of the codes."""
        text_of = _distinct_texts((*self.atoms, *self.edges))
        cuts = [text_of[edge] for edge in self.edges]
        if cuts:
            inner = (f"({low}, {high}]" for low, high in pairwise(cuts))
            intervals = (f"<= {cuts[0]}", *inner, f"> {cuts[-1]}")
        else:
            intervals = ("any other" if self.atoms else "any",)
        return (*(f"= {text_of[atom]}" for atom in self.atoms), *intervals, *NUMERIC_SPECIALS)

    def code(self, values: ArrayLike) -> IntArray:
        """Bin number of each value, in [0, n_bins); booleans count as 0 and 1, None as NaN.

        Raises
        ------
        ValueError
            On values that are not one-dimensional.
        TypeError
            On texts and timestamps.
        """
        numbers = _numbers(values)
        codes = len(self.atoms) + np.searchsorted(np.array(self.edges, dtype=np.float64), numbers, side="left")
        for bin_of_atom, atom in enumerate(self.atoms):
            codes[numbers == atom] = bin_of_atom
        codes[np.isnan(numbers)] = self.n_bins - 2
        codes[np.isinf(numbers)] = self.n_bins - 1
        return codes.astype(np.int64, copy=False)


@dataclass(frozen=True)
class CategoryBins:
    """Bins of a categorical column, in this order: one a category, `rare` (one or several), `unseen`, `null`.

    Attributes
    ----------
    categories
        The categories of the reference with a bin of their own, most frequent first, ties by name.
    rare
        The other categories of the reference; they share the bin `rare`. What is in neither is `unseen`.
    rare_groups
        Into how many bins the rare categories are hashed. With more than one, what the reference does not have falls
        into them too and the bin `unseen` stays empty: where most categories are rare, new ones are no surprise, and
        `is_unseen` counts them.

    >>> origins = CategoryBins(categories=("EWR", "JFK"), rare=frozenset({"LGA"}))
    >>> origins.labels
    ('EWR', 'JFK', 'rare', 'unseen', 'null')
    >>> origins.code(["JFK", "LGA", "BOS", None]).tolist()
    [1, 2, 3, 4]
    """

    categories: tuple[str, ...]
    rare: frozenset[str]
    rare_groups: int = 1

    @property
    def n_bins(self) -> int:
        """Categories and the special bins together."""
        return len(self.categories) + self.rare_groups + 2

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """A readable text a bin, in the order of the codes; a category called like a special bin is quoted."""
        groups = ("rare",) if self.rare_groups == 1 else tuple(f"rare {group}" for group in range(self.rare_groups))
        special = (*groups, *CATEGORY_SPECIALS[1:])
        return (*(repr(c) if c in special else c for c in self.categories), *special)

    def code(self, values: Texts) -> IntArray:
        """Bin number of each value, in [0, n_bins); None and NaN are null.

        Raises
        ------
        ValueError
            On values that are not one-dimensional.
        TypeError
            On a value that is neither text nor null. Numbers are refused because a column of 1 and 2 turns into 1.0
            and 2.0 as soon as a null joins it, and every category would be unseen.
        """
        items = _items(values)
        bin_of = {name: number for number, name in enumerate(self.categories)}
        bin_of_item = {
            item: self.n_bins - 1 if name is None else bin_of[name] if name in bin_of else self._bin_of_other(name)
            for item, name in ((item, _category(item)) for item in set(items))
        }
        return np.fromiter(map(bin_of_item.__getitem__, items), dtype=np.int64, count=len(items))

    def is_unseen(self, values: Texts) -> NDArray[np.bool_]:
        """Say of each value whether the reference does not have it; null is never unseen.

        >>> CategoryBins(categories=("EWR",), rare=frozenset({"LGA"})).is_unseen(["LGA", "BOS", None]).tolist()
        [False, True, False]
        """
        seen = self.rare.union(self.categories)
        names = map(_category, _items(values))
        return np.array([name is not None and name not in seen for name in names], dtype=np.bool_)

    def _bin_of_other(self, name: str) -> int:
        if self.rare_groups == 1:
            return len(self.categories) + (name not in self.rare)
        digest = hashlib.md5(name.encode(errors="surrogatepass"), usedforsecurity=False).digest()
        return len(self.categories) + int.from_bytes(digest[:8], "big") % self.rare_groups


def learn_numeric_bins(values: ArrayLike, *, max_bins: int = 10) -> NumericBins:
    """Bins that each hold about 1 / max_bins of the finite reference values; the order of rows is irrelevant.

    A value that alone holds at least 1 / max_bins of them becomes an atom. The others are cut at the empirical
    quantiles i / k (Hyndman and Fan, 1996, type 1: always a value that occurs) into as many intervals k as bins are
    left, at least one. Equal cuts are merged and a cut at the largest value is left out, so that with values besides
    the atoms every interval holds some. Without them, or without any finite value, one interval takes what may come.

    Parameters
    ----------
    values
        The reference; NaN and infinities are left out, booleans count as 0 and 1. With at most max_bins values every
        one of them is an atom.
    max_bins
        The most bins for finite values, at least 1; one more where atoms alone use them up.

    Raises
    ------
    ValueError
        On max_bins below 1, or values that are not one-dimensional.
    TypeError
        On texts and timestamps.

    >>> learn_numeric_bins([0, 0, 0, 0, 0, 0, 1, 2, 3, 4], max_bins=3)
    NumericBins(edges=(2.0,), atoms=(0.0,))
    """
    _check_max_bins(max_bins)
    numbers = _numbers(values)
    distinct, n_of = np.unique(numbers[np.isfinite(numbers)], return_counts=True)
    is_atom = n_of * max_bins >= n_of.sum()
    others = np.repeat(distinct[~is_atom], n_of[~is_atom])
    n_intervals = max(1, max_bins - int(is_atom.sum()))
    if others.size:
        last_of_interval = -(-np.arange(1, n_intervals) * others.size // n_intervals) - 1
        cuts = np.unique(others[last_of_interval])
        edges = cuts[cuts < others[-1]]
    else:
        edges = others
    return NumericBins(edges=tuple(map(float, edges)), atoms=tuple(map(float, distinct[is_atom])))


def learn_category_bins(values: Texts, *, max_bins: int = 30, max_groups: int = 1) -> CategoryBins:
    """Bins for the max_bins most frequent categories, ties by name; the rest of the reference is rare.

    Parameters
    ----------
    values
        The reference: texts, with None or NaN where null.
    max_bins
        The most categories with a bin of their own, at least 1.
    max_groups
        The most bins for the rest: this many times its share of the rows, at least one.

    Raises
    ------
    ValueError
        On max_bins below 1, or values that are not one-dimensional.
    TypeError
        On a value that is neither text nor null.

    >>> learn_category_bins(["b", "c", "a", "b", None], max_bins=2)
    CategoryBins(categories=('b', 'a'), rare=frozenset({'c'}), rare_groups=1)
    """
    _check_max_bins(max_bins)
    n_of = {name: n for item, n in Counter(_items(values)).items() if (name := _category(item)) is not None}
    ranked = sorted(n_of, key=lambda name: (-n_of[name], name))
    rare = ranked[max_bins:]
    share = sum(n_of[name] for name in rare) / max(1, sum(n_of.values()))
    groups = max(1, round(max_groups * share))
    return CategoryBins(categories=tuple(ranked[:max_bins]), rare=frozenset(rare), rare_groups=groups)


def histogram(codes: IntArray, n_bins: int) -> IntArray:
    """Rows a bin, as an array of n_bins.

    Raises
    ------
    ValueError
        On a code outside [0, n_bins).

    >>> histogram(np.array([0, 2, 2]), 4).tolist()
    [1, 0, 2, 0]
    """
    _check_within("codes", codes, n_bins)
    return np.bincount(codes, minlength=n_bins).astype(np.int64, copy=False)


def histograms_by_group(codes: IntArray, groups: IntArray, n_groups: int, n_bins: int) -> IntArray:
    """Rows a group and bin, as an array of shape (n_groups, n_bins); groups are numbered from 0, such as days.

    Raises
    ------
    ValueError
        On codes and groups of different length, a code outside [0, n_bins) or a group outside [0, n_groups).

    >>> histograms_by_group(np.array([0, 2, 2]), np.array([1, 0, 1]), n_groups=2, n_bins=3).tolist()
    [[0, 0, 1], [1, 0, 1]]
    """
    if codes.shape != groups.shape:
        raise ValueError(f"codes and groups must be of one length, got shapes {codes.shape} and {groups.shape}")
    _check_within("codes", codes, n_bins)
    _check_within("groups", groups, n_groups)
    return histogram(groups.astype(np.int64, copy=False) * n_bins + codes, n_groups * n_bins).reshape(n_groups, n_bins)


def _numbers(values: ArrayLike) -> FloatArray:
    found = np.asarray(values)
    holds_text = found.dtype.kind == "O" and any(isinstance(item, str) for item in found.flat)
    if holds_text or found.dtype.kind in "USTMm":  # numpy would read "1.5" as a number and a timestamp as nanoseconds
        raise TypeError(f"numeric bins take numbers or booleans, got {'texts' if holds_text else found.dtype}")
    _check_one_dimension(found.shape)
    return found.astype(np.float64) + 0.0  # turns -0.0 into 0.0, whose label must not depend on which came first


def _items(values: Texts) -> list[object]:
    found = np.asarray(values, dtype=np.object_)  # without the dtype, ["a", nan] would become the texts "a" and "nan"
    _check_one_dimension(found.shape)
    return cast("list[object]", found.tolist())


def _category(item: object) -> str | None:
    if isinstance(item, str):
        return item
    if item is None or (isinstance(item, float) and math.isnan(item)):
        return None
    raise TypeError(f"categories are texts, with None or NaN as null; got {item!r}, a {type(item).__name__}")


def _distinct_texts(values: tuple[float, ...]) -> dict[float, str]:
    """As few digits as tell the values apart, from 6 up; 17 always do for float64."""
    texts: dict[float, str] = {}
    for digits in range(6, 18):
        texts = {v: f"{v:.0f}" if v.is_integer() and abs(v) < 1e15 else f"{v:.{digits}g}" for v in values}
        if len(set(texts.values())) == len(texts):
            break
    return texts


def _check_max_bins(max_bins: int) -> None:
    if max_bins < 1:
        raise ValueError(f"max_bins must be at least 1, got {max_bins}")


def _check_one_dimension(shape: tuple[int, ...]) -> None:
    if len(shape) != 1:
        raise ValueError(f"values must be one-dimensional, got shape {shape}")


def _check_within(name: str, numbers: IntArray, n: int) -> None:
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < n):
        raise ValueError(f"{name} must be in [0, {n}), got {numbers.min()} to {numbers.max()}")
