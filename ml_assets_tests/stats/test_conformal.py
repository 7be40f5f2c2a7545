from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.stats.conformal import (
    LEAST_ROWS,
    STEP,
    STEP_ROWS,
    adapt_margin,
    conformal_quantile,
    interval_score,
    nonconformity,
)

LEVEL, WINDOW, ROWS, CHANGE, DROPS = 0.9, 28, 60, 60, 140
Draw = Callable[[np.random.Generator, int], np.ndarray]
WORLDS: dict[str, Draw] = {
    "errors twice as wide": lambda rng, drop: rng.normal(0, 2 if drop >= CHANGE else 1, ROWS),
    "errors half as wide": lambda rng, drop: rng.normal(0, 0.5 if drop >= CHANGE else 1, ROWS),
    "everything above": lambda rng, drop: rng.normal(1.5 if drop >= CHANGE else 0, 1, ROWS),
    "slowly wider": lambda rng, drop: rng.normal(0, 1 + max(0, drop - CHANGE) / 60, ROWS),
}


def lived(draw: Draw, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the coverage of each drop and the half width of its intervals; outcomes mature after two drops."""
    rng = np.random.default_rng(seed)
    ahead = np.abs(draw(rng, 0))
    past: list[np.ndarray] = []
    covered, widths = [], []
    for drop in range(DROPS):
        outcomes = draw(rng, drop)
        margin = adapt_margin(ahead, past[: max(0, drop - 1)][-WINDOW:], LEVEL, WINDOW).value
        covered.append(float((np.abs(outcomes) <= margin).mean()))
        widths.append(margin)
        past.append(np.abs(outcomes))
    return np.array(covered), np.array(widths)


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_coverage_returns_within_thirty_drops_of_a_change(name: str) -> None:
    found = np.mean([lived(WORLDS[name], seed)[0] for seed in range(20)], axis=0)

    assert 0.88 <= found[20:CHANGE].mean() <= 0.92
    assert 0.88 <= found[CHANGE + 30 : CHANGE + 60].mean() <= 0.92


def test_bounds_draw_together_again_once_errors_are_smaller() -> None:
    _, widths = lived(WORLDS["errors half as wide"], 1)

    assert widths[-1] < 0.6 * widths[CHANGE - 1]


def test_a_fixed_margin_would_not_return() -> None:
    rng = np.random.default_rng(0)
    fixed = conformal_quantile(np.abs(rng.normal(0, 1, 2000)), LEVEL)

    assert np.mean(np.abs(rng.normal(0, 2, 2000)) <= fixed) < 0.65


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=60), st.floats(0.5, 0.99))
def test_the_margin_covers_at_least_the_level_of_what_it_was_made_of(scores: list[float], level: float) -> None:
    margin = conformal_quantile(scores, level)

    share = np.mean(np.array(scores) <= margin)
    assert margin in scores
    assert share >= level or margin == max(scores)


def test_without_anything_seen_there_is_no_margin() -> None:
    found = adapt_margin(np.empty(0), [], LEVEL, WINDOW)

    assert np.isnan([found.value, found.coverage]).all()
    assert found.n_drops == 0


def test_drops_without_a_matured_row_change_nothing() -> None:
    ahead, drops = np.arange(200.0), [np.array([1.0, 3.0]), np.empty(0), np.array([2.0])]

    one, other = (adapt_margin(ahead, each, LEVEL, WINDOW) for each in (drops, [drops[0], drops[2]]))

    assert one == other


def test_few_matured_rows_are_joined_by_what_was_found_ahead() -> None:
    found = adapt_margin(np.full(500, 5.0), [np.array([1.0, 1.0])], LEVEL, WINDOW)

    assert found.value == 5.0


def test_a_bound_that_was_missed_costs_more_than_its_width() -> None:
    missed, held = interval_score([10.0, 5.0], [4.0, 4.0], [8.0, 8.0], 0.9)

    assert (missed, held) == pytest.approx((4 + 20 * 2, 4))
    assert nonconformity([10.0, 5.0], [4.0, 4.0], [8.0, 8.0]).tolist() == [2.0, -1.0]


def adapted_plainly(ahead: np.ndarray, drops: list[np.ndarray], window: int) -> tuple[float, float]:
    """Give margin and level left out by the definition: every quantile anew, of the rows that it rests on."""
    left_out, seen = 1 - LEVEL, [ahead]

    def margin() -> float:
        newest = np.concatenate(seen[1:][-window:]) if seen[1:] else np.empty(0)
        before = np.concatenate(seen)[: -newest.size or None]
        missing = max(0, LEAST_ROWS - newest.size)
        rows = np.concatenate([before[-missing:] if missing else before[:0], newest]) if newest.size else ahead
        return conformal_quantile(rows, 1 - left_out)

    for scores in filter(len, drops):
        now = margin()
        if not np.isnan(now):
            missed = float((scores > now).mean())
            left_out += STEP * min(1.0, len(scores) / STEP_ROWS) * (1 - LEVEL - missed)
            left_out = min(max(left_out, 0.002), 0.6)
        seen.append(scores)
    return margin(), left_out


@given(st.integers(0, 10_000))
def test_margins_of_many_small_drops_are_those_of_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ahead, window = rng.normal(size=rng.integers(0, 200)), int(rng.integers(1, 40))
    drops = [rng.normal(size=rng.integers(0, 12)).round(2) for _ in range(rng.integers(0, 80))]

    found = adapt_margin(ahead, drops, LEVEL, window)

    np.testing.assert_equal((found.value, found.left_out), adapted_plainly(ahead, drops, window))
