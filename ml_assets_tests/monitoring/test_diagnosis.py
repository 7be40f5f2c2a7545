import math
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
from ml_assets.monitoring.drift_report import Row, set_alarm_states
from ml_assets.spec.drop import DropKey
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
        ("weather_temp_f", 0, "drift"),  # the feed is over in one drop: no alarm yet
        ("weather_temp_f", 1, "broken_feed"),
        ("carrier_late_share_28d", 1, "drift"),  # from another source
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


def test_feed_over_in_one_drop_renames_no_alarm_of_a_feature() -> None:
    once = [FaultyReading(GUSTS, "weather", BROKEN, is_alarm=False)]
    row = {"batch_date": BROKEN, "family": "before", "column_name": "weather_temp_f", "state": "alarm", "ratio": 2.0}

    diagnose_features([row], flagship(), FaultRecord(flagship(), once))

    assert row["kind"] == "abrupt"


def rows_monitor(drop: date, value: float, z: float) -> Row:
    return {"batch_date": drop, "family": "feed", "monitor": "feed/weather rows", "source": "weather",
            "ratio": abs(z) / 5, "column_name": None, "statistic": "rows", "state": "ok", "value": value,
            "usual": math.log(72), "z": z, "threshold": 5.0, "detail": None}  # fmt: skip


def test_alarm_that_holds_is_told_by_the_value_over_its_threshold_and_not_counted_as_broken() -> None:
    ratios: dict[str, dict[DropKey, float]] = {}
    measured: dict[str, dict[DropKey, Row]] = {}
    monitoring, record = flagship().monitoring, FaultRecord(flagship())
    seen = [(math.log(10), -20.0), (math.log(20), -10.0), (math.log(72), 0.1)]
    rows = [rows_monitor(BROKEN + number * DAY, value, z) for number, (value, z) in enumerate(seen)]
    for row in rows:
        set_alarm_states([row], ratios, monitoring, flagship().calendar, measured)
    row = rows[-1]
    diagnose_feeds([row])
    record.note([row])

    assert (row["state"], row["z"], row["ratio"]) == ("alarm", -10.0, pytest.approx(0.02))
    assert (row["kind"], row["meaning"]) == (
        "broken_feed",
        "the number of rows: 20 where 72 is usual; measured in one of the drops before, in this one it is below its "
        "threshold",
    )
    assert record.broken(BROKEN + 9 * DAY) == {}


def test_expression_comes_from_the_features_it_names_as_whole_words() -> None:
    spec = flagship()
    expression = spec.features.expressions[0].model_copy(update={"name": "x", "sql": "weather_temp_fahrenheit * 2"})
    features = spec.features.model_copy(update={"expressions": (expression,)})

    origins = feature_origins(spec.model_copy(update={"features": features}))

    assert set(origins["x"]) == set(spec.examples.sources)  # not weather, by weather_temp_f


def test_value_the_reference_never_had_is_an_alarm_at_once_and_says_what_was_usual() -> None:
    said = "was 0 in all 5,600 rows of the reference and is other in 28 % of the window"
    row = {"batch_date": BROKEN, "family": "before", "monitor": "before/x", "column_name": "x", "ratio": 3.0,
           "statistic": "constant_changed", "state": "ok", "detail": said}  # fmt: skip

    set_alarm_states([row], {}, flagship().monitoring, flagship().calendar)
    diagnose_features([row], flagship(), FaultRecord(flagship()))

    assert (row["state"], row["kind"]) == ("alarm", "abrupt")
    assert said in row["meaning"]
