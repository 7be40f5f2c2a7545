from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.decisions.candidate_choice import choose_candidate


def test_a_more_complex_candidate_is_taken_when_it_gains_the_margin() -> None:
    found = choose_candidate({"group_history": 0.539, "logistic_regression": 0.521, "xgboost": 0.506}, margin=0.01)

    assert found.name == "xgboost"
    assert found.reasons == (
        "group_history: taken as the simplest candidate with a finite log loss (0.539000)",
        "logistic_regression: taken, log loss 0.521000 gains +3.34% over group_history, asked is 1.00%",
        "xgboost: taken, log loss 0.506000 gains +2.88% over logistic_regression, asked is 1.00%",
    )


def test_a_gain_within_the_margin_leaves_the_simpler_candidate() -> None:
    found = choose_candidate([("group_history", 0.5), ("xgboost", 0.499)], margin=0.01)

    assert found.name == "group_history"
    assert "not taken" in found.reasons[1]


def test_the_comparison_is_with_the_candidate_taken_and_not_with_the_one_before() -> None:
    # b is worse than a; c beats b by far, but a by less than the margin
    assert choose_candidate([("a", 0.500), ("b", 0.600), ("c", 0.499)], margin=0.01).name == "a"


def test_equal_losses_leave_the_simpler_candidate_even_without_a_margin() -> None:
    assert choose_candidate([("a", 0.5), ("b", 0.5)], margin=0).name == "a"
    assert choose_candidate([("a", 0.0), ("b", 0.0)], margin=0).name == "a"


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_never_taken_and_named(loss: float) -> None:
    found = choose_candidate([("a", loss), ("b", 0.6), ("c", loss)], margin=0.01)

    assert found.name == "b"
    assert found.reasons[0] == f"a: not taken, its log loss is not finite ({loss})"
    assert "c: not taken" in found.reasons[2]


def test_candidates_without_a_finite_loss_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"no candidate can be taken: a: not taken, its log loss is not finite \(nan\)"
    ):
        choose_candidate([("a", math.nan)], margin=0.01)


def test_a_candidate_that_breaks_a_behaviour_is_passed_over_for_the_best_that_keeps_all() -> None:
    asked: list[str] = []

    def breaks(name: str) -> str:
        asked.append(name)
        return "noise" if name == "trees" else ""

    found = choose_candidate(
        [("a", 0.6), ("line", 0.55), ("trees", 0.5), ("weak", 0.58), ("blend", 0.51)], 0.01, breaks
    )

    assert found.name == "blend"
    assert found.reasons[2] == "trees: not taken, log loss 0.500000, it breaks noise"
    assert found.reasons[4].endswith("gains +7.27% over line, asked is 1.00%")
    assert asked == ["a", "line", "trees", "blend"]  # what would not be taken is not tried


def test_candidates_of_which_every_candidate_breaks_something_is_refused_with_what() -> None:
    with pytest.raises(ValueError, match=r"a: not taken, log loss 0\.500000, it breaks noise"):
        choose_candidate([("a", 0.5)], 0.01, lambda _: "noise")


@given(st.lists(st.floats(0.01, 2) | st.just(math.nan), min_size=1, max_size=6), st.floats(0, 0.2))
def test_nothing_above_the_candidate_taken_beats_it_by_the_margin(losses: list[float], margin: float) -> None:
    if all(math.isnan(loss) for loss in losses):
        return
    candidates = [(str(position), loss) for position, loss in enumerate(losses)]

    taken = int(choose_candidate(candidates, margin).name)

    assert len(choose_candidate(candidates, margin).reasons) == len(candidates)
    for loss in losses[taken + 1 :]:
        assert not (loss < losses[taken] and (losses[taken] - loss) / losses[taken] >= margin)
