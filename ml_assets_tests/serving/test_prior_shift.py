from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.serving.prior_shift import LEAST_BEFORE, LEAST_TRIED, NO_SHIFT, PriorShift, learn_shift, shifted
from ml_assets.spec.prior_correction import PriorCorrection
from ml_assets.stats.logit import logit

RULE = PriorCorrection.model_validate({"window": "28d", "shrink_days": 4})


def matured(levels: list[float], seed: int = 0, a_day: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, labels and days; each day's log odds lie beside those of the scores by its level."""
    rng = np.random.default_rng(seed)
    day = np.arange(len(levels)).repeat(a_day)
    odds = rng.normal(-1.2, 0.7, day.size)
    labels = (rng.random(day.size) < 1 / (1 + np.exp(-odds - np.array(levels)[day]))).astype(float)
    return 1 / (1 + np.exp(-odds)), labels, day


def learn(levels: list[float], gap: int = 2, rule: PriorCorrection = RULE, seed: int = 0) -> PriorShift:
    return learn_shift(*matured(levels, seed), gap=gap, rule=rule)


def test_level_that_lasts_is_followed_and_drawn_to_none_by_the_days_without() -> None:
    found = learn([-0.6] * 20)

    assert found.saved > 0
    assert found.shift == found.learned == pytest.approx(-0.6 * 20 / 24, abs=0.1)
    assert (found.n_days, found.n) == (20, 6000)
    assert learn([-0.6] * 20, rule=PriorCorrection(shrink_days=100)).shift == pytest.approx(-0.6 * 20 / 120, abs=0.03)


def test_correction_that_has_not_earned_it_is_exactly_none_and_says_what_it_would_have_been() -> None:
    waves = learn([*[0.9] * 8, *[-0.9] * 8, *[0.9] * 8])  # what eight days teach, the next eight deny

    assert waves.shift == 0.0
    assert waves.saved < 0
    assert waves.learned != 0
    scores = np.array([0.1, 0.3, 0.999])
    assert shifted(scores, waves.shift) is scores


@given(n_days=st.integers(0, LEAST_BEFORE - 1))
def test_too_few_days_teach_nothing(n_days: int) -> None:
    scores, labels, day = matured([-1.0] * n_days, a_day=20) if n_days else (np.empty(0), np.empty(0), np.empty(0, int))

    found = learn_shift(scores, labels, day, gap=2, rule=RULE)

    assert (found.shift, found.n_days) == (NO_SHIFT.shift, NO_SHIFT.n_days)
    assert np.isnan(found.saved)


def test_shift_is_used_once_it_was_tried_on_enough_days() -> None:
    first_tried = LEAST_BEFORE + 2 - 1  # the gap lies between what is learned from and what it is tried on
    enough = first_tried + LEAST_TRIED

    before, then = (learn([-0.6] * n_days, gap=2) for n_days in (enough - 1, enough))

    assert before.shift == 0
    assert before.learned < -0.3
    assert then.shift == then.learned != 0


@given(seed=st.integers(0, 50))
def test_order_of_the_rows_changes_nothing_that_is_told_apart(seed: int) -> None:
    scores, labels, day = matured([0.3] * 14, seed, a_day=30)
    order = np.random.default_rng(seed).permutation(day.size)

    plain = learn_shift(scores, labels, day, gap=2, rule=RULE)
    mixed = learn_shift(scores[order], labels[order], day[order], gap=2, rule=RULE)

    assert mixed.learned == pytest.approx(plain.learned, abs=1e-12)
    assert mixed.saved == pytest.approx(plain.saved, abs=1e-12)
    assert mixed.n_days == plain.n_days


def test_numbers_of_days_count_by_what_lies_between_them() -> None:
    scores, labels, day = matured([-0.6] * 14)

    near = learn_shift(scores, labels, day, gap=2, rule=RULE)
    far = learn_shift(scores, labels, day, gap=14, rule=RULE)  # no day lies so far before another
    sparse = learn_shift(scores, labels, day * 10, gap=14, rule=RULE)

    assert near.shift != 0
    assert (far.shift, np.isnan(far.saved)) == (0.0, True)
    assert sparse.shift == sparse.learned == near.learned


@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=20), shift=st.floats(-3, 3))
def test_shift_moves_all_log_odds_by_itself_and_keeps_the_order(scores: list[float], shift: float) -> None:
    given_scores = np.array(scores)

    found = shifted(given_scores, shift)

    inside = (given_scores > 1e-4) & (given_scores < 1 - 1e-4)
    assert logit(found)[inside] == pytest.approx(logit(given_scores)[inside] + shift, abs=1e-6)
    assert (np.diff(found[np.argsort(given_scores, kind="stable")]) >= 0).all()
