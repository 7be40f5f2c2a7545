"""Test after every drop whether a model has become worse.

Input: the rows of the performance report of one model, and what was usual for it on rows that it had not seen before it
served. Output: a cumulative sum, its threshold, and the first drop of the change. Three measures are tested:

- the loss against its usual value. The gain over a baseline cannot show this: when the world changes, both models
  become worse and their ratio stays;
- the loss against the baseline's;
- labels against scores.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from math import inf, nan
from typing import Any

import numpy as np

from ml_assets.spec.drop import DropKey, day_of_key
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.sequential import DailyMeans, Reference, learn_reference
from ml_assets.stats.task import Task

FAILED = "failed"  # the role of a champion while its baseline serves
CHANCE = 0.05  # of a false alarm within `monitoring.false_alarm_every`
LEAST_SAVED = 0.01  # of the usual loss, or a constant's: what a shift of the prior must cost to be told


@dataclass(frozen=True)
class LossRise:
    """The cumulative sum of a drop, in deviations of a day; `since` is the first drop of the rise, if it is one.

    `loss_at_gate` is the mean of the measure on rows that the model had not seen before it served.
    """

    loss_at_gate: float
    level: float
    limit: float
    since: DropKey | None = None

    @property
    def is_over(self) -> bool:
        """Whether the loss has risen by more than chance does once in the budget."""
        return self.since is not None and self.level > self.limit


UNKNOWN_RISE = LossRise(nan, nan, inf)


@dataclass(frozen=True)
class PriorRise(LossRise):
    """The cumulative sum of labels less scores; `share` and `score` are the means of both since its first drop.

    `cost` is what it costs that these lie apart, as a share of the usual loss, or of a constant's.
    """

    share: float = nan
    score: float = nan
    cost: float = nan

    @property
    def is_over(self) -> bool:
        """Whether labels have left the scores by more than chance, and so far that it costs something."""
        return super().is_over and self.cost >= LEAST_SAVED


UNKNOWN_PRIOR = PriorRise(nan, nan, inf)


@dataclass(frozen=True)
class Rises:
    """The three tests of one model in one drop: loss, loss less the baseline's, labels less scores."""

    loss: LossRise = UNKNOWN_RISE
    margin: LossRise = UNKNOWN_RISE
    prior: PriorRise = UNKNOWN_PRIOR


NO_RISES = Rises()


def learn_losses(spec: UseCaseSpec, unseen: DailyMeans, chance: float = CHANCE) -> Reference:
    """Learn what is usual for a model from its losses by drop on rows that it had not seen before it served."""
    return learn_reference(
        unseen,
        budget_days=spec.calendar.days_in(spec.monitoring.false_alarm_every),
        chance=chance,
        rng=np.random.default_rng(spec.model.seed),
    )


def learn_margins(spec: UseCaseSpec, unseen: DailyMeans) -> Reference:
    """Learn how much the loss of a model less its baseline's differs between days; it is asked to exceed zero.

    `unseen` are these margins on rows that the model had not seen before it served.
    """
    return replace(learn_losses(spec, unseen), mean=0.0)


def learn_residuals(spec: UseCaseSpec, unseen: DailyMeans) -> Reference:
    """Learn how far labels usually lie from scores, for a sum that is looked at on both sides."""
    return learn_losses(spec, unseen, CHANCE / 2)


def loss_rise(
    reported: Iterable[Mapping[str, Any]], usual: Reference, drop: DropKey, loss: str = "log_loss"
) -> LossRise:
    """Follow the losses of one model up to `drop`.

    Parameters
    ----------
    reported
        Rows of the performance report, of this model as champion, or as the failed one while its baseline serves, and
        of all examples: `batch_date`, `prediction_batch_date`, `role`, `n` and the loss. Those that matured after
        `drop` do not count.
    loss
        Its column.
    """
    rows = list(reported)
    n, losses = _own(rows, drop, loss)
    return _dated(_rise(usual, n, losses), rows)


def margin_rise(
    reported: Iterable[Mapping[str, Any]],
    usual: Reference,
    drop: DropKey,
    margin_at_gate: float = nan,
    loss: str = "log_loss",
) -> LossRise:
    """Follow the losses of one model less its baseline's, above zero: since when it has done worse than the baseline.

    `reported` holds the rows of both, as in `loss_rise`; `margin_at_gate` is what the margin was before it served.
    """
    rows = list(reported)
    n, losses = _own(rows, drop, loss)
    _, simple = _by_day([row for row in rows if row["role"] == "baseline"], drop, loss)
    found = _rise(usual, n, {day: loss - simple[day] for day, loss in losses.items() if day in simple})
    return replace(_dated(found, rows), loss_at_gate=margin_at_gate)


def prior_rise(
    reported: Iterable[Mapping[str, Any]], usual: Reference, drop: DropKey, task: Task, usual_loss: float = nan
) -> PriorRise:
    """Follow the mean label less the mean score, to both sides; give the side that is further from usual.

    `reported` holds the rows of `loss_rise`, with the mean label and `mean_score`; `usual_loss` is the loss on rows
    that the model had not seen before it served.
    """
    rows = list(reported)
    n, shares = _own(rows, drop, task.mean_label)
    _, scores = _own(rows, drop, "mean_score")
    apart = {day: share - scores[day] for day, share in shares.items() if day in scores}
    sides = [
        _rise(replace(usual, mean=sign * usual.mean), n, {day: sign * value for day, value in apart.items()})
        for sign in (1, -1)
    ]
    found = max(sides, key=lambda each: -inf if math.isnan(each.level) else each.level)
    since = found.since
    if since is None:
        return PriorRise(found.loss_at_gate, found.level, found.limit)
    share, score = (_mean_since(since, n, means) for means in (shares, scores))
    cost = task.cost_of_shift(share, score, usual_loss)
    return PriorRise(found.loss_at_gate, found.level, found.limit, _dated(found, rows).since, share, score, cost)


def _mean_since(since: DropKey, n: Mapping[date, float], means: Mapping[date, float]) -> float:
    days = [day for day in means if day >= since]
    return sum(n[day] * means[day] for day in days) / sum(n[day] for day in days)


def _own(
    reported: Iterable[Mapping[str, Any]], drop: DropKey, measure: str
) -> tuple[dict[date, float], dict[date, float]]:
    """Give the rows and a measure of the model: where its baseline served as champion, what it would have had."""
    rows = [row for row in reported if row["role"] in ("champion", FAILED)]
    failed = {row["prediction_batch_date"] for row in rows if row["role"] == FAILED}
    own = [row for row in rows if row["role"] == FAILED or row["prediction_batch_date"] not in failed]
    return _by_day(own, drop, measure)


def _by_day(
    reported: Iterable[Mapping[str, Any]], drop: DropKey, measure: str
) -> tuple[dict[date, float], dict[date, float]]:
    """Give the rows and the mean of a measure of each day of prediction, of those that matured by `drop`."""
    n: dict[date, float] = defaultdict(float)
    total: dict[date, float] = defaultdict(float)
    for row in reported:
        if row["batch_date"] <= drop and row["n"] and row[measure] is not None:
            day = day_of_key(row["prediction_batch_date"])
            n[day] += row["n"]
            total[day] += row["n"] * row[measure]
    return n, {day: total[day] / n[day] for day in n}


def _dated(found: LossRise, rows: Iterable[Mapping[str, Any]]) -> LossRise:
    """Name the first drop of a rise, where several drops make a day."""
    if found.since is None:
        return found
    keys = {row["prediction_batch_date"] for row in rows if day_of_key(row["prediction_batch_date"]) == found.since}
    return replace(found, since=min(keys, default=found.since))


def _rise(usual: Reference, n: Mapping[date, float], means: Mapping[date, float]) -> LossRise:
    if not means:
        return UNKNOWN_RISE
    days = sorted(means)
    rise = usual.rise(np.array([n[day] for day in days]), np.array([means[day] for day in days]))
    since = None if rise.since is None else days[rise.since]
    return LossRise(rise.reference_mean, rise.level, rise.threshold, since)
