from __future__ import annotations

import pytest

from ml_assets.features.outcome_leakage import find_filled_afterwards, find_telling_absence


def test_null_that_goes_with_never_being_labelled_is_an_alarm() -> None:
    rows = (200, 700, 100)

    found = {each.column: each for each in find_telling_absence({"tail": (0, 0, 100), "wind": (66, 233, 33)}, rows)}

    assert (found["tail"].value, found["tail"].is_alarm) == (pytest.approx(1.0), True)
    assert found["tail"].says == "where it is null: 0% positive, 0% negative, 100% never labelled"
    assert not found["wind"].is_alarm


def test_column_that_is_nearly_never_or_nearly_always_null_is_not_judged() -> None:
    assert (
        find_telling_absence({"full": (0, 0, 0), "nearly": (29, 0, 0), "empty": (200, 700, 100)}, (200, 700, 100)) == []
    )


def test_outcome_that_nothing_has_does_not_spoil_the_measure() -> None:
    (found,) = find_telling_absence({"tail": (100, 0, 0)}, (200, 700, 0))

    assert found.value == pytest.approx(0.66, abs=0.01)


def test_column_that_open_examples_lack_is_an_alarm() -> None:
    found = find_filled_afterwards({"air_time": (0.97, 0.0), "distance": (1.0, 1.0)}, (1_000, 60))

    assert [(each.column, each.is_alarm) for each in found] == [("air_time", True), ("distance", False)]
    assert find_filled_afterwards({"air_time": (0.97, 0.0)}, (1_000, 3)) == []
