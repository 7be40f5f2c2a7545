from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import Sensitive
from ml_assets.spec.monitoring import Costs
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.training.group_gaps import group_gaps
from ml_assets_tests.rehearsal import flagship

N = 300
METRICS = ("true_positive_rate", "false_positive_rate", "selection_rate", "log_loss")


def spec_of(**declared: Any) -> UseCaseSpec:
    """Give a use case that acts from a quarter on, and judges carriers."""
    found = flagship()
    sensitive = Sensitive.model_validate({"column": "carrier", "max_difference": 0.1, "min_group": 50, **declared})
    monitoring = found.monitoring.model_copy(update={"costs": Costs(false_alarm=1, missed=3)})
    model = found.model.model_copy(update={"sensitive": (sensitive,)})
    return found.model_copy(update={"model": model, "monitoring": monitoring})


def made_up() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(4)
    carriers = np.array([*["AA"] * 120, *["UA"] * 100, *["OO"] * 20, *[None] * 60], dtype=object)
    scores = np.clip(rng.beta(2, 5, N) + (carriers == "UA") * 0.15, 0.01, 0.99)
    return pd.DataFrame({"carrier": carriers, "label": (rng.random(N) < scores).astype(float)}), scores


def by_hand(metric: str, labels: np.ndarray, scores: np.ndarray) -> float:
    acted = scores >= 0.25
    if metric == "true_positive_rate":
        return float((acted & (labels == 1)).sum() / (labels == 1).sum())
    if metric == "false_positive_rate":
        return float((acted & (labels == 0)).sum() / (labels == 0).sum())
    if metric == "selection_rate":
        return float(acted.mean())
    return float(-np.mean(labels * np.log(scores) + (1 - labels) * np.log(1 - scores)))


@pytest.mark.parametrize("metric", METRICS)
def test_gap_is_that_of_the_groups_counted_by_hand(metric: str) -> None:
    window, scores = made_up()
    groups = window["carrier"].fillna("unknown")
    each = {
        name: by_hand(metric, window["label"].to_numpy()[groups == name], scores[groups == name])
        for name in ("AA", "UA", "unknown")
    }
    expected = max(each.values()) - min(each.values())

    (row,) = group_gaps(spec_of(metric=metric), window, scores)

    low, high = min(each, key=each.__getitem__), max(each, key=each.__getitem__)
    assert row["measured"] == pytest.approx(expected, abs=1e-12)
    assert (row["n"], row["name"], row["kind"]) == (N - 20, f"carrier_{metric}", "groups")
    assert f"from {each[low]:.4f} ({low}) to {each[high]:.4f} ({high})" in row["message"]
    assert "not judged, too few or undefined: OO" in row["message"]
    states = [
        next(iter(group_gaps(spec_of(metric=metric, max_difference=bound), window, scores)))["state"]
        for bound in (expected + 1e-9, expected - 1e-9)
    ]
    assert states == ["kept", "broken"]


def test_order_of_the_rows_changes_nothing() -> None:
    window, scores = made_up()
    order = np.random.default_rng(0).permutation(N)

    (plain,) = group_gaps(spec_of(), window, scores)
    (shuffled,) = group_gaps(spec_of(), window.iloc[order], scores[order])

    assert shuffled == plain


@pytest.mark.parametrize(
    ("metric", "label"), [("true_positive_rate", 0.0), ("false_positive_rate", 1.0)], ids=["no positive", "no negative"]
)
def test_group_in_which_a_rate_is_undefined_is_named_and_not_judged_as_zero(metric: str, label: float) -> None:
    window, scores = made_up()
    window.loc[window["carrier"] == "UA", "label"] = label
    without = window["carrier"] != "UA"

    (row,) = group_gaps(spec_of(metric=metric), window, scores)
    (expected,) = group_gaps(spec_of(metric=metric), window.loc[without], scores[without])

    assert row["measured"] == expected["measured"]
    assert row["message"].endswith("undefined: OO, UA")


def test_fewer_than_two_groups_are_not_enough_data() -> None:
    window, scores = made_up()

    (row,) = group_gaps(spec_of(min_group=110), window, scores)
    (empty,) = group_gaps(spec_of(), window.iloc[:0], scores[:0])

    assert (row["state"], row["n"]) == ("not enough data", 120)
    assert np.isnan(row["measured"])
    assert (empty["state"], empty["n"]) == ("not enough data", 0)
