from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.features import FeatureSpec
from ml_assets.spec.model import ModelCandidate
from ml_assets.training.blend import Blend
from ml_assets.training.estimators import fit_candidate
from ml_assets.training.importance import (
    agreement,
    permutation_importance,
    ranked,
    shap_importance,
    stability,
    views_of,
)
from ml_assets.training.model_kind import FittedModel
from ml_assets_tests.training.conftest import CANDIDATES

Rows = tuple[pd.DataFrame, np.ndarray]


def _fitted(rows: Rows, kind: str = "xgboost") -> FittedModel:
    return fit_candidate(CANDIDATES[kind], rows[0], rows[1].astype(float), seed=0)


def _alone(frame: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    return {str(name): (str(name),) for name in frame}


def test_shuffling_what_the_model_leans_on_costs_most_and_what_it_ignores_costs_nothing(training_rows: Rows) -> None:
    frame, labels = training_rows
    before = frame.copy()

    found = permutation_importance(
        _fitted(training_rows), frame.assign(label=labels), _alone(frame), rng=np.random.default_rng(0), repeats=3
    )

    means = {name: float(rises.mean()) for name, rises in found.items()}
    assert ranked(means)[:2] == ["hour", "carrier"]
    assert means["hour"] > 0.05
    assert found["gate"].tolist() == [0.0, 0.0, 0.0]
    pd.testing.assert_frame_equal(frame, before)


def test_the_same_seed_shuffles_alike_and_a_group_is_shuffled_as_one(training_rows: Rows) -> None:
    frame, labels = training_rows
    rows = frame.assign(label=labels, hour_again=frame["hour"])
    model = fit_candidate(CANDIDATES["logistic_regression"], rows.drop(columns="label"), labels, seed=0)
    groups = {"one": ("hour",), "both": ("hour", "hour_again")}

    one, two = (permutation_importance(model, rows, groups, rng=np.random.default_rng(4), repeats=2) for _ in range(2))

    assert {name: rises.tolist() for name, rises in one.items()} == {name: each.tolist() for name, each in two.items()}
    assert one["both"].mean() > 2 * one["one"].mean()  # alone, its twin still says it


def test_shuffling_nothing_is_refused(training_rows: Rows) -> None:
    rows = training_rows[0].assign(label=training_rows[1])
    with pytest.raises(ValueError, match="found 600 rows and 0 repeats"):
        permutation_importance(_fitted(training_rows), rows, {}, rng=np.random.default_rng(0), repeats=0)


def test_parts_of_the_score_name_the_same_columns_and_groups_add_up(training_rows: Rows) -> None:
    frame, _ = training_rows
    members = tuple(_fitted(training_rows, kind) for kind in ("logistic_regression", "xgboost"))
    blend = Blend(("linear", "trees"), members, (0.5, 0.5))

    alone, together = (
        shap_importance(blend, frame, _alone(frame)),
        shap_importance(blend, frame, {"all": tuple(map(str, frame))}),
    )

    assert alone is not None
    assert together is not None
    assert ranked(alone)[0] == "hour"
    assert alone["gate"] == 0
    assert together["all"] < sum(alone.values())  # parts of one row cancel


def test_a_model_without_parts_has_no_such_importance(training_rows: Rows) -> None:
    assert shap_importance(_fitted(training_rows, "group_history"), training_rows[0], {"hour": ("hour",)}) is None


def test_agreement_is_one_with_itself_minus_one_with_its_reverse_and_undefined_without_order() -> None:
    ranking = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}
    reverse = {name: -value for name, value in ranking.items()}

    assert agreement(ranking, ranking, top=2) == agreement(ranking, {n: v * 10 for n, v in ranking.items()}, top=2)
    assert agreement(ranking, ranking, top=2).spearman == 1.0
    assert agreement(ranking, reverse, top=2).spearman == -1.0
    assert agreement(ranking, reverse, top=2).top == 0.0
    assert agreement({"a": 1, "b": 1, "c": 3}, {"a": 1, "b": 2, "c": 3}, top=1).spearman == pytest.approx(0.75**0.5)
    assert np.isnan(agreement(ranking, dict.fromkeys(ranking, 0.0), top=2).spearman)
    with pytest.raises(ValueError, match="only one side ranks d, e"):
        agreement(ranking, {"a": 1.0, "b": 1.0, "c": 1.0, "e": 1.0}, top=2)


def test_stability_is_over_all_pairs_of_fits() -> None:
    fits = [{"a": 3.0, "b": 2.0, "c": 1.0}, {"a": 3.0, "b": 2.0, "c": 1.0}, {"a": 1.0, "b": 2.0, "c": 3.0}]

    found = stability(fits, top=1)

    assert found is not None
    assert found.n_fits == 3
    assert found.mean_spearman == pytest.approx((1 - 1 - 1) / 3)
    assert found.least_spearman == -1.0
    assert found.mean_top == pytest.approx(1 / 3)
    assert stability(fits[:1], top=1) is None


def test_groups_are_the_views_and_all_expressions_together() -> None:
    declared = {
        "views": [
            {"name": "weather", "from": "weather", "latest": ["wind", "rain"], "max_age": "6h"},
            {"name": "unused", "from": "weather", "latest": ["fog"], "max_age": "6h"},
        ],
        "expressions": [{"name": name, "sql": name} for name in ("hour", "day", "gone")],
    }

    assert views_of(FeatureSpec.model_validate(declared), ["weather_wind", "weather_rain", "hour", "day"]) == {
        "weather": ("weather_wind", "weather_rain"),
        "= expressions": ("hour", "day"),
    }


def test_a_candidate_of_one_feature_is_shuffled_on_that_alone(training_rows: Rows) -> None:
    frame, labels = training_rows
    candidate = ModelCandidate(name="hour", kind="logistic_regression", features=("hour",))
    model = fit_candidate(candidate, frame, labels, seed=0)

    found = permutation_importance(
        model, frame.assign(label=labels), {"all": tuple(map(str, frame))}, rng=np.random.default_rng(0), repeats=1
    )

    assert found["all"][0] > 0.03
