"""Columns that say the outcome too well: what is learned of one alone on training rows, told on the holdout.

Recomputation catches what could not be known in time; a contract that claims a moment too early deceives it. So what a
column says of the outcome is looked at as well, out of time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ml_assets.features.outcome_leakage import MIN_ROWS, LeakageSign
from ml_assets.features.training_sample import DrawnRows, Floats, Values, Whole, Words

MAX_SINGLE_AUC = 0.8
_BINS = 20
_PRIOR_ROWS = 20.0
_FEW = 50  # words: below, each is met often enough to be learned as it is
_LETTERS = 40  # of a long code, from its beginning and its end, one by one: a UUID has 36
_CELLS = 100_000  # groups times scores, that are counted without looking which there are
Scored = tuple[str, Floats]


def find_target_leakage(rows: DrawnRows, limit: float = MAX_SINGLE_AUC) -> list[LeakageSign]:
    """Measure how well each column alone ranks the examples of a drop of the holdout, by its rates in training.

    Only examples of the same drop are compared: in a week in which all is late, yesterday's lateness tells the days
    apart, and gives nothing away. Where drops are too small for that, all of the holdout is compared, and it is said.

    A number is cut into twenty parts of equal size, null is a part of its own; whole numbers and text are codes too,
    and of many different ones the parts are looked at: letters by their place, the ending, the length, what is left
    without digits. The reading that ranks best counts.
    """
    held = ~rows.is_train
    if min(rows.is_train.sum(), held.sum()) < MIN_ROWS:
        return []
    labels, drops, among = rows.labels[held], rows.drops[held], "the examples of a drop"
    if np.isnan(auc_within(drops, labels, labels)):
        drops, among = np.zeros_like(drops), "the holdout, drops being small,"
    found = []
    for column, values in rows.columns.items():
        ranked = [(value, reading) for reading, score in _readings(rows, values)
                  if not np.isnan(value := auc_within(drops, labels, score))]  # fmt: skip
        if ranked:
            value, reading = max((max(value, 1.0 - value), reading) for value, reading in ranked)
            says = f"alone it ranks {among} with AUC {value:.3f}" + (f", by its {reading}" if reading else "")
            found.append(LeakageSign("target", column, value, limit, int(held.sum()), says))
    return found


def score_cheaply(rows: DrawnRows, columns: Mapping[str, Values]) -> Floats:
    """Score the rows held out by a cheap model: each column's rate in training as log-odds, added up."""
    total = np.zeros(int((~rows.is_train).sum()))
    if not rows.is_train.any():
        return total
    for values in columns.values():
        _, rate = next(_readings(rows, values))
        total += np.log(rate) - np.log1p(-rate)
    return total


def auc_within(groups: Whole, labels: Floats, score: Floats) -> float:
    """Give the chance that a positive is ranked above a negative of its group; NaN below thirty of either.

    Examples
    --------
    >>> many = np.repeat([0, 1], 60)
    >>> auc_within(many, np.tile([0.0, 1.0], 60), np.tile([0.1, 0.7], 60) + many)
    1.0
    """
    right, pairs, positive, negative = pairs_within(groups, labels, score)
    mixed = pairs > 0
    if min(positive[mixed].sum(), negative[mixed].sum()) < MIN_ROWS:
        return float("nan")
    return float(right.sum() / pairs.sum())


def pairs_within(groups: Whole, labels: Floats, score: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Count by group, in ascending order, pairs ranked rightly (ties half), pairs, positives and negatives."""
    days, group = np.unique(groups, return_inverse=True)
    ranks = np.unique(score)
    cell = group * ranks.size + np.searchsorted(ranks, score)
    if days.size * ranks.size > _CELLS:  # nearly every row a score of its own: keep the cells that there are
        cells, cell = np.unique(cell, return_inverse=True)
    else:
        cells = np.arange(days.size * ranks.size)
    ones = _sums(cell, labels, cells.size)
    zeros = _sums(cell, 1.0 - labels, cells.size)
    of = cells // max(ranks.size, 1)
    negative, positive = _sums(of, zeros, days.size), _sums(of, ones, days.size)
    below = np.cumsum(zeros) - zeros - np.concatenate([[0.0], np.cumsum(negative)[:-1]])[of]
    return _sums(of, ones * (below + zeros / 2), days.size), positive * negative, positive, negative


def _sums(places: Whole, values: Floats, size: int) -> Floats:
    return np.bincount(places, values, minlength=size).astype(np.float64)


def _readings(rows: DrawnRows, values: Values) -> Iterator[Scored]:
    """Give how a column can be read, as a score of the rows held out; the first as it is."""
    parts = _read_words(values) if isinstance(values, Words) else _read_numbers(values, rows.is_train)
    for reading, part in parts:
        yield reading, _rates(part[rows.is_train], rows.labels[rows.is_train], part[~rows.is_train])


def _rates(trained: Whole, labels: Floats, asked: Whole) -> Floats:
    """Give the rate of each part in training, drawn towards the mean; part 0 is null, and what training never held."""
    size = int(max(trained.max(initial=0), asked.max(initial=0))) + 1
    rows, positive = np.bincount(trained, minlength=size), np.bincount(trained, labels, minlength=size)
    mean = min(max(float(labels.mean()), 1e-6), 1 - 1e-6)
    rate = (positive + _PRIOR_ROWS * mean) / (rows + _PRIOR_ROWS)
    return np.where(rows > 0, rate, rate[0])[asked]


def _read_numbers(values: Floats, is_train: npt.NDArray[np.bool_]) -> Iterator[tuple[str, Whole]]:
    is_finite = np.isfinite(values)
    known = values[is_train & is_finite]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if known.size else np.zeros(0)
    yield "", np.where(is_finite, 1 + np.searchsorted(edges, values, side="right"), 0)
    finite = values[is_finite]
    if finite.size and np.all(finite == np.rint(finite)) and np.abs(finite).max() < 2.0**53:
        codes, places = np.unique(finite, return_inverse=True)
        if _BINS < codes.size <= finite.size / 2:
            yield "value as a code", _spread(places, is_finite)
        if codes.size > _BINS:
            yield "last digit", _spread(np.abs(finite).astype(np.int64) % 10, is_finite)


def _spread(places: Whole, is_there: npt.NDArray[np.bool_]) -> Whole:
    parts = np.zeros(is_there.size, dtype=np.int64)
    parts[is_there] = places + 1
    return parts


def _read_words(words: Words) -> Iterator[tuple[str, Whole]]:
    yield "", words.places + 1
    if len(words.names) <= _FEW:
        return

    def spread(part: npt.NDArray[np.generic]) -> Whole:
        _, places = np.unique(part, return_inverse=True)
        return np.concatenate([[0], places + 1])[words.places + 1]

    for start, said in ((slice(None), ""), (slice(None, None, -1), " from the end")):
        for place, letters in enumerate(_letters([name[start] for name in words.names]), 1):
            yield f"letter {place}{said}", spread(letters)
    for size in (2, 3):
        yield f"first {size} letters", spread(np.array([name[:size] for name in words.names]))
        yield f"last {size} letters", spread(np.array([name[-size:] for name in words.names]))
    yield "length", spread(np.array([len(name) for name in words.names]))
    yield "form without digits", spread(np.array([re.sub(r"\d+", "#", name)[:_LETTERS] for name in words.names]))


def _letters(names: Sequence[str]) -> Iterator[npt.NDArray[np.uint32]]:
    """Give the letters of each place of the names, one place after the other; 0 past the end of a name."""
    longest = max(1, min(_LETTERS, max(map(len, names))))
    return iter(np.array(names, dtype=f"U{longest}").view(np.uint32).reshape(len(names), longest).T)
