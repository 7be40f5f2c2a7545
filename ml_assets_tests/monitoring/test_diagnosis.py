from datetime import date, timedelta

import pytest

from ml_assets.monitoring.diagnosis import (
    FaultRecord,
    FaultyReading,
    diagnose_features,
    diagnose_feeds,
    feature_origins,
    known_changes,
)
from ml_assets_tests.rehearsal import flagship

TIMETABLE = "summer timetable on 2013-03-31"
CLOCKS = "the clocks of America/New_York changed on 2013-11-03"


@pytest.mark.parametrize(
    ("drop", "named"),
    [
        (date(2013, 3, 30), []),
        (date(2013, 3, 31), [TIMETABLE]),
        (date(2013, 4, 13), [TIMETABLE]),
        (date(2013, 4, 14), []),
        (date(2013, 11, 2), ["winter timetable on 2013-10-27"]),
        (date(2013, 11, 3), ["winter timetable on 2013-10-27", CLOCKS]),
        (date(2013, 11, 16), [CLOCKS]),
        (date(2013, 11, 17), []),
    ],
)
def test_change_is_named_as_long_as_two_windows_hold_it(drop: date, named: list[str]) -> None:
    assert known_changes(flagship(), drop) == named


def test_drift_beside_a_known_change_names_it() -> None:
    row = {
        "batch_date": date(2013, 4, 3),
        "family": "before",
        "column_name": "distance_mi",
        "state": "alarm",
        "ratio": 2.0,
    }

    diagnose_features([row], flagship(), FaultRecord(flagship()))

    assert (row["kind"], row["meaning"].rpartition("; ")[2]) == ("abrupt", TIMETABLE)


DAY, BROKEN = timedelta(days=1), date(2013, 7, 15)
GUSTS = "feed/weather.wind_gust_mph null_share"
FAULT = [FaultyReading(GUSTS, "weather", BROKEN + number * DAY, is_alarm=number > 0) for number in range(3)]


def drifting(feature: str | None, drop: date) -> dict[str, str]:
    row = {
        "batch_date": drop,
        "family": "training",
        "column_name": feature,
        "state": "alarm",
        "ratio": 2.0,
        "detail": "most: temp",
    }
    diagnose_features([row], flagship(), FaultRecord(flagship(), FAULT))
    return row


@pytest.mark.parametrize(
    ("feature", "days_after", "kind"),
    [
        ("weather_temp_f", 0, "broken_feed"),
        ("weather_temp_f", 9, "broken_feed"),  # the week up to it holds the 18th, which may look back into the 17th
        ("weather_temp_f", 10, "drift"),
        ("temp_change", 9, "broken_feed"),  # an expression over weather
        ("carrier_late_share_28d", 0, "drift"),  # from another source
        (None, 9, "broken_feed"),  # all together come from everything
        (None, 40, "drift"),
    ],
)
def test_features_follow_a_broken_feed_as_long_as_their_windows_remember_it(
    feature: str | None, days_after: int, kind: str
) -> None:
    assert drifting(feature, BROKEN + days_after * DAY)["kind"] == kind


def test_what_is_remembered_is_named_with_its_drop() -> None:
    told = drifting("weather_temp_f", BROKEN + 5 * DAY)

    assert told["meaning"] == "remembers weather.wind_gust_mph null_share of 2013-07-17"


def test_all_features_together_say_which_moved_most() -> None:
    assert "most: temp" in drifting(None, BROKEN + 60 * DAY)["meaning"]


def test_fault_is_known_once_it_has_become_an_alarm() -> None:
    record = FaultRecord(flagship(), FAULT)

    assert record.broken_drops(BROKEN) == []
    assert record.broken_drops(BROKEN + DAY) == [BROKEN, BROKEN + DAY]
    assert record.broken_drops(BROKEN + 9 * DAY) == [BROKEN + number * DAY for number in range(3)]


def test_features_come_from_their_views_and_remember_as_long_as_these_look_back() -> None:
    origins = feature_origins(flagship())

    assert origins["carrier_late_share_7d"] == {"flight_outcomes": timedelta(days=28)}
    assert origins["pressure_fall"] == {"weather": DAY}
    assert set(origins["score"]) == {"schedule", "flight_outcomes", "weather", "airports"}


def test_feed_that_is_quiet_again_is_not_explained_by_its_value_of_today_nor_counted_as_broken() -> None:
    row = {"batch_date": BROKEN, "family": "feed", "monitor": "feed/weather rows", "source": "weather", "ratio": 0.2,
           "column_name": None, "statistic": "rows", "state": "alarm", "value": 4.3, "usual": 4.3, "z": 0.2,
           "detail": None}  # fmt: skip
    record = FaultRecord(flagship())

    diagnose_feeds([row])
    record.note([row])

    assert (row["kind"], row["meaning"]) == (
        "broken_feed",
        "the number of rows: as usual in this drop, after it was over its threshold in those before",
    )
    assert record.broken(BROKEN + 9 * DAY) == {}
