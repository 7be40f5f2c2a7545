from __future__ import annotations

import numpy as np
import pytest

from ml_assets.stats.logit import logit
from ml_assets.training.blend import Blend
from ml_assets.training.calibration import CalibratedModel, Curve
from ml_assets.training.constant import Constant
from ml_assets.training.estimators import fit_candidate
from ml_assets.training.model_kind import FittedModel
from ml_assets_tests.training.conftest import CANDIDATES, made_up_flights

FRAME, LABELS = made_up_flights()
FITTED = {kind: fit_candidate(candidate, FRAME, LABELS, seed=0) for kind, candidate in CANDIDATES.items()}
LINE, TREES = FITTED["logistic_regression"], FITTED["xgboost"]
BLEND = Blend(("linear", "trees"), (LINE, TREES), (0.3, 0.7))
PLATT = Curve("platt", (-0.2, 0.8))


@pytest.mark.parametrize(
    "model",
    [
        LINE,
        TREES,
        BLEND,
        CalibratedModel(LINE, PLATT),
        CalibratedModel(TREES, PLATT),
        CalibratedModel(BLEND, PLATT),
        Blend(("blend", "calibrated"), (BLEND, CalibratedModel(TREES, PLATT)), (0.5, 0.5)),
    ],
    ids=["line", "trees", "blend", "line, platt", "trees, platt", "blend, platt", "blend of both"],
)
def test_parts_and_base_add_up_to_the_log_odds_of_every_row(model: FittedModel) -> None:
    found = model.contributions(FRAME)

    assert found is not None
    parts, base = found
    assert set(parts) == set(FRAME.columns)
    # trees are computed in float32: a score and the sum of its parts part there
    assert np.abs(base + sum(parts.values()) - logit(model.predict(FRAME))).max() < 2e-6


def test_column_without_a_known_value_adds_nothing_and_the_hour_adds_most() -> None:
    found = BLEND.contributions(FRAME)

    assert found is not None
    sizes = {name: float(np.abs(part).mean()) for name, part in found[0].items()}
    assert sizes["gate"] == 0
    assert max(sizes, key=sizes.__getitem__) == "hour"


def test_base_of_a_line_and_of_trees_is_the_same_for_every_row() -> None:
    for model in (LINE, TREES):
        found = model.contributions(FRAME)
        assert found is not None
        assert np.ptp(found[1]) < 1e-6


@pytest.mark.parametrize(
    "model",
    [
        Constant(0.2),
        FITTED["group_history"],
        CalibratedModel(LINE, Curve("isotonic", (0.1, 0.9, 0.2, 0.8))),
        Blend(("constant", "trees"), (Constant(0.2), TREES), (0.5, 0.5)),
        CalibratedModel(Constant(0.2), PLATT),
    ],
    ids=["constant", "groups", "isotonic", "blend with a constant", "constant, platt"],
)
def test_what_is_no_sum_of_features_has_no_parts(model: FittedModel) -> None:
    assert model.contributions(FRAME) is None
