from __future__ import annotations

import math
from datetime import date
from typing import Any

import pandas as pd
import pytest

from ml_assets.monitoring.quality_over_time import mean_of_months, quality_by_month, quality_by_week, worse_weeks
from ml_assets.stats.binary import BINARY

COLUMNS = ["batch_date", "example_id", "label", "champion", "baseline", "first_champion"]
FIRST = date(2013, 1, 28)
NAN = math.nan


def scored(*rows: tuple[date, str, float, float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


ROWS = scored(
    (date(2013, 1, 28), "a", 1, 0.8, 0.6, 0.5),
    (date(2013, 1, 28), "b", 0, 0.4, 0.7, 0.5),
    (date(2013, 2, 1), "c", 1, 0.9, 0.5, 0.5),
    (date(2013, 2, 1), "d", 0, 0.1, 0.5, 0.5),
    (date(2013, 2, 5), "e", NAN, 0.3, 0.2, 0.5),
)


def test_week_is_measured_over_its_examples_and_not_averaged_from_days() -> None:
    first, second = quality_by_week(BINARY, ROWS, FIRST, capacity=1)

    assert (first["week"], first["n"], first["n_predicted"], first["label_share"]) == ("2013-01-28", 4, 4, 0.5)
    assert first["champion"]["log_loss"] == pytest.approx(-math.log(0.8 * 0.6 * 0.9 * 0.9) / 4)
    # pairs of the week: a and c above b and d; day by day there are only two of the four
    assert first["champion"]["auc"] == 1
    # a is under b and above d; c is under b and ties with d
    assert first["baseline"]["auc"] == pytest.approx((1 + 0.5) / 4)
    assert first["first_champion"]["log_loss"] == pytest.approx(math.log(2))
    assert first["champion"]["precision_at_capacity"] == 1  # a, then c
    assert first["baseline"]["precision_at_capacity"] == 0.5  # b, then c: of equal scores the first id
    assert (second["week"], second["n"], second["n_predicted"]) == ("2013-02-04", 0, 1)
    assert math.isnan(second["champion"]["log_loss"])
    assert math.isnan(second["champion"]["precision_at_capacity"])


def test_weeks_are_counted_from_the_first_drop_and_months_by_the_calendar() -> None:
    weeks = [row["week"] for row in quality_by_week(BINARY, ROWS, date(2013, 1, 26), capacity=1)]
    months = [(row["month"], row["n"]) for row in quality_by_month(BINARY, ROWS, capacity=1)]

    assert weeks == ["2013-01-26", "2013-02-02"]
    assert months == [("2013-01", 2), ("2013-02", 2)]


def test_first_champion_that_did_not_score_every_example_is_not_compared() -> None:
    partly = ROWS.assign(first_champion=[NAN, 0.5, 0.5, 0.5, 0.5])

    january, february = quality_by_month(BINARY, partly, capacity=1)

    assert math.isnan(january["first_champion"]["log_loss"])
    assert february["first_champion"]["log_loss"] == pytest.approx(math.log(2))


def test_row_order_is_irrelevant() -> None:
    there, back = (quality_by_week(BINARY, rows, FIRST, capacity=1) for rows in (ROWS, ROWS[::-1]))

    assert [week["week"] for week in back] == [week["week"] for week in there]
    for role in ("champion", "baseline", "first_champion"):
        assert back[0][role] == pytest.approx(there[0][role])


def month(champion: float, first: float, baseline: float) -> dict[str, Any]:
    aucs = {"champion": champion, "first_champion": first, "baseline": baseline}
    return {role: {"auc": auc, "log_loss": 1 - auc} for role, auc in aucs.items()}


def test_means_are_over_the_months_in_which_every_role_is_measured() -> None:
    mean = mean_of_months(BINARY, [month(0.7, 0.7, 0.6), month(0.8, 0.6, 0.6), month(0.9, NAN, 0.6)])

    assert mean["n_months"] == 2
    assert mean["champion"] == pytest.approx({"log_loss": 0.25, "auc": 0.75})
    assert mean["auc_above_first_champion"] == pytest.approx(0.1)


def test_without_a_month_there_is_no_mean() -> None:
    mean = mean_of_months(BINARY, [])

    assert mean["n_months"] == 0
    assert math.isnan(mean["auc_above_first_champion"])
    assert math.isnan(mean["baseline"]["log_loss"])


def week(champion: float | None, first_champion: float | None, baseline: float | None) -> dict[str, Any]:
    losses = {"champion": champion, "first_champion": first_champion, "baseline": baseline}
    return {"week": "2013-02-04", "n": 9, **{role: {"log_loss": loss} for role, loss in losses.items()}}


def test_week_is_worse_from_more_than_one_percent_on_and_names_each_alternative() -> None:
    found = worse_weeks(BINARY, [week(0.504, 0.5, 0.6), week(0.52, 0.5, 0.51), week(0.7, 0.8, 0.5)])

    assert [(row["than"], round(row["excess"], 4)) for row in found] == [
        ("first_champion", 0.04), ("baseline", 0.0196), ("baseline", 0.4),
    ]  # fmt: skip


@pytest.mark.parametrize("undefined", [NAN, None])
def test_week_without_a_measure_is_worse_than_nothing(undefined: float | None) -> None:
    assert worse_weeks(BINARY, [week(undefined, 0.5, 0.5), week(0.9, undefined, undefined), week(0.9, 0.0, 1.0)]) == []
