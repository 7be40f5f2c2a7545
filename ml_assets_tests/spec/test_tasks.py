from __future__ import annotations

from typing import Any

import pytest

from ml_assets.spec.model_kinds import KIND_TASKS
from ml_assets.spec.tasks import task_faults
from ml_assets.training.model_kinds import BUILT_IN

BINARY_GATE = {"min_auc": 0.6, "max_auc_drop": 0.02, "max_ece": 0.1}


def faults(**declared: Any) -> dict[str, str]:
    return {".".join(map(str, path)): said for path, said in task_faults(declared)}


def test_kinds_predict_what_the_spec_says() -> None:
    assert {name: kind.tasks for name, kind in BUILT_IN.items()} | {"blend": KIND_TASKS["blend"]} == KIND_TASKS


@pytest.mark.parametrize("task", ["regression", "count"])
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("labeling", {"functions": []}),
        ("review", {"capacity": 3}),
        ("experiments", [{"name": "a"}]),
        ("worklist.routes", {"max_risk": 0.1}),
        ("monitoring.costs", {"missed": 3}),
        ("model.prior_correction", {"window": "28d"}),
        ("model.imbalance", "weights"),
        ("model.calibration", "isotonic"),
        ("model.gate.min_auc", 0.5),
        ("model.gate.max_auc", 0.9),
        ("model.gate.max_auc_drop", 0.1),
        ("model.gate.max_ece", 0.1),
    ],
)
def test_what_has_no_meaning_for_numbers_is_a_mistake_at_its_place(task: str, path: str, value: Any) -> None:
    declared: dict[str, Any] = {"task": task}
    *outer, key = path.split(".")
    part = declared
    for name in outer:
        part = part.setdefault(name, {})
    part[key] = value

    found = faults(**declared)

    assert list(found) == [path]
    assert found[path].startswith(f"found with task: {task}; allowed: with task: binary, for ")


def test_none_and_nothing_are_no_mistake() -> None:
    assert faults(task="count", model={"imbalance": "none", "calibration": "none"}, experiments=[]) == {}


def test_smote_makes_rows_of_a_class_and_perturbation_of_any() -> None:
    said = faults(task="regression", model={"augmentation": {"method": "smote"}})

    assert said == {
        "model.augmentation.method": "found smote with task: regression; allowed: perturbation, for smote makes rows "
        "of the rarer class"
    }
    assert faults(task="regression", model={"augmentation": {"method": "perturbation"}}) == {}


def test_a_binary_gate_needs_its_bars_and_another_has_none_of_them() -> None:
    assert faults(model={"gate": {"min_gain": 0}}) == {
        f"model.gate.{name}": "is required and missing" for name in BINARY_GATE
    }
    assert faults(model={"gate": {"min_gain": 0, **BINARY_GATE}}) == {}
    assert faults(task="count", model={"gate": {"min_gain": 0}}) == {}


def test_bars_groups_and_kinds_are_of_the_task() -> None:
    model = {
        "gate": {"bars": [{"metric": "auc", "at_least": 0.5}, {"metric": "mae", "at_most": 4}]},
        "sensitive": [{"column": "region", "max_difference": 1}],
        "candidates": [{"name": "a", "kind": "group_history"}, {"name": "b", "kind": "logistic_regression"}],
    }

    found = faults(task="regression", model=model)

    assert found == {
        "model.gate.bars.0.metric": "found 'auc'; allowed: mse, mae, r2, rank_correlation",
        "model.sensitive.0.metric": "found 'true_positive_rate' with task: regression; allowed: mse",
        "model.candidates.1.kind": "found logistic_regression, which predicts binary; allowed with task: regression: "
        "constant, group_history, feature_value, linear_regression, xgboost, blend; nearest: linear_regression",
    }


def test_an_unknown_task_is_told_once_where_it_stands() -> None:
    assert faults(task="regresion", model={"calibration": "platt"}) == {}
