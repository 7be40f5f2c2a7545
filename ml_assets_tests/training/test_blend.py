from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.stats.classification import log_loss
from ml_assets.stats.logit import logit
from ml_assets.training.blend import EVEN_SHARE_STRENGTH, Blend, blended, fit_weights
from ml_assets.training.estimators import fit_candidate, load_model, part_of
from ml_assets_tests.training.conftest import CANDIDATES, made_up_flights


@pytest.fixture(scope="module")
def blend() -> Blend:
    frame, labels = made_up_flights()
    fitted = [fit_candidate(CANDIDATES[kind], frame, labels, seed=0) for kind in ("logistic_regression", "xgboost")]
    return Blend(("linear", "trees"), tuple(fitted), (0.25, 0.75))


@given(seed=st.integers(0, 10_000), members=st.integers(2, 5), n=st.integers(1, 300))
def test_weights_are_shares_and_the_same_rows_give_the_same(seed: int, members: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    scores = [rng.random(n) for _ in range(members)]
    labels = (rng.random(n) < 0.3).astype(float)

    weights = fit_weights(scores, labels, "binary")

    assert len(weights) == members
    assert min(weights) >= 0
    assert sum(weights) == pytest.approx(1)
    assert fit_weights(scores, labels, "binary") == weights


@given(seed=st.integers(0, 10_000), members=st.integers(2, 5), sureness=st.floats(0.1, 4))
def test_no_shift_of_weight_between_two_members_loses_less(seed: int, members: int, sureness: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1, 1, 300)
    scores = [1 / (1 + np.exp(-sureness * (truth + rng.normal(0, noise, 300)))) for noise in rng.random(members) * 2]
    labels = (rng.random(300) < 1 / (1 + np.exp(-truth))).astype(float)

    weights = np.array(fit_weights(scores, labels, "binary"))

    design = np.column_stack([logit(score) for score in scores])
    gradient = design.T @ (1 / (1 + np.exp(-design @ weights)) - labels) / 300
    gradient += EVEN_SHARE_STRENGTH * (weights - 1 / members)
    # at the minimum on the simplex, members with weight have the same slope, and no other member has a lower one
    assert gradient[weights > 1e-6] == pytest.approx(gradient @ weights, abs=1e-5)
    assert gradient.min() >= gradient @ weights - 1e-5


def test_two_that_see_different_things_lose_less_together_than_either_or_their_even_mean() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1.2, 4000), rng.normal(0, 0.6, 4000)
    labels = (rng.random(4000) < 1 / (1 + np.exp(-a - b + 1))).astype(float)
    scores = [1 / (1 + np.exp(-1.6 * a + 0.8)), 1 / (1 + np.exp(-1.6 * b + 0.8))]

    weights = fit_weights(scores, labels, "binary")

    loss = log_loss(labels, blended(scores, weights, "binary"))
    assert weights[0] > weights[1] > 0.1
    assert loss < min(log_loss(labels, each) for each in (*scores, blended(scores, (0.5, 0.5), "binary")))


def test_without_rows_shares_are_even_and_equal_members_keep_them() -> None:
    same = np.array([0.2, 0.7, 0.4])

    assert fit_weights([np.empty(0)] * 4, np.empty(0), "binary") == (0.25,) * 4
    assert fit_weights([same, same], np.array([0.0, 1.0, 1.0]), "binary") == pytest.approx((0.5, 0.5))


def test_score_of_a_blend_is_the_weighed_mean_of_log_odds_and_depends_on_its_own_row(blend: Blend) -> None:
    frame, _ = made_up_flights()
    linear, trees = (member.predict(frame) for member in blend.members)

    found = blend.predict(frame)

    assert logit(found) == pytest.approx(0.25 * logit(linear) + 0.75 * logit(trees), abs=1e-9)
    assert blend.predict(frame.iloc[[5]]).tolist() == [found[5]]
    assert blend.predict(frame.iloc[:0]).tolist() == []


def test_blend_reads_back_to_the_bit_with_its_members_and_weights(blend: Blend) -> None:
    frame, _ = made_up_flights()
    files = blend.to_files()

    read = load_model("blend", files)

    assert read.predict(frame).tolist() == blend.predict(frame).tolist()
    assert read.to_files() == files
    assert (read.feature_names, part_of(read, "trees").kind) == (tuple(frame.columns), "xgboost")


def test_importance_of_a_blend_is_its_members_shares_as_they_are_weighed(blend: Blend) -> None:
    shares = [member.importance() for member in blend.members]
    expected = {
        name: sum(w * each[name] / sum(each.values()) for w, each in zip(blend.weights, shares, strict=True))
        for name in shares[0]
    }

    assert blend.importance() == pytest.approx(expected)
    assert sum(blend.importance().values()) == pytest.approx(1)


def test_member_that_misses_a_feature_is_named(blend: Blend) -> None:
    with pytest.raises(ValueError, match="missing: hour"):
        blend.predict(pd.DataFrame(made_up_flights()[0].drop(columns="hour")))
