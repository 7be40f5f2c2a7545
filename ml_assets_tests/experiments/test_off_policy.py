"""Off-policy estimates on logs whose truth is known, and on logs that do not tell; the benchmark has more of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml_assets.experiments.off_policy import LoggedDecisions, cross_fitted_rewards, diagnose_weights, estimate_policy
from ml_assets_tests.benchmarks.off_policy_logs import World, coverage, draw_log, truth


def constant_log(n: int = 1000, **others: object) -> LoggedDecisions:
    """Two actions at even chance, of which the second earns one and the first nothing; the target takes the second."""
    taken = (np.arange(n) % 2).astype(np.float64)
    return replace(LoggedDecisions(taken, np.full(n, 0.5), taken, np.arange(n)), **others)


@pytest.mark.parametrize("world", [World(), World(n=12_000, delayed=True)], ids=["at once", "delayed"])
def test_intervals_hold_the_truth_where_decisions_of_a_user_belong_together(world: World) -> None:
    found = coverage(world, 120, np.random.default_rng(1))

    assert found["refused"][0] == 0
    for name in ("ips", "snips", "dr"):
        held, bias, _ = found[name]
        assert held >= 0.9, name  # 0.93 is asked for; 120 logs add 0.03
        assert abs(bias) < 0.01, name
    assert found["dr"][2] < found["ips"][2]  # predicted rewards make the interval narrower


def test_outcomes_taken_as_they_come_bias_the_estimate() -> None:
    found = coverage(World(n=12_000, delayed=True), 60, np.random.default_rng(1))

    assert found["snips, outcomes as they come"][1] < -0.01


def test_decisions_of_a_user_are_not_as_many_pieces_of_evidence() -> None:
    log, _, _ = draw_log(World(n=20_000, per_user=100), np.random.default_rng(2))

    by_user = estimate_policy(log).values["ips"].standard_error
    by_row = estimate_policy(replace(log, units=np.arange(log.rewards.size))).values["ips"].standard_error

    assert by_user > 1.4 * by_row


@pytest.mark.parametrize("world", [World(epsilon=0.01), World(n=150)], ids=["no overlap", "few decisions"])
def test_log_that_says_too_little_is_refused_with_the_reason(world: World) -> None:
    log, _, _ = draw_log(world, np.random.default_rng(3))

    found = estimate_policy(log)

    assert found.values == {}
    assert any("effective units; allowed: 100 or more" in why for why in found.refused)


def test_action_that_was_never_tried_is_not_identified() -> None:
    found = estimate_policy(constant_log(unsupported=np.full(1000, 0.2)))

    assert found.refused == ("20.0% of what the policy does was never tried: not identified",)


def test_propensities_that_are_not_those_of_the_log_are_noticed() -> None:
    found = estimate_policy(constant_log(propensities=np.full(1000, 0.4)))

    assert any("propensities are not those of the log" in why for why in found.refused)


def test_decisions_without_an_outcome_are_counted_and_not_taken_for_failures() -> None:
    rewards = constant_log().rewards.copy()
    rewards[:50] = np.nan

    few, many = estimate_policy(constant_log(rewards=rewards)), constant_log(rewards=np.full(1000, np.nan))

    assert few.values["snips"].estimate == 1.0
    assert few.diagnostics.missing == 0.05
    assert estimate_policy(many).values == {}


def test_same_policy_gives_the_mean_of_the_log() -> None:
    rng = np.random.default_rng(4)
    rewards = rng.random(500)
    log = LoggedDecisions(rewards, np.full(500, 0.3), np.full(500, 0.3), np.arange(500))

    assert estimate_policy(log).values["ips"].estimate == pytest.approx(rewards.mean())
    assert diagnose_weights(log).effective_units == pytest.approx(500)


def test_rewards_of_a_unit_do_not_predict_themselves() -> None:
    units = np.repeat(np.arange(200), 2)
    reward = np.repeat(np.random.default_rng(5).integers(0, 2, 200), 2).astype(float)
    context = np.eye(200)[units]  # tells each unit from all others

    predicted = cross_fitted_rewards(context, np.zeros(400, dtype=int), reward, units, n_actions=1)[:, 0]

    assert abs(np.corrcoef(predicted, reward)[0, 1]) < 0.2


def test_propensity_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="propensity that is not in"):
        constant_log(propensities=np.zeros(1000))


def test_truth_of_the_simulation_is_what_acting_by_it_earns() -> None:
    log, _, _ = draw_log(World(n=90_000, epsilon=1.0), np.random.default_rng(6))  # all actions drawn at random

    taken = log.rewards[log.target == 1]

    assert abs(taken.mean() - truth()) < 0.012
