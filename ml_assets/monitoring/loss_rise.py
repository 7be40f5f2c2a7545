"""Whether a model's log loss has risen above what it was on rows that it had not seen before it served.

The gain over a baseline hides a loss: a change of the world makes both worse, and a ratio of the two stays. So the loss
itself is followed, drop by drop, by a cumulative sum that may be looked at in each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from math import inf, nan
from typing import Any

import numpy as np

from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.sequential import DailyMeans, rise_of

CHANCE = 0.05  # of a false alarm within `monitoring.false_alarm_every`


@dataclass(frozen=True)
class LossRise:
    """The cumulative sum of a drop, in deviations of a day; `since` is the first drop of the rise, if it is one."""

    loss_at_gate: float
    level: float
    limit: float
    since: date | None = None

    @property
    def is_over(self) -> bool:
        """Whether the loss has risen by more than chance does once in the budget."""
        return self.since is not None and self.level > self.limit


UNKNOWN_RISE = LossRise(nan, nan, inf)


def loss_rise(spec: UseCaseSpec, reported: Iterable[Mapping[str, Any]], unseen: DailyMeans, drop: date) -> LossRise:
    """Follow the losses of one model up to `drop`.

    Parameters
    ----------
    reported
        Rows of the performance report, of this model as champion and of all examples: `batch_date`,
        `prediction_batch_date`, `n` and `log_loss`. Those that matured after `drop` do not count.
    unseen
        Its losses by drop on rows that it had not seen before it served.
    """
    sums: dict[date, tuple[float, float]] = {}
    for row in reported:
        if row["batch_date"] <= drop and row["n"] and row["log_loss"] is not None:
            n, total = sums.get(row["prediction_batch_date"], (0.0, 0.0))
            sums[row["prediction_batch_date"]] = (n + row["n"], total + row["n"] * row["log_loss"])
    if not sums:
        return UNKNOWN_RISE
    days = sorted(sums)
    n = np.array([sums[day][0] for day in days])
    served = DailyMeans(n, np.array([sums[day][1] for day in days]) / n, np.zeros(n.size))
    rise = rise_of(
        unseen,
        served,
        budget_days=max(1, spec.monitoring.false_alarm_every // spec.calendar.every),
        chance=CHANCE,
        rng=np.random.default_rng(spec.model.seed),
    )
    since = None if rise.since is None else days[rise.since]
    return LossRise(rise.reference_mean, rise.level, rise.threshold, since)
