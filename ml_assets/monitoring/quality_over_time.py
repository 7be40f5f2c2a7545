"""How good each model was by week and by month of prediction, measured over the examples of the period at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ml_assets.monitoring.realized_quality import measure_quality
from ml_assets.spec.drop import DropKey, day_of_key
from ml_assets.stats.task import Task

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

ROLES = ("champion", "first_champion", "baseline")
ALTERNATIVES = ("first_champion", "baseline")
WORSE_FROM = 0.01  # share by which the champion's log loss must exceed another's before a week counts as worse
_WEEK = timedelta(days=7)


def week_of(drop: DropKey, first: DropKey) -> date:
    """Give the first day of the week that a drop is in, of weeks that begin with the day of drop `first`.

    >>> week_of(date(2013, 1, 14), first=date(2013, 1, 1)).isoformat()
    '2013-01-08'
    """
    day, begin = day_of_key(drop), day_of_key(first)
    return begin + (day - begin) // _WEEK * _WEEK


def quality_by_week(task: Task, scored: pd.DataFrame, first: DropKey, capacity: int) -> list[Row]:
    """Measure each week of prediction, counted from `first`, that has predictions.

    Parameters
    ----------
    scored
        Grain: a prediction. `batch_date` (a key), `example_id`, `label` (NaN: none is known), `champion`,
        `baseline` and `first_champion` (NaN: it has no score).
    capacity
        How many examples of a drop people can act on.

    Returns
    -------
    list
        `week` (its first day), `n` with a label, `n_predicted`, `label_share`, and of each role the loss and the
        metrics of the task and precision_at_capacity; NaN where undefined. The first champion is measured only where it
        scored every example that the champion did: on others it could not be compared.
    """
    weeks = [week_of(day, first).isoformat() for day in scored["batch_date"]]
    return [{"week": week, **measured} for week, measured in _measure_by(task, weeks, scored, capacity)]


def quality_by_month(task: Task, scored: pd.DataFrame, capacity: int) -> list[Row]:
    """Measure each calendar month of prediction, as `quality_by_week` does each week; `month` is 2013-01."""
    months = [str(day)[:7] for day in scored["batch_date"]]
    return [{"month": month, **measured} for month, measured in _measure_by(task, months, scored, capacity)]


def mean_of_months(task: Task, months: Sequence[Mapping[str, Any]]) -> Row:
    """Give the means over months in which loss and headline metric of every role are defined; NaN without one.

    `<metric>_above_first_champion` is what retraining gained: the champion's mean less that of the first champion.
    """
    headline = task.headline.name
    meant = (task.loss_metric.name, headline)
    whole = [month for month in months if not any(math.isnan(month[role][name]) for role in ROLES for name in meant)]
    means = {
        role: {name: fmean(month[role][name] for month in whole) if whole else math.nan for name in meant}
        for role in ROLES
    }
    return {
        "n_months": len(whole), **means,
        f"{headline}_above_first_champion": means["champion"][headline] - means["first_champion"][headline],
    }  # fmt: skip


def worse_weeks(task: Task, weeks: Sequence[Mapping[str, Any]]) -> list[Row]:
    """List the weeks in which the champion did worse than the first champion or the baseline would have.

    Returns
    -------
    list
        Grain: week x alternative, in this order. `week`, `n`, `than` (first_champion or baseline), `log_loss` of the
        champion, `other_log_loss`, and `excess`, the share by which the first exceeds the second, above 1 %.

    Examples
    --------
    >>> from ml_assets.stats.binary import BINARY
    >>> week = {"week": "2024-07-01", "n": 80, "champion": {"log_loss": 0.51}, "baseline": {"log_loss": 0.6},
    ...         "first_champion": {"log_loss": 0.5}}
    >>> [(row["week"], row["than"], round(row["excess"], 3)) for row in worse_weeks(BINARY, [week])]
    [('2024-07-01', 'first_champion', 0.02)]
    """
    found: list[Row] = []
    loss = task.loss_metric.name
    for week in weeks:
        mine = week["champion"][loss]
        for than in ALTERNATIVES:
            other = week[than][loss]
            if mine is not None and other and mine / other - 1 > WORSE_FROM:  # false where either is NaN
                found.append({
                    "week": week["week"], "n": week["n"], "than": than, loss: mine, f"other_{loss}": other,
                    "excess": mine / other - 1,
                })  # fmt: skip
    return found


def _measure_by(task: Task, periods: Sequence[str], scored: pd.DataFrame, capacity: int) -> Iterator[tuple[str, Row]]:
    for period, rows in scored.assign(_period=periods).groupby("_period", sort=True):
        yield str(period), _measure(task, rows, capacity)


def _measure(task: Task, scored: pd.DataFrame, capacity: int) -> Row:
    found = measure_quality(task, scored.rename(columns={"champion": "score", "baseline": "baseline_score"}), capacity)
    names = (*task.by_name(), task.at_capacity)
    row: Row = {
        "n": int(found["score"]["n"]),
        "n_predicted": len(scored),
        task.mean_label: found["score"][task.mean_label],
        "champion": {name: found["score"][name] for name in names},
        "first_champion": dict.fromkeys(names, math.nan),
        "baseline": {name: found["baseline_score"][name] for name in names},
    }
    if scored["first_champion"].notna().all():
        swapped = scored.rename(columns={"first_champion": "score", "baseline": "baseline_score"})
        measured = measure_quality(task, swapped, capacity)["score"]
        row["first_champion"] = {name: measured[name] for name in names}
    return row
