from __future__ import annotations

import math

import pandas as pd
import pytest

from ml_assets.monitoring.realized_quality import measure_quality
from ml_assets.stats.binary import BINARY


def scored(*rows: tuple[str, str, float | None, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["batch_date", "example_id", "label", "score", "baseline_score"])


DAYS = scored(
    ("04-01", "a", 1, 0.9, 0.2), ("04-01", "b", 0, 0.1, 0.4), ("04-01", "c", None, 0.8, 0.1),
    ("04-02", "d", 1, 0.6, 0.3), ("04-02", "e", 0, 0.7, 0.1), ("04-02", "f", 0, 0.2, 0.2),
)  # fmt: skip


def test_champion_and_baseline_are_measured_on_the_same_labelled_examples() -> None:
    quality = measure_quality(BINARY, DAYS, capacity=2)

    assert quality["score"]["n"] == quality["baseline_score"]["n"] == 5
    assert quality["score"]["label_share"] == pytest.approx(2 / 5)
    # pairs of a late and a punctual flight in the right order: a over b, e, f; d over b, f
    assert quality["score"]["auc"] == pytest.approx(5 / 6)
    losses = [-math.log(p) for p in (0.9, 0.9, 0.6, 0.3, 0.8)]
    assert quality["score"]["log_loss"] == pytest.approx(sum(losses) / 5)


def test_precision_ranks_all_examples_and_counts_those_with_a_label() -> None:
    quality = measure_quality(BINARY, DAYS, capacity=2)

    # April 1: a and c are listed, c has no label: 1 of 1. April 2: e and d: 1 of 2
    assert quality["score"]["precision_at_capacity"] == pytest.approx((1 + 1 / 2) / 2)
    # the baseline: b and a, 1 of 2; d and f, 1 of 2
    assert quality["baseline_score"]["precision_at_capacity"] == pytest.approx(1 / 2)


def test_drop_whose_list_has_no_label_is_left_out_of_the_mean() -> None:
    unresolved = scored(("04-03", "g", None, 0.9, 0.9), ("04-03", "h", 0, 0.1, 0.1))

    quality = measure_quality(BINARY, pd.concat([DAYS, unresolved]), capacity=1)

    assert quality["score"]["precision_at_capacity"] == pytest.approx((1 + 0) / 2)


def test_row_order_is_irrelevant_with_tied_scores() -> None:
    tied = DAYS.assign(score=0.5)

    there, back = measure_quality(BINARY, tied, capacity=1), measure_quality(BINARY, tied[::-1], capacity=1)

    assert back["score"] == pytest.approx(there["score"])
    assert there["score"]["precision_at_capacity"] == 1  # of equal scores the first ids are listed: a and d


def test_without_any_label_precision_is_unknown() -> None:
    nothing_known = DAYS.assign(label=None)

    quality = measure_quality(BINARY, nothing_known, capacity=2)

    assert quality["score"]["n"] == 0
    assert math.isnan(quality["score"]["precision_at_capacity"])
