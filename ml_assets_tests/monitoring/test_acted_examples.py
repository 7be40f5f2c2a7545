from __future__ import annotations

import numpy as np
import pytest

from ml_assets.monitoring.acted_examples import ActedComparison, acted_sentence, compare_acted

DROPS, LENGTH = 80, 10


def compare(
    effect: float, *, slope: float = 0.0, length: int = LENGTH, drops: int = DROPS, seed: int = 0
) -> ActedComparison:
    """Compare made-up drops: scores fall along the list, labels differ by a trend and the effect of acting."""
    rng = np.random.default_rng(seed)
    places = np.tile((np.arange(1, 2 * length + 1) - length - 0.5) / length, drops)
    level = np.repeat(rng.normal(0, 1, drops), 2 * length)  # what all examples of a drop share
    scores = 5 - 2 * places
    labels = scores + slope * places + level + effect * (places < 0) + rng.normal(0, 1, places.size)
    return compare_acted(np.repeat(np.arange(drops), 2 * length), places, labels, scores, np.random.default_rng(1))


def test_effect_of_acting_is_the_jump_where_the_list_ends() -> None:
    found = compare(-3.0)

    assert (found.n_acted, found.n_next, found.n_drops) == (800, 800, 80)
    assert found.jump == pytest.approx(-3.0, abs=0.25)
    assert found.is_changed
    assert found.score_acted == pytest.approx(6.0)
    assert found.score_next == pytest.approx(4.0)


def test_trend_of_calibration_along_the_list_is_no_effect() -> None:
    found = compare(0.0, slope=4.0)  # the means differ by 4, and nothing jumps

    assert (found.label_acted or 0) - (found.label_next or 0) == pytest.approx(-2.0, abs=0.2)
    assert found.jump == pytest.approx(0.0, abs=0.25)
    assert not found.is_changed


def test_interval_covers_what_is_true_about_nine_times_in_ten() -> None:
    inside = 0
    for seed in range(100):
        found = compare(-0.5, slope=1.0, drops=30, seed=seed)
        assert found.lower is not None
        assert found.upper is not None
        inside += found.lower <= -0.5 <= found.upper

    assert 82 <= inside <= 97


def test_list_of_one_place_is_compared_by_means() -> None:
    found = compare(-2.0, length=1)

    assert found.jump == pytest.approx(-2.0, abs=0.4)
    assert found.is_changed


def test_too_few_drops_say_nothing() -> None:
    found = compare(-3.0, drops=9)

    assert (found.jump, found.is_changed) == (None, False)
    assert acted_sentence(found).startswith(
        "not enough data to say whether acting changes labels: 90 labelled examples"
    )


def test_sentence_says_what_is_sure() -> None:
    changed = acted_sentence(compare(-3.0))

    assert "labels of the 800 acted examples differ by -3" in changed
    assert changed.endswith("drawn by chance, from being acted on: it shows what would have come")
    assert acted_sentence(compare(0.0)).endswith("no sure sign that acting changes labels")
