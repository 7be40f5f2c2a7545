"""What both sides of a split hold: equal rows, nearly equal ones, and entities; each with what it may be worth.

None of it is wrong by itself: a carrier of last month flies this month too. But a model that remembers does better on
what it has met, and a holdout that holds much of it tells less of what is new. So it is counted, and it is measured how
much better the rows that were met are ranked than those that were not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ml_assets.features.outcome_leakage import MIN_ROWS, LeakageSign
from ml_assets.features.target_leakage import auc_within, pairs_within
from ml_assets.features.training_sample import DrawnRows, Floats, Whole, Words, as_looked_at
from ml_assets.stats.classification import auc

if TYPE_CHECKING:
    import duckdb

ASKED = 1_000  # rows of the holdout whose near-duplicates are looked for
_TRAINED = 500_000  # the training rows stored last, among which they are
_APART = 0.1  # of the columns of a near-duplicate may differ,
_MOST_APART = 20  # but no more
_PER_BAND = 5  # of the rows alike in a band of columns, the last stored
_STEPS = 20  # a number is cut into, between its 5 % and its 95 % quantile
_PRIOR_ROWS = 20.0


@dataclass(frozen=True)
class RankingGap:
    """How well rows are ranked that training has met, and those it has not; NaN below thirty of either outcome.

    `error` is the standard error of `met - new`, by leaving out a drop at a time (the jackknife of Efron, 1982).
    """

    met: float
    new: float
    error: float


def compare_ranking(drops: Whole, labels: Floats, score: Floats, is_met: npt.NDArray[np.bool_]) -> RankingGap:
    """Compare the AUC within drops of the rows of `is_met` with that of the others."""
    met, new = (auc_within(drops[side], labels[side], score[side]) for side in (is_met, ~is_met))
    if np.isnan(met + new):
        return RankingGap(met, new, float("nan"))
    days = np.unique(drops)
    right, pairs = np.zeros((2, days.size)), np.zeros((2, days.size))
    for place, side in enumerate((is_met, ~is_met)):
        where = np.searchsorted(days, np.unique(drops[side]))
        right[place, where], pairs[place, where], _, _ = pairs_within(drops[side], labels[side], score[side])
    rest = pairs.sum(axis=1, keepdims=True) - pairs
    usable = (rest > 0).all(axis=0)
    left_out = (right.sum(axis=1, keepdims=True) - right)[:, usable] / rest[:, usable]
    apart, count = left_out[0] - left_out[1], int(usable.sum())
    error = float(np.sqrt((count - 1) / count * np.sum((apart - apart.mean()) ** 2))) if count > 1 else float("nan")
    return RankingGap(met, new, error)


def _say(found: RankingGap, others: int) -> str:
    if np.isnan(found.new):
        return f"the rest, {others:,}, are too few to say what that is worth"
    if np.isnan(found.met):
        return "they are too few to say what that is worth"
    apart = f"difference {found.met - found.new:+.3f}, standard error {found.error:.3f}"
    return (
        f"all columns together rank these with AUC {found.met:.3f}, the other {others:,} with {found.new:.3f} ({apart})"
    )


def report_twins(connection: duckdb.DuckDBPyConnection, features: Sequence[str]) -> LeakageSign:
    """Report the rows of the holdout that training holds too, feature by feature, and what they would gain a model.

    A model that remembers would rank them by the labels of their twins: the difference of its AUC to one half is the
    most that they can add. Reads all of `training_set`, for one twin is enough to be told.
    """
    columns = ", ".join(f'"{name}"' for name in features)
    found = connection.sql(
        f"WITH hashed AS (SELECT split, label, hash({columns}) AS row FROM training_set), held AS (SELECT * FROM "
        "hashed WHERE split = 'holdout'), known AS (SELECT row, avg(label) AS remembered FROM hashed SEMI JOIN held "
        "USING (row) WHERE split = 'train' GROUP BY row) SELECT held.label::DOUBLE AS label, "
        "coalesce(known.remembered, -1) AS remembered FROM held LEFT JOIN known USING (row)"
    ).fetchnumpy()
    labels, remembered = np.asarray(found["label"], np.float64), np.asarray(found["remembered"], np.float64)
    is_twin = remembered >= 0
    share = float(is_twin.mean()) if is_twin.size else 0.0
    says = f"{int(is_twin.sum()):,} of {is_twin.size:,} rows of the holdout have a twin in training"
    says += _remembering(labels[is_twin], remembered[is_twin])
    return LeakageSign("twins", "all features", share, None, int(is_twin.sum()), says)


def _remembering(labels: Floats, remembered: Floats) -> str:
    if labels.size < MIN_ROWS or len(set(labels)) < 2:
        return ""
    return f"; the labels of those rank them with AUC {auc(labels, remembered):.3f}"


def report_near_duplicates(
    connection: duckdb.DuckDBPyConnection, rows: DrawnRows, features: Sequence[str], score: Floats
) -> LeakageSign | None:
    """Report rows of the holdout that training nearly holds: equal in nine of ten features, numbers cut into steps.

    Features are dealt to one band more than may differ, so a near-duplicate is equal in at least one band: rows that
    share one are compared in full, of very many the five stored last. Nothing is given of a single feature.

    Parameters
    ----------
    connection
        With `training_set` and `_held`, as `read_drawn` leaves it.
    score
        Of the rows held out, by a cheap model.
    """
    grid = list(_grid(connection, rows, features))
    if len(grid) < 2 or not rows.held.size:
        return None
    apart = min(int(len(grid) * _APART), _MOST_APART)
    bands = [range(first, len(grid), apart + 1) for first in range(apart + 1)]
    cells = ", ".join(f"{sql} AS g{place}" for place, sql in enumerate(grid))
    keys = ", ".join(
        f"hash({', '.join(f'g{place}' for place in band)}) AS b{number}" for number, band in enumerate(bands)
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _known AS SELECT *, {keys} FROM (SELECT row_number() OVER () AS place, label, "
        f"{cells} FROM training_set WHERE split = 'train') WHERE place > {int(rows.trained) - _TRAINED}"
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _asked AS SELECT *, {keys} FROM (SELECT _number, {cells} FROM training_set JOIN "
        "(SELECT _number, batch_date, example_id FROM _held ORDER BY hash(example_id || '/near'), _number LIMIT "
        f"{ASKED}) USING (batch_date, example_id))"
    )
    pairs = " UNION ".join(_alike(f"b{number}") for number in range(len(bands)))
    equal = " + ".join(f"(a.g{place} IS NOT DISTINCT FROM k.g{place})::INTEGER" for place in range(len(grid)))
    near = connection.sql(
        f"SELECT a._number, avg(k.label)::DOUBLE AS remembered FROM ({pairs}) JOIN _asked AS a USING (_number) JOIN "
        f"_known AS k USING (place) WHERE {equal} >= {len(grid) - apart} GROUP BY a._number"
    ).fetchnumpy()
    asked = connection.sql("SELECT _number FROM _asked ORDER BY _number").fetchnumpy()["_number"]
    at = np.searchsorted(rows.held, asked)
    is_near = np.isin(asked, near["_number"])
    order = np.argsort(near["_number"])
    labels, drops = rows.labels[~rows.is_train][at], rows.drops[~rows.is_train][at]
    compared = compare_ranking(drops, labels, score[at], is_near)
    says = (
        f"{int(is_near.sum()):,} of {asked.size:,} rows of the holdout are equal to a training row in "
        f"{len(grid) - apart} of {len(grid)} features or more, numbers cut into steps"
    )
    if is_near.any():
        says += _remembering(labels[is_near], np.asarray(near["remembered"])[order])
        says += f"; {_say(compared, int((~is_near).sum()))}"
    return LeakageSign("near-duplicates", "all features", float(is_near.mean()), None, int(is_near.sum()), says)


def _grid(connection: duckdb.DuckDBPyConnection, rows: DrawnRows, features: Sequence[str]) -> Iterator[str]:
    """Give each feature that differs between rows as a whole number in SQL: its step, or a hash of its text."""
    kinds = dict(
        zip(connection.view("training_set").columns, map(str, connection.view("training_set").types), strict=True)
    )
    for name in features:
        values, read = rows.columns[name], as_looked_at(name, kinds[name])
        if isinstance(values, Words):
            yield f"(hash({read}) % 2147483647)::INTEGER"
            continue
        known = values[np.isfinite(values)]
        low, high = map(float, np.quantile(known, [0.05, 0.95]) if known.size else (0.0, 0.0))
        if known.size and low == high:
            low, high = float(known.min()), float(known.max())
        if high > low and np.isfinite(high - low):
            yield f"TRY_CAST(floor(({read} - {low!r}) / {(high - low) / _STEPS!r}) AS INTEGER)"


def _alike(band: str) -> str:
    """Give the pairs of an asked row and a known one that are equal in a band of features, the last few of each."""
    return (
        f"(SELECT _number, unnest(places) AS place FROM _asked JOIN (SELECT {band}, max(place, {_PER_BAND}) AS places "
        f"FROM _known SEMI JOIN _asked USING ({band}) GROUP BY {band}) USING ({band}))"
    )


def report_entities(
    connection: duckdb.DuckDBPyConnection, rows: DrawnRows, entities: Sequence[Sequence[str]], score: Floats
) -> list[LeakageSign]:
    """Report for each kind of entity how much of the holdout is about one that training has met.

    Parameters
    ----------
    connection
        With `_held`, and a table `_of`: `batch_date`, `example_id`, `split`, `label` and the columns of entities.
    entities
        The columns of each; a null in one is no entity.
    """
    found, held = [], ~rows.is_train
    for columns in entities:
        names = ", ".join(f'"{name}"' for name in columns)
        is_one = " AND ".join(f'"{name}" IS NOT NULL' for name in columns)
        met = connection.sql(
            f"WITH asked AS (SELECT _number, {names} FROM _held JOIN _of USING (batch_date, example_id) WHERE "
            f"{is_one}), known AS (SELECT {names}, count(*) AS _met, sum(label) AS _positive FROM _of SEMI JOIN "
            f"asked USING ({names}) WHERE split = 'train' GROUP BY {names}) SELECT _number, coalesce(_met, "
            "0)::DOUBLE AS _met, coalesce(_positive, 0)::DOUBLE AS _positive FROM asked LEFT JOIN known USING "
            f"({names}) ORDER BY _number"
        ).fetchnumpy()
        at = np.searchsorted(rows.held, met["_number"])
        if not at.size:
            continue
        labels, drops = rows.labels[held][at], rows.drops[held][at]
        count, positive = np.asarray(met["_met"]), np.asarray(met["_positive"])
        is_met = count > 0
        mean = float(rows.labels[rows.is_train].mean()) if rows.is_train.any() else 0.0
        known = (positive + _PRIOR_ROWS * mean) / (count + _PRIOR_ROWS)
        alone = auc_within(drops[is_met], labels[is_met], known[is_met])
        says = f"{int(is_met.sum()):,} of {at.size:,} rows of the holdout are of one that training has met"
        if not np.isnan(alone):
            says += f"; remembering its outcomes alone ranks them with AUC {alone:.3f}"
        if not is_met.all() and is_met.any():
            says += f"; {_say(compare_ranking(drops, labels, score[at], is_met), int((~is_met).sum()))}"
        name = " + ".join(columns)
        found.append(LeakageSign("entities", name, float(is_met.mean()), None, int(is_met.sum()), says))
    return found
