"""What is done with an experiment after a drop."""

from __future__ import annotations

import pytest

from ml_assets.decisions.experiment_verdict import ExperimentProgress, MeasuredHarm, judge_experiment

FINE = MeasuredHarm("log_loss", -0.01, -0.02, -0.001, 1.0)
UNSURE = MeasuredHarm("brier", 0.01, -0.02, 0.04, 0.3)
HARM = MeasuredHarm("cost", 0.05, 0.01, 0.09, 0.01)
GOING_ON = ExperimentProgress(10, 3, is_over=False, was_extended=False)


@pytest.mark.parametrize(
    ("measures", "progress", "action"),
    [
        ([FINE, UNSURE], GOING_ON, "go_on"),
        ([FINE, HARM], GOING_ON, "abort"),
        ([FINE], GOING_ON, "passed"),
        ([], GOING_ON, "go_on"),
        ([FINE, UNSURE], ExperimentProgress(10, 3, is_over=True, was_extended=False), "extend"),
        ([FINE, UNSURE], ExperimentProgress(10, 3, is_over=True, was_extended=True), "go_on"),
        ([HARM], ExperimentProgress(2, 3, is_over=False, was_extended=False), "go_on"),
        ([FINE], ExperimentProgress(0, 3, is_over=False, was_extended=False, mismatch="shares differ"), "abort"),
    ],
)
def test_action(measures: list[MeasuredHarm], progress: ExperimentProgress, action: str) -> None:
    assert judge_experiment(measures, progress, 0.95).action == action


def test_abort_names_the_measure_that_is_surest_and_by_how_much() -> None:
    worse = MeasuredHarm("brier", 0.02, 0.001, 0.04, 0.04)

    said = judge_experiment([worse, HARM], GOING_ON, 0.95).reason

    assert said == "cost is surely worse than allowed, by 0.0500 (0.0100 or more), after 10 matured drops"


def test_level_decides_what_is_sure() -> None:
    assert judge_experiment([HARM, UNSURE], GOING_ON, 0.995).action == "go_on"
