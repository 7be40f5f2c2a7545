"""How good each model was by week and by month of prediction, measured over the examples of the period at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ml_assets.monitoring.realized_quality import measure_quality

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

ROLES = ("champion", "first_champion", "baseline")
ALTERNATIVES = ("first_champion", "baseline")
MEASURES = ("log_loss", "auc", "ece", "precision_at_capacity")
WORSE_FROM = 0.01  # share by which the champion's log loss must exceed another's before a week counts as worse
_MEANT = ("log_loss", "auc")
_WEEK = timedelta(days=7)


def week_of(day: date, first: date) -> date:
    """Give the first day of the week that `day` is in, of weeks that begin with `first`.

    >>> week_of(date(2013, 1, 14), first=date(2013, 1, 1)).isoformat()
    '2013-01-08'
    """
    return first + (day - first) // _WEEK * _WEEK


def quality_by_week(scored: pd.DataFrame, first: date, capacity: int) -> list[Row]:
    """Measure each week of prediction, counted from `first`, that has predictions.

    Parameters
    ----------
    scored
        Grain: a prediction. `batch_date` (a date), `example_id`, `label` (NaN: none is known), `champion`,
        `baseline` and `first_champion` (NaN: it has no score).
    capacity
        How many examples of a drop people can act on.

    Returns
    -------
    list
        `week` (its first day), `n` with a label, `n_predicted`, `label_share`, and of each role log_loss (nats), auc,
        ece and precision_at_capacity; NaN where undefined. The first champion is measured only where it scored every
        example that the champion did: on others it could not be compared.
    """
    weeks = [week_of(day, first).isoformat() for day in scored["batch_date"]]
    return [{"week": week, **measured} for week, measured in _measure_by(weeks, scored, capacity)]


def quality_by_month(scored: pd.DataFrame, capacity: int) -> list[Row]:
    """Measure each calendar month of prediction, as `quality_by_week` does each week; `month` is 2013-01."""
    months = [f"{day:%Y-%m}" for day in scored["batch_date"]]
    return [{"month": month, **measured} for month, measured in _measure_by(months, scored, capacity)]


def mean_of_months(months: Sequence[Mapping[str, Any]]) -> Row:
    """Give the means over the months in which log loss and AUC of every role are defined; NaN without such a month.

    `auc_above_first_champion` is what retraining gained: the champion's mean AUC less that of the first champion.
    """
    whole = [month for month in months if not any(math.isnan(month[role][name]) for role in ROLES for name in _MEANT)]
    means = {
        role: {name: fmean(month[role][name] for month in whole) if whole else math.nan for name in _MEANT}
        for role in ROLES
    }
    return {
        "n_months": len(whole), **means,
        "auc_above_first_champion": means["champion"]["auc"] - means["first_champion"]["auc"],
    }  # fmt: skip


def worse_weeks(weeks: Sequence[Mapping[str, Any]]) -> list[Row]:
    """List the weeks in which the champion did worse than the first champion or the baseline would have.

    Returns
    -------
    list
        Grain: week x alternative, in this order. `week`, `n`, `than` (first_champion or baseline), `log_loss` of the
        champion, `other_log_loss`, and `excess`, the share by which the first exceeds the second, above 1 %.

    Examples
    --------
    >>> week = {"week": "2024-07-01", "n": 80, "champion": {"log_loss": 0.51}, "baseline": {"log_loss": 0.6},
    ...         "first_champion": {"log_loss": 0.5}}
    >>> [(row["week"], row["than"], round(row["excess"], 3)) for row in worse_weeks([week])]
    [('2024-07-01', 'first_champion', 0.02)]
    """
    found: list[Row] = []
    for week in weeks:
        mine = week["champion"]["log_loss"]
        for than in ALTERNATIVES:
            other = week[than]["log_loss"]
            if mine is not None and other and mine / other - 1 > WORSE_FROM:  # false where either is NaN
                found.append({
                    "week": week["week"], "n": week["n"], "than": than, "log_loss": mine, "other_log_loss": other,
                    "excess": mine / other - 1,
                })  # fmt: skip
    return found


def _measure_by(periods: Sequence[str], scored: pd.DataFrame, capacity: int) -> Iterator[tuple[str, Row]]:
    for period, rows in scored.assign(_period=periods).groupby("_period", sort=True):
        yield str(period), _measure(rows, capacity)


def _measure(scored: pd.DataFrame, capacity: int) -> Row:
    found = measure_quality(scored.rename(columns={"champion": "score", "baseline": "baseline_score"}), capacity)
    row: Row = {
        "n": int(found["score"]["n"]),
        "n_predicted": len(scored),
        "label_share": found["score"]["label_share"],
        "champion": {name: found["score"][name] for name in MEASURES},
        "first_champion": dict.fromkeys(MEASURES, math.nan),
        "baseline": {name: found["baseline_score"][name] for name in MEASURES},
    }
    if scored["first_champion"].notna().all():
        swapped = scored.rename(columns={"first_champion": "score", "baseline": "baseline_score"})
        measured = measure_quality(swapped, capacity)["score"]
        row["first_champion"] = {name: measured[name] for name in MEASURES}
    return row
