"""The two ways to begin with a past: go live, or see how it would have done."""

from __future__ import annotations

from datetime import date

import pytest

from ml_assets.pipeline.runs.first_runs import ways_to_begin
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.second_use_case.machine import DECLARED

FIRST, LAST = date(2022, 1, 9), date(2024, 1, 28)


@pytest.fixture(scope="module")
def spec() -> UseCaseSpec:
    return load_use_case(DECLARED)


def test_a_past_can_go_live_as_a_whole_or_be_replayed_from_its_middle(spec: UseCaseSpec) -> None:
    ways = ways_to_begin(spec, FIRST, LAST)

    assert list(ways) == [
        "ml-assets batch late_loans --from 2022-01-09 --to 2024-01-28",
        "ml-assets retrain late_loans --as-of 2024-01-28",
        "ml-assets batch late_loans --from 2022-01-09 --to 2023-01-22",
        "ml-assets retrain late_loans --as-of 2023-01-22",
        "ml-assets replay late_loans --from 2023-01-29 --to 2024-01-28",
    ]
    live, serves, rehearsed, *_ = ways.values()
    assert live.startswith("1. to go live today")
    assert serves.endswith("serves the drops after 2024-01-28")
    assert rehearsed.startswith("2. or to see how it would have done")


def test_a_first_part_that_was_run_is_trained_on_and_the_rest_replayed(spec: UseCaseSpec) -> None:
    ways = ways_to_begin(spec, date(2022, 10, 30), LAST, date(2022, 10, 23))

    assert list(ways)[2:] == [
        "ml-assets retrain late_loans --as-of 2022-10-23",
        "ml-assets replay late_loans --from 2022-10-30 --to 2024-01-28",
    ]


def test_a_past_that_is_too_short_to_train_on_is_run_alone(spec: UseCaseSpec) -> None:
    # 2 x 112d of holdout and 30d until labels mature
    assert list(ways_to_begin(spec, FIRST, date(2022, 9, 18))) == [
        "ml-assets batch late_loans --from 2022-01-09 --to 2022-09-18"
    ]


def test_a_few_drops_that_landed_since_the_last_run_are_no_past_to_replay(spec: UseCaseSpec) -> None:
    # a step of a replay is 28d
    assert list(ways_to_begin(spec, date(2022, 10, 30), date(2022, 11, 20), date(2022, 10, 23))) == [
        "ml-assets batch late_loans --from 2022-10-30 --to 2022-11-20"
    ]


def test_a_calendar_that_has_ended_says_that_nothing_is_left_to_serve(spec: UseCaseSpec) -> None:
    ways = ways_to_begin(spec, FIRST, date(2024, 2, 4))

    assert ways["ml-assets retrain late_loans --as-of 2024-02-04"].endswith("none comes: `calendar.end` is 2024-02-04")
