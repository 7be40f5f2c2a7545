"""A champion has failed where that is proven, and not where rows are few or alike by chance."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from ml_assets.decisions.failure import ScoredDrop, failure_of

FIRST = date(2024, 5, 1)


def drops(*rows: int, outside: int = 0, wrong: int = 0, width: float = 0.5) -> list[ScoredDrop]:
    """Give drops that follow each other, with scores from 0.1 on."""
    return [
        ScoredDrop(FIRST + timedelta(days=number), n, outside, wrong, 0.1, 0.1 + width) for number, n in enumerate(rows)
    ]


def test_a_champion_that_scores_apart_has_not_failed() -> None:
    assert failure_of(drops(40, 40, 40), None) is None
    assert failure_of([], None) is None


@pytest.mark.parametrize(
    ("rows", "has_failed"),
    [((100, 100), True), ((400,), False), ((100, 99), False), ((10, 90, 100), True), ((20, 20, 20), False)],
)
def test_the_same_score_for_everybody_needs_two_drops_and_two_hundred_rows(
    rows: tuple[int, ...], has_failed: bool
) -> None:
    said = failure_of(drops(*rows, width=0.0), None)

    assert (said is not None) == has_failed
    told = f"it gave all {sum(rows)} rows since drop {FIRST} the same score, 0.1"
    assert said is None or said.startswith(told)


def test_scores_that_are_no_probability_fail_at_once_where_rows_are_enough() -> None:
    assert failure_of(drops(60, wrong=31), None) == "31 of its 60 scores since drop 2024-05-01 are not valid"
    assert failure_of(drops(60, wrong=30), None) is None
    assert failure_of(drops(1, wrong=1), None) is None  # one row of one drop proves nothing


def test_most_rows_outside_in_three_drops_fail_and_in_two_do_not() -> None:
    assert failure_of(drops(40, 40, outside=30), None) is None
    assert failure_of(drops(40, 40, 40, outside=30), None) == (
        "90 of 120 rows since drop 2024-05-01 have inputs far from its training rows"
    )
    assert failure_of([*drops(40, 40, 40, outside=30), *drops(40)], None) is None


def test_worse_than_the_baseline_fails_with_its_first_drop() -> None:
    assert failure_of(drops(40), FIRST) == "it has done worse than the baseline since drop 2024-05-01"
