"""What is added up of a measure, exactly: how many values, their sum, the sum of their squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_assets.features.exact_sums import (
    Layout,
    choose_layout,
    put_together,
    put_together_twice,
    running,
    take_apart,
)
from ml_assets.features.facts import Measure
from ml_assets.features.plan import Reduction

Whole = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_SPLITTER = float(2**27 + 1)
SQUARABLE = 1e150  # beyond it a square is no float


@dataclass(frozen=True)
class Totals:
    """Exact totals of a measure over some windows, each of shape (q,): how many values, and limbs of their sums."""

    counts: Whole
    sums: Sequence[Whole]
    squares: Sequence[Whole]
    of: Additive

    def plus(self, other: Totals) -> Totals:
        """Add what stands beside it."""
        sums = [mine + its for mine, its in zip(self.sums, other.sums, strict=True)]
        squares = [mine + its for mine, its in zip(self.squares, other.squares, strict=True)]
        return Totals(self.counts + other.counts, sums, squares, self.of)


@dataclass(frozen=True)
class Additive:
    """The columns of whole numbers that a measure is added up by.

    `present` is None where every fact has a value.
    """

    present: Whole | None
    layout: Layout
    sums: tuple[Whole, ...]
    square_layout: Layout
    squares: tuple[Whole, ...]

    @classmethod
    def of_rows(cls) -> Additive:
        """Count rows, and nothing else."""
        return cls(None, Layout((0,)), (), Layout((0,)), ())

    @classmethod
    def of(cls, measure: Measure, *, has_squares: bool = False) -> Additive:
        """Take the values of a measure apart; with squares, those beyond 1e150 are no values."""
        has_value = measure.has_value()
        if has_squares and measure.numbers is not None:
            has_value &= np.abs(measure.numbers, where=has_value, out=np.zeros(has_value.size)) <= SQUARABLE
        present = None if has_value.all() else has_value.astype(np.int64)
        if measure.numbers is None:  # text and times are counted
            return cls(present, Layout((0,)), (), Layout((0,)), ())
        numbers = measure.numbers if present is None else np.where(has_value, measure.numbers, 0.0)
        layout = choose_layout(numbers)
        sums = tuple(take_apart(numbers, layout))
        if not has_squares:
            return cls(present, layout, sums, Layout((0,)), ())
        squares, rest = _product(numbers, numbers)
        square_layout = choose_layout(np.concatenate([squares, rest]))
        apart = zip(take_apart(squares, square_layout), take_apart(rest, square_layout), strict=True)
        return cls(present, layout, sums, square_layout, tuple(square + more for square, more in apart))

    def running(self, rows: Whole) -> tuple[Whole | None, list[Whole], list[Whole]]:
        """Give the running sums over facts in the order of `rows`."""
        present = None if self.present is None else running(self.present[rows])
        sums = [running(limb[rows]) for limb in self.sums]
        return present, sums, [running(limb[rows]) for limb in self.squares]

    def between(self, sums: tuple[Whole | None, list[Whole], list[Whole]], starts: Whole, ends: Whole) -> Totals:
        """Add up the facts from `starts` to before `ends`."""
        present, values, squares = sums
        counts = ends - starts if present is None else present[ends] - present[starts]
        return Totals(
            counts,
            [limb[ends] - limb[starts] for limb in values],
            [limb[ends] - limb[starts] for limb in squares],
            self,
        )

    def signed(self, rows: Whole, signs: Whole, until: Whole) -> Totals:
        """Add up what came and went before each of `until`."""
        present = signs if self.present is None else signs * self.present[rows]
        return Totals(
            running(present)[until],
            [running(signs * limb[rows])[until] for limb in self.sums],
            [running(signs * limb[rows])[until] for limb in self.squares],
            self,
        )


def finish_sums(reduction: Reduction, totals: Totals) -> Floats | Whole:
    """Give the values of a windowed feature; NaN where there is none."""
    counts, additive = totals.counts, totals.of
    if reduction.function == "count":
        return counts
    if reduction.function == "std":
        return _sample_deviation(totals)
    total = put_together(totals.sums, additive.layout)
    if reduction.function != "sum":
        total /= np.maximum(counts, 1)
    return np.where(counts > 0, total, np.nan)


def _sample_deviation(totals: Totals) -> Floats:
    """Give the standard deviation of a sample, by sums in twice the precision of a float (Dekker 1971)."""
    count = totals.counts.astype(np.float64)
    high, low = put_together_twice(totals.sums, totals.of.layout)
    square, square_low = put_together_twice(totals.squares, totals.of.square_layout)
    product, product_low = _product(high, high)
    product_low += 2.0 * high * low
    known = np.maximum(count, 1.0)
    part = product / known
    back, back_low = _product(part, known)
    part_low = ((product - back) - back_low + product_low) / known
    spread = (square - part) + (square_low - part_low)
    return np.where(count > 1, np.sqrt(np.maximum(spread, 0.0) / np.maximum(count - 1.0, 1.0)), np.nan)


def _product(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Multiply without loss: the nearest float, and what it leaves."""
    product = left * right
    left_high, right_high = (_SPLITTER * x - (_SPLITTER * x - x) for x in (left, right))
    left_low, right_low = left - left_high, right - right_high
    rest = ((left_high * right_high - product) + left_high * right_low + left_low * right_high) + left_low * right_low
    return product, rest
