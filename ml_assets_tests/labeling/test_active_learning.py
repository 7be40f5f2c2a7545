"""Labels bought round by round: at equal cost, from what has come, and worth what the truth says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.labeling.active_learning import (
    SIMULATED,
    CurveScores,
    LabelHistory,
    LearningCurves,
    LearningPoint,
    buy_labels,
    cut_rounds,
    draw_curves,
)
from ml_assets.labeling.votes import FloatArray, IntArray
from ml_assets.stats.classification import auc

POINTS = np.sort(np.random.default_rng(0).uniform(0, 1, 400))[np.random.default_rng(1).permutation(400)]
TRUTH = (POINTS > 0.83).astype(float)
HISTORY = LabelHistory(POINTS[:, None], cut_rounds(400, 8))


def midpoint_model(bought: IntArray, left: IntArray) -> FloatArray | None:
    """Put the threshold in the middle between the two classes bought: what labels near it decide."""
    low, high = POINTS[bought][TRUTH[bought] == 0], POINTS[bought][TRUTH[bought] == 1]
    if not low.size or not high.size:
        return None
    middle = (low.max() + high.min()) / 2
    return 1 / (1 + np.exp(-20 * (POINTS[left] - middle)))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SIMULATED), st.floats(0.01, 1.0), st.integers(0, 3))
def test_every_strategy_pays_the_same_in_every_round_and_for_nothing_that_has_not_come(
    strategy: str, share: float, seed: int
) -> None:
    asked: list[tuple[IntArray, IntArray]] = []

    def predict(bought: IntArray, left: IntArray) -> FloatArray | None:
        asked.append((bought, left))
        return midpoint_model(bought, left)

    bought = buy_labels(HISTORY, strategy, share, predict, np.random.default_rng(seed))

    assert len(set(bought.tolist())) == len(bought) == round(share * 400)
    for seen in HISTORY.rounds:
        assert (bought[: round(share * seen)] < seen).all()
    for labels, rows in asked:
        newest = max((seen for seen in HISTORY.rounds if round(share * seen) <= len(labels)), default=0)
        assert labels.max() < max(newest, HISTORY.rounds[0])
        assert not set(labels.tolist()) & set(rows.tolist())


def test_margins_find_a_boundary_that_chance_misses() -> None:
    def error(strategy: str, seed: int) -> float:
        bought = buy_labels(HISTORY, strategy, 0.1, midpoint_model, np.random.default_rng(seed))
        scores = midpoint_model(bought, np.arange(400))
        return 0.5 if scores is None else float(np.mean((scores > 0.5) != TRUTH))

    errors = {name: np.mean([error(name, seed) for seed in range(20)]) for name in ("random", "uncertainty")}

    assert errors["uncertainty"] < errors["random"] / 3, errors


def test_same_seed_buys_the_same_and_another_one_other_labels() -> None:
    bought = [buy_labels(HISTORY, "random", 0.1, midpoint_model, np.random.default_rng(seed)) for seed in (1, 1, 2)]

    assert bought[0].tolist() == bought[1].tolist() != bought[2].tolist()


def test_gain_is_measured_in_pairs_so_that_its_interval_is_narrower_than_that_of_the_quality() -> None:
    rng = np.random.default_rng(5)
    truth = (rng.random(400) < 0.4).astype(float)
    noise = rng.normal(0, 1, (6, 400))
    base, better = truth + 1.5 * noise, truth + 1.3 * noise
    scores = CurveScores(
        truth, {("random", 0.1): _share(base), ("uncertainty", 0.1): _share(better)}, {0.1: 40}, _share(truth)
    )

    curves = draw_curves(scores, auc, np.random.default_rng(0), 400)

    of_random, found = curves.of("random")[0], curves.of("uncertainty")[0]
    assert found.quality == pytest.approx(np.mean([auc(truth, row) for row in _share(better)]))
    assert found.gain == pytest.approx(found.quality - of_random.quality)
    assert 0 < found.gain_low < found.gain < found.gain_high
    assert found.gain_high - found.gain_low < (found.high - found.low) / 2
    assert (of_random.gain, of_random.gain_low, of_random.gain_high) == (0, 0, 0)
    assert (curves.full, curves.n_full, curves.n_test, curves.seeds) == (1.0, 400, 400, 6)


def _share(values: FloatArray) -> FloatArray:
    return 1 / (1 + np.exp(-values))


def test_share_that_is_enough_is_the_one_from_which_on_all_are() -> None:
    def point(share: float, quality: float) -> LearningPoint:
        return LearningPoint("random", share, round(share * 100), quality, 0, 1, 0, 0, 0)

    curves = LearningCurves(tuple(point(*each) for each in [(0.1, 0.9), (0.2, 0.88), (0.3, 0.895), (0.4, 0.9)]),
                            0.9, 100, 50, 20)  # fmt: skip

    assert curves.enough_at("random") == 0.3  # 0.1 reached it too, and 0.2 fell short again
    assert curves.enough_at("random", 0.5) == 0.1
    assert LearningCurves((point(0.1, 0.7),), 0.9, 100, 50, 20).enough_at("random") is None
