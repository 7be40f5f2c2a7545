"""Texts that changed are told from those before; texts of the same kind are not."""

from __future__ import annotations

import numpy as np
import pytest

from ml_assets.monitoring.text_drift import ALIKE, CHANGED, TOO_FEW, compare_encodings


def texts(rng: np.random.Generator, n: int, rates: np.ndarray) -> np.ndarray:
    return rng.poisson(rates, (n, len(rates))).astype(float)


RATES = np.full(32, 0.3)


def test_texts_of_the_same_kind_are_seldom_found_to_have_changed() -> None:
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found.append(compare_encodings(texts(rng, 600, RATES), texts(rng, 200, RATES)))

    assert sum(each.state == CHANGED for each in found) <= 6
    assert np.mean([each.auc for each in found]) == pytest.approx(0.5, abs=0.02)


def test_a_new_word_that_is_used_often_is_found() -> None:
    rng, moved = np.random.default_rng(0), RATES.copy()
    moved[5] = 1.5

    found = compare_encodings(texts(rng, 600, RATES), texts(rng, 200, moved))

    assert found.state == CHANGED
    assert found.auc > found.auc_low > 0.6 > found.usual_auc
    assert found.mean_distance > 2 * found.usual_distance


def test_what_changes_all_the_time_is_no_news() -> None:
    rng, late = np.random.default_rng(1), RATES.copy()
    late[:8] = 0.8
    before = np.concatenate([texts(rng, 400, RATES), texts(rng, 400, late)])

    found = compare_encodings(before, texts(rng, 300, late))

    assert found.usual_auc > found.auc_low > 0.5
    assert found.state == ALIKE


@pytest.mark.parametrize(("n", "m"), [(0, 600), (99, 600), (600, 99), (600, 0)])
def test_too_few_texts_are_not_judged(n: int, m: int) -> None:
    found = compare_encodings(np.zeros((m, 4)), np.zeros((n, 4)))

    assert found.state == TOO_FEW
    assert np.isnan(found.auc)


def test_texts_without_a_word_in_common_do_not_divide_by_zero() -> None:
    one, other = np.zeros((200, 4)), np.zeros((200, 4))
    one[:, 0], other[:, 1] = 1, 1

    found = compare_encodings(one, other)

    assert (found.auc, found.state) == (1.0, CHANGED)
    assert found.mean_distance == 0  # no spread to measure by; the classifier tells them apart
