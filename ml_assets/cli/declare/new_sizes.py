"""Sizes of a first declaration that fit each other: from the rows a drop, the span and the time between batches.

Every size is derived from the holdout, and the holdout from how many labelled rows a drop brings. Nothing is a share of
the past: a long past gives no longer holdout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from ml_assets.ingestion.profiling import ColumnProfile
from ml_assets.spec.cadence import DAY
from ml_assets.spec.calendar_rules import whole_days
from ml_assets.spec.duration import format_duration

ENOUGH_ROWS = 500  # labelled rows by which a verdict tells a difference worth having
MOST_DROPS = 28
LEAST_DAILY, LEAST_OTHER = 7, 4  # drops: one of each weekday, or about a month of weeks
MOST_CAPACITY = 20
LEVELS = (2, 50)  # of a column by which the baseline tells groups apart
ROWS_A_LEVEL = 20


@dataclass(frozen=True)
class Sizes:
    """Sizes in drops, rows and durations.

    Attributes
    ----------
    every
        The time between batches, and a day where several run a day: what sizes are counted in.
    rows, labelled
        Examples in such a time, and those of them that get a label, as the files hold them.
    holdout_drops, holdout_rows
        Drops of the holdout, or days of several, and the labelled rows that it is expected to hold.
    n_parts
        Batches a day, where several run.
    """

    every: timedelta
    rows: float
    labelled: float
    holdout_drops: int
    n_parts: int = 1

    @property
    def holdout_rows(self) -> int:
        """Labelled rows that the holdout is expected to hold."""
        return round(self.labelled * self.holdout_drops)

    @property
    def holdout(self) -> str:
        """The holdout as a duration; folds are as long, and performance is judged on as much."""
        return format_duration(whole_days(self.holdout_drops * self.every))

    @property
    def min_examples(self) -> int:
        """A third of what the holdout is expected to hold."""
        return max(1, self.holdout_rows // 3)

    @property
    def detectable_gain(self) -> float:
        """The relative gain that the gate lets through two times in three, about.

        Two models of one kind differ by 0.8 of their log loss from row to row
        (ml_assets_tests/benchmarks/gate_power.py), so that the standard error of the gain is 0.8 by the root of the
        rows; 1.96 of it must fit below the gain, and 0.43 more for two times in three.
        """
        return 2.4 * 0.8 / math.sqrt(max(1, self.holdout_rows))

    @property
    def min_days(self) -> int:
        """Half of the drops of the holdout."""
        return max(2, self.holdout_drops // 2)

    @property
    def cooldown_length(self) -> timedelta:
        """Two holdouts, at most 28 days, at least a drop."""
        return max(self.every, min(2 * self.holdout_drops * self.every, timedelta(days=28)))

    @property
    def cooldown(self) -> str:
        """Time until another retraining may begin."""
        return format_duration(whole_days(self.cooldown_length))

    @property
    def stale_after(self) -> str:
        """The holdout and three cooldowns: well above what a new model is as old as."""
        return format_duration(whole_days(self.holdout_drops * self.every + 3 * self.cooldown_length))

    @property
    def capacity(self) -> int:
        """A tenth of the rows of a drop, at least one and at most MOST_CAPACITY."""
        return max(1, min(MOST_CAPACITY, int(self.rows / self.n_parts // 10)))

    @property
    def unit(self) -> str:
        """What sizes are counted in, in words."""
        return "days" if self.n_parts > 1 else "drops"


def plan_sizes(examples: int, labels: int, span: timedelta, every: timedelta) -> Sizes:
    """Work out the sizes from the rows of examples and labels that `span` of time brought.

    The holdout holds the drops that bring ENOUGH_ROWS labelled rows: at least a week of days or four others, at most
    MOST_DROPS. Of a short past it is no more than a fifth: three folds before it are as long, and learn from the rest.

    Examples
    --------
    >>> year = plan_sizes(3650, 3650, timedelta(days=365), timedelta(days=1))
    >>> year.holdout, year.min_examples, year.min_days, year.cooldown, year.stale_after, year.capacity
    ('28d', 93, 14, '28d', '112d', 1)
    >>> plan_sizes(365_000, 300_000, timedelta(days=365), timedelta(days=1)).holdout
    '7d'
    """
    n_parts = max(1, round(DAY / every))
    every = max(every, DAY)
    drops = round(span / every) + 1  # the span ends with a moment of the last drop
    rows, labelled = examples / drops, min(examples, labels) / drops
    least = LEAST_DAILY if every < 2 * DAY else LEAST_OTHER
    needed = math.ceil(ENOUGH_ROWS / labelled) if labelled else MOST_DROPS
    return Sizes(every, rows, labelled, max(least, min(needed, MOST_DROPS, drops // 5)), n_parts)


def group_column(features: Sequence[ColumnProfile]) -> str:
    """Choose the column by which the baseline tells groups apart; empty where none fits.

    One with few levels, each with rows enough; texts and flags before whole numbers, and never a float.

    Examples
    --------
    >>> branch = ColumnProfile("branch", "string", 5000, 0, 8)
    >>> group_column([ColumnProfile("amount", "float", 5000, 0, 9), ColumnProfile("id", "string", 40, 0, 40), branch])
    'branch'
    """
    fitting = [
        column
        for column in features
        if column.type in ("string", "boolean", "integer")
        and LEVELS[0] <= column.distinct <= LEVELS[1]
        and column.rows - column.nulls >= ROWS_A_LEVEL * column.distinct
    ]
    return next((column.name for column in sorted(fitting, key=lambda column: column.type == "integer")), "")
