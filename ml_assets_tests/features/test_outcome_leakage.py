from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from ml_assets.features.outcome_leakage import (
    find_disguised_labels,
    find_filled_afterwards,
    find_telling_absence,
    report_twins,
)

DAYS, A_DAY = 20, 50


@pytest.fixture
def frame() -> pd.DataFrame:
    """Give twenty days of fifty examples, the last six held out; from then on nearly all are positive."""
    rng = np.random.default_rng(7)
    day = np.repeat(np.arange(DAYS), A_DAY)
    late_share = np.where(day < 14, 0.2, 0.9)
    label = (rng.random(day.size) < late_share).astype(np.int64)
    return pd.DataFrame(
        {
            "batch_date": [date(2013, 1, 1) + timedelta(days=int(each)) for each in day],
            "split": np.where(day < 14, "train", "holdout"),
            "label": label,
            "regime": np.where(day < 14, 0.2 + day / 1000, 0.9),
            "noise": rng.normal(size=day.size),
            "told": label * 3.0 + rng.normal(size=day.size) * 0.1,
            "told_in_words": np.where(label == 1, "crew b", "crew a"),
        }
    )


def test_column_that_is_the_label_in_disguise_is_an_alarm(frame: pd.DataFrame) -> None:
    found = {each.column: each for each in find_disguised_labels(frame, ["noise", "told", "told_in_words"])}

    assert [name for name, each in found.items() if each.is_alarm] == ["told", "told_in_words"]
    assert found["told_in_words"].value == 1.0
    assert found["noise"].value < 0.65


def test_column_that_tells_a_bad_week_from_a_good_one_gives_nothing_away(frame: pd.DataFrame) -> None:
    (regime,) = find_disguised_labels(frame, ["regime"])

    assert (regime.value, regime.is_alarm) == (0.5, False)


def test_too_few_rows_are_not_judged(frame: pd.DataFrame) -> None:
    assert find_disguised_labels(frame.iloc[: 14 * A_DAY + 20], ["told"]) == []


def test_null_that_goes_with_never_being_labelled_is_an_alarm() -> None:
    outcomes = np.array([1] * 200 + [0] * 700 + [-1] * 100)
    cancelled = outcomes == -1
    anyhow = np.arange(outcomes.size) % 3 == 0

    found = {each.column: each for each in find_telling_absence({"tail": cancelled, "wind": anyhow}, outcomes)}

    assert (found["tail"].value, found["tail"].is_alarm) == (pytest.approx(1.0), True)
    assert found["tail"].says == "where it is null: 0% positive, 0% negative, 100% never labelled"
    assert not found["wind"].is_alarm


def test_column_that_open_examples_lack_is_an_alarm() -> None:
    found = find_filled_afterwards({"air_time": (0.97, 0.0), "distance": (1.0, 1.0)}, (1_000, 60))

    assert [(each.column, each.is_alarm) for each in found] == [("air_time", True), ("distance", False)]
    assert find_filled_afterwards({"air_time": (0.97, 0.0)}, (1_000, 3)) == []


def test_twins_are_reported_with_what_remembering_them_would_gain(frame: pd.DataFrame) -> None:
    copied = frame.iloc[:100].assign(split="holdout")
    (found,) = report_twins(pd.concat([frame[frame["split"] == "train"], copied]), ["noise", "told"])

    assert (found.value, found.n, found.limit) == (1.0, 100, None)
    assert found.says.startswith("100 of 100 rows of the holdout have a twin in training")
    assert found.says.endswith("AUC 1.000")
