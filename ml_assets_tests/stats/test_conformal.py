from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.stats.conformal import (
    LEAST_ROWS,
    STEP,
    STEP_ROWS,
    Beyond,
    adapt_margin,
    adapt_margins,
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


def in_two_groups(rng: np.random.Generator, drop: int) -> Beyond:
    """Errors of a wild group are three times as wide as of a calm one, and from `CHANGE` on six times."""
    groups = np.array(["calm", "wild"] * (ROWS // 2), dtype=object)
    wild = 6 if drop >= CHANGE else 3
    return Beyond(np.abs(rng.normal(0, 1, ROWS)) * np.where(groups == "calm", 1, wild), groups)


@cache
def covered_by_group() -> dict[tuple[str, str], np.ndarray]:
    """Give the mean coverage of each drop, of ten seeds, by whose margin and for which group it is."""
    seeds: list[dict[tuple[str, str], np.ndarray]] = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        past = [in_two_groups(rng, 0)]
        covered: dict[tuple[str, str], list[float]] = {}
        for drop in range(DROPS):
            now = in_two_groups(rng, drop)
            found = adapt_margins(past[0], past[1 : max(1, drop)][-WINDOW:], LEVEL, WINDOW)
            for whose, margin in (("own", found.values(now.groups)), ("all", found.values(None))):
                for name in ("calm", "wild"):
                    inside = (now.scores <= margin)[now.groups == name]
                    covered.setdefault((whose, name), []).append(float(inside.mean()))
            past.append(now)
        seeds.append({key: np.array(shares) for key, shares in covered.items()})
    return {key: np.mean([each[key] for each in seeds], axis=0) for key in seeds[0]}


@pytest.mark.parametrize("name", ["calm", "wild"])
def test_margins_by_group_cover_each_group_as_often_as_they_say_and_return_after_a_change(name: str) -> None:
    found = covered_by_group()["own", name]

    assert 0.88 <= found[20:CHANGE].mean() <= 0.925
    assert 0.88 <= found[CHANGE + 30 : CHANGE + 60].mean() <= 0.925


def test_one_margin_for_all_covers_the_calm_and_not_the_wild() -> None:
    found = covered_by_group()

    assert found["all", "calm"][20:CHANGE].mean() > 0.99
    assert found["all", "wild"][20:CHANGE].mean() < 0.83


def test_group_with_few_rows_takes_the_margin_of_all() -> None:
    groups = np.array(["many"] * LEAST_ROWS + ["few"] * (LEAST_ROWS - 1), dtype=object)
    found = adapt_margins(Beyond(np.arange(groups.size, dtype=float), groups), [], LEVEL, WINDOW)

    assert list(found.by_group) == ["many"]
    assert found.values(np.array(["few", "many"], dtype=object)).tolist() == [179.0, 90.0]
