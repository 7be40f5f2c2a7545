"""Which remedy the newest labels speak for, rule by rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ml_assets.decisions.remedy import RemedyFacts, choose_remedy, name_change
from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.loss_change import ChangePart, LossChange


def gain(estimate: float, half: float = 0.01, n: int = 5000, days: int = 14) -> Interval:
    return Interval(estimate, estimate - half, estimate + half, 0.9, days, n)


def part(estimate: float, half: float = 0.01) -> ChangePart:
    return ChangePart(estimate, estimate - half, estimate + half)


RISEN = LossChange(0.4, 0.5, 0.9, part(0.1), part(0.0), part(0.0), part(0.1), 0.5)
STEADY = LossChange(0.4, 0.4, 0.9, part(0.0), part(0.0), part(0.0), part(0.0), 0.5)
FACTS = RemedyFacts((), RISEN, gain(0.0), gain(0.0), gain(0.0), 0.003, 2000, 7)


@pytest.mark.parametrize(
    ("facts", "answer"),
    [
        (replace(FACTS, broken=("weather sends no rows",), shadow=gain(0.2)), "fix upstream"),
        (replace(FACTS, shadow=None), "wait for labels"),
        (replace(FACTS, shadow=gain(0.2, n=300)), "wait for labels"),
        (replace(FACTS, shadow=gain(0.2, days=3)), "wait for labels"),
        (replace(FACTS, change=None, shadow=gain(0.2)), "wait for labels"),
        (replace(FACTS, shadow=gain(0.2)), "retrain"),
        (replace(FACTS, shift=gain(0.2), shadow=gain(0.15), shadow_over_shift=gain(-0.05)), "recalibrate"),
        (replace(FACTS, shift=gain(0.1), shadow=gain(0.2), shadow_over_shift=gain(0.1)), "retrain"),
        (replace(FACTS, shift=gain(0.1), shadow=gain(0.2), shadow_over_shift=gain(0.005)), "recalibrate"),
        (replace(FACTS, shadow=gain(0.005)), "wait for labels"),
        (replace(FACTS, change=STEADY, shadow=gain(0.005)), "nothing"),
        (replace(FACTS, shadow=gain(-0.05)), "wait for labels"),
        (replace(FACTS, shadow=gain(-0.05), change=replace(RISEN, covariate=part(0.2))), "nothing"),
        (replace(FACTS, change=STEADY, shadow=gain(0.002, half=0.001)), "nothing"),
    ],
)
def test_answer(facts: RemedyFacts, answer: str) -> None:
    found = choose_remedy(facts)

    assert found.answer == answer
    assert found.reason
    assert found.would_change


def test_answer_carries_the_interval_of_what_the_remedy_saves() -> None:
    found = choose_remedy(replace(FACTS, shadow=gain(0.2)))

    assert found.interval == gain(0.2)
    assert "+20.0% (+19.0% to +21.0%)" in found.reason


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (RISEN, "concept"),
        (replace(RISEN, label=part(0.2)), "label"),
        (replace(RISEN, covariate=part(0.15), concept=part(-0.05)), "covariate"),
        (replace(RISEN, concept=part(0.1, half=0.2)), "cannot tell"),
        (replace(RISEN, covariate=None), "cannot tell"),
        (None, "cannot tell"),
    ],
)
def test_cause_is_the_largest_part_that_is_surely_above_zero(change: LossChange | None, cause: str) -> None:
    assert name_change(change) == cause
