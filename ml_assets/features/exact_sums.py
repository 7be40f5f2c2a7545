"""Sums of any slice of a column, exact: the same slice has the same bits, whatever stands around it.

A difference of two running sums of floats is what most code does here. One huge value then leaves its
rounding error in every later window, and the last bits of each sum depend on where the column began. Here a
float is taken apart into whole numbers (limbs) that are counted in steps of a power of two. Whole numbers add
and subtract without rounding, so the difference of two running sums is the sum of the slice and of nothing else;
it is rounded once, at the end, to the nearest float. It is what `math.fsum` gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

_LIMB_BITS = 32
_LIMB = np.int64(1 << _LIMB_BITS)
_MASK = np.int64(_LIMB - 1)
_ONE_LIMB_BITS = 62  # a running sum below this stays inside an int64
_MANTISSA = 53


@dataclass(frozen=True)
class Layout:
    """How the floats of one column are counted: limb j in steps of 2**exponents[j], the smallest first."""

    exponents: tuple[int, ...]


def choose_layout(values: Floats) -> Layout:
    """Choose the limbs that hold every one of `values` (finite) exactly: one, where their sum fits into it."""
    fractions, exponents = np.frexp(values[values != 0.0])
    if not fractions.size:
        return Layout((0,))
    mantissas = (np.abs(fractions) * 2.0**_MANTISSA).astype(np.int64)
    lowest_bits = np.frexp((mantissas & -mantissas).astype(np.float64))[1] - 1
    lowest = int((exponents - _MANTISSA + lowest_bits).min())
    highest = int(exponents.max())
    if highest - lowest + int(values.size).bit_length() <= _ONE_LIMB_BITS:
        return Layout((lowest,))
    return Layout(tuple(_LIMB_BITS * j for j in range(lowest // _LIMB_BITS, -(-highest // _LIMB_BITS) + 1)))


def take_apart(values: Floats, layout: Layout) -> list[Whole]:
    """Give the limbs of `values`: whole numbers that sum to them exactly, each in its steps."""
    if len(layout.exponents) == 1:
        return [np.ldexp(values, -layout.exponents[0]).astype(np.int64)]
    rest, limbs = values.copy(), []
    for exponent in reversed(layout.exponents):
        limb = np.trunc(np.ldexp(rest, -exponent))
        rest -= np.ldexp(limb, exponent)
        limbs.append(limb.astype(np.int64))
    return limbs[::-1]


def running(limb: Whole) -> Whole:
    """Give the sums of the first 0, 1, 2 … of `limb`; shape (n + 1,)."""
    sums = np.zeros(limb.size + 1, dtype=np.int64)
    np.cumsum(limb, out=sums[1:])
    return sums


def put_together(limbs: Sequence[Whole], layout: Layout) -> Floats:
    """Round exact sums to the nearest float, half to even.

    Parameters
    ----------
    limbs
        One array of shape (q,) a limb, of any sign, each below 2**63.
    """
    if len(limbs) == 1:
        return np.ldexp(limbs[0].astype(np.float64), layout.exponents[0])
    digits, top = _carry(limbs)
    is_negative = top < 0
    if is_negative.any():
        negated, negated_top = _carry([-limb for limb in limbs])
        digits = np.where(is_negative, negated, digits)
        top = np.where(is_negative, negated_top, top)
    exponents = (*layout.exponents, layout.exponents[-1] + _LIMB_BITS)
    magnitude = _round(np.vstack([digits, top & _MASK, top >> _LIMB_BITS]), exponents[0])
    return np.where(is_negative, -magnitude, magnitude)


def put_together_twice(limbs: Sequence[Whole], layout: Layout) -> tuple[Floats, Floats]:
    """Round exact sums to two floats whose sum is the exact one to about 106 bits: the nearest, and the rest."""
    high = put_together(limbs, layout)
    is_finite = np.isfinite(high)
    of_high = take_apart(np.where(is_finite, high, 0.0), layout)
    rest = put_together([limb - part for limb, part in zip(limbs, of_high, strict=True)], layout)
    return high, np.where(is_finite, rest, 0.0)


def _carry(limbs: Sequence[Whole]) -> tuple[Whole, Whole]:
    """Bring limbs into 0..2**32 - 1; give them with what is carried beyond the last, the sign of all."""
    carry, digits = np.zeros(limbs[0].size, dtype=np.int64), []
    for limb in limbs:
        # split before adding: a limb near 2**63 and a carry would pass it
        low = (limb & _MASK) + (carry & _MASK)
        digits.append(low & _MASK)
        carry = (limb >> _LIMB_BITS) + (carry >> _LIMB_BITS) + (low >> _LIMB_BITS)
    return np.vstack(digits), carry


def _round(digits: Whole, lowest: int) -> Floats:
    """Round numbers of 32-bit digits, the lowest first, of shape (digits, q), to the nearest float."""
    count, width = digits.shape
    highest = np.zeros(width, dtype=np.int64)
    for place in range(1, count):
        highest[digits[place] != 0] = place
    padded = np.vstack([np.zeros((2, width), dtype=np.int64), digits])
    columns = np.arange(width)
    first, second, third = (padded[highest + 2 - back, columns].astype(np.uint64) for back in range(3))
    below = np.zeros(width, dtype=bool)
    for place in range(count):
        below |= (digits[place] != 0) & (place < highest - 2)
    bits = np.uint64(_LIMB_BITS)
    lead = bits - np.frexp(first.astype(np.float64))[1].astype(np.uint64)  # zeros before the first digit's first bit
    lead[first == 0] = 0
    kept = (((first << bits) | second) << lead) | (third >> (bits - lead))
    below |= (third << lead) & np.uint64(_MASK) != 0
    kept |= below.astype(np.uint64)  # far below what is kept: only says on which side of a half it lies
    exponent = lowest + _LIMB_BITS * (highest - 1) - lead.astype(np.int64)
    return np.ldexp(kept.astype(np.float64), exponent.astype(np.int32))
