from datetime import date

import pytest

from ml_assets.monitoring.drift_report import diagnose, known_changes
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
    row = {"batch_date": date(2013, 4, 3), "family": "before", "column_name": "distance_mi", "state": "alarm"}

    (told,) = diagnose([row], flagship())

    assert (told["kind"], told["meaning"].rpartition("; ")[2]) == ("abrupt", TIMETABLE)
