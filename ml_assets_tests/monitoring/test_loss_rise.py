"""Losses, margins over the baseline and labels less scores, followed by drop."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from ml_assets.monitoring.loss_rise import (
    FAILED,
    learn_losses,
    learn_margins,
    learn_residuals,
    loss_rise,
    margin_rise,
    prior_rise,
)
from ml_assets.spec.drop import day_of_key
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.binary import BINARY
from ml_assets.stats.sequential import DailyMeans
from ml_assets_tests.rehearsal import flagship

FIRST = date(2013, 4, 1)
ROWS = 100


@pytest.fixture(scope="module")
def spec() -> UseCaseSpec:
    return flagship()


def usual(mean: float, rng: np.random.Generator) -> DailyMeans:
    """Sixty days of a measure whose rows differ by 0.4."""
    return DailyMeans(np.full(60, float(ROWS)), rng.normal(mean, 0.04, 60), np.full(60, 0.16))


def reported(
    losses: np.ndarray, simple: float = 0.6, role: str = "champion", share: float = 0.3
) -> list[dict[str, Any]]:
    """Rows of the report: the model's and its baseline's, a drop each."""
    rows: list[dict[str, Any]] = []
    for number, loss in enumerate(losses):
        predicted = FIRST + timedelta(days=number)
        day = {"batch_date": predicted + timedelta(days=2), "prediction_batch_date": predicted, "n": ROWS,
               "label_share": share, "mean_score": 0.3}  # fmt: skip
        rows += [{**day, "role": role, "log_loss": float(loss)}, {**day, "role": "baseline", "log_loss": simple}]
    return rows


def test_a_model_that_falls_behind_its_baseline_is_told_with_its_first_drop(spec: UseCaseSpec) -> None:
    rng = np.random.default_rng(1)
    margins = learn_margins(spec, usual(-0.1, rng))
    losses = np.concatenate([rng.normal(0.5, 0.04, 20), rng.normal(0.75, 0.04, 12)])

    rise = margin_rise(reported(losses), margins, date(2014, 1, 1), -0.1)

    assert rise.is_over
    assert rise.loss_at_gate == -0.1  # what it was, though it is asked to exceed zero
    assert rise.since is not None
    assert abs((day_of_key(rise.since) - FIRST).days - 20) <= 1
    assert not margin_rise(reported(losses[:20]), margins, date(2014, 1, 1)).is_over
    assert not margin_rise(reported(losses), margins, FIRST + timedelta(days=15)).is_over  # not known by then


def test_a_model_as_good_as_its_baseline_is_not_behind_in_nine_of_ten_half_years(spec: UseCaseSpec) -> None:
    behind = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        margins = learn_margins(spec, usual(-0.1, rng))
        behind += margin_rise(reported(rng.normal(0.6, 0.04, 180)), margins, date(2014, 1, 1)).is_over

    assert behind <= 4


def test_while_the_baseline_serves_the_scores_of_what_failed_are_followed(spec: UseCaseSpec) -> None:
    rng = np.random.default_rng(2)
    losses = learn_losses(spec, usual(0.5, rng))
    served = reported(np.full(10, 0.5))
    failed = reported(np.full(10, 0.9), role=FAILED)

    assert loss_rise([*served, *failed], losses, date(2014, 1, 1)).is_over
    assert not loss_rise(served, losses, date(2014, 1, 1)).is_over


def test_a_shift_that_costs_next_to_nothing_is_none_however_many_rows_prove_it(spec: UseCaseSpec) -> None:
    days = np.random.default_rng(4).normal(0, 1e-4, 60)
    residuals = learn_residuals(spec, DailyMeans(np.full(60, 1e6), days, np.full(60, 0.01)))
    rows = [{**row, "n": 1e6, "mean_score": 0.009} for row in reported(np.full(30, 0.05))]

    slight, halved = (
        prior_rise([{**row, "label_share": share} for row in rows], residuals, date(2014, 1, 1), BINARY)
        for share in (0.008, 0.004)
    )

    assert slight.level > slight.limit
    assert not slight.is_over
    assert halved.is_over
    assert (halved.share, halved.score) == pytest.approx((0.004, 0.009))


@pytest.mark.parametrize(("share", "has_shifted"), [(0.3, False), (0.45, True), (0.15, True)])
def test_labels_that_leave_the_scores_to_either_side_are_a_prior_shift(
    share: float, has_shifted: bool, spec: UseCaseSpec
) -> None:
    residuals = learn_residuals(spec, replace(usual(0.0, np.random.default_rng(3)), variances=np.full(60, 0.2)))

    found = prior_rise(reported(np.full(14, 0.5), share=share), residuals, date(2014, 1, 1), BINARY)

    assert found.is_over == has_shifted
    assert found.since == (FIRST if has_shifted else None) or not has_shifted
