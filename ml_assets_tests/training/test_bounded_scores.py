"""No kind of candidate runs away: an input that training never saw scores as some input of the training range does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml_assets.training.blend import Blend
from ml_assets.training.calibration import CalibratedModel, Curve
from ml_assets.training.constant import Constant
from ml_assets.training.estimators import fit_candidate, load_model
from ml_assets.training.linear_model import FittedLogisticRegression
from ml_assets.training.model_kind import FittedModel
from ml_assets_tests.training.conftest import CANDIDATES, made_up_flights

KINDS = ("constant", *sorted(CANDIDATES), "blend", "calibrated")
FAR = (1e9, -1e9)


def flights() -> tuple[pd.DataFrame, np.ndarray]:
    """Give flights with a constant, a nearly constant and a heavy-tailed column beside the others."""
    frame, labels = made_up_flights(3000)
    rows = np.arange(len(frame))
    frame["altitude_ft"] = 13.0
    frame["is_strike"] = (rows == rows[labels == 1][0]).astype(float)
    frame["summed"] = 1e9 + rows % 2 * 1e-6  # differs in its last digits alone
    frame["cargo_kg"] = np.where(rows == 7, 1e8, rows % 50)
    return frame, labels


def fitted(kind: str) -> FittedModel:
    frame, labels = flights()
    if kind == "constant":
        return Constant(float(labels.mean()))
    if kind in CANDIDATES:
        return fit_candidate(CANDIDATES[kind], frame, labels, seed=0)
    linear = fit_candidate(CANDIDATES["logistic_regression"], frame, labels, seed=0)
    if kind == "calibrated":
        return CalibratedModel(linear, Curve("platt", (0.1, 1.3)))
    trees = fit_candidate(CANDIDATES["xgboost"], frame, labels, seed=0)
    return Blend(("linear", "trees"), (linear, trees), (0.5, 0.5))


@pytest.mark.parametrize("kind", KINDS)
def test_input_that_is_far_away_scores_within_the_scores_of_the_training_range(kind: str) -> None:
    frame, _ = flights()
    model = load_model(fitted(kind).kind, fitted(kind).to_files())
    some = frame.iloc[::30]

    for name in (each for each in frame.columns if frame[each].dtype.kind in "if"):
        seen = np.unique(np.quantile(frame[name].replace(np.inf, np.nan).dropna(), np.linspace(0, 1, 9)))
        possible = np.concatenate([model.predict(some.assign(**{name: value})) for value in (*seen, np.nan)])
        for shift in FAR:
            scores = model.predict(some.assign(**{name: some[name] + shift}))
            assert possible.min() - 1e-12 <= scores.min(), name
            assert scores.max() <= possible.max() + 1e-12, name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["altitude_ft", "is_strike", "summed"])
def test_column_that_was_constant_in_training_changes_nothing_when_it_varies(kind: str, name: str) -> None:
    frame, _ = flights()
    model = fitted(kind)
    usual = frame.assign(**{name: frame[name].median()})

    for value in (0.0, 1.0, *FAR):
        if kind in ("xgboost", "blend") and name == "summed":
            continue  # a tree may split between two last digits: it jumps once, and cannot run away
        assert model.predict(frame.assign(**{name: value})).tolist() == model.predict(usual).tolist()


def test_one_extreme_training_row_does_not_silence_a_column() -> None:
    rng = np.random.default_rng(0)
    load = rng.integers(0, 50, 3000).astype(float)
    labels = (rng.random(3000) < 1 / (1 + np.exp(-(load - 25) / 5))).astype(int)
    load[7] = 1e8

    model = fit_candidate(CANDIDATES["logistic_regression"], pd.DataFrame({"load": load}), labels, seed=0)

    low, high = model.predict(pd.DataFrame({"load": [0.0, 49.0]}))
    assert (low < 0.05, high > 0.95) == (True, True)


def test_no_term_of_a_line_can_be_blown_up() -> None:
    model = fitted("logistic_regression")

    assert isinstance(model, FittedLogisticRegression)
    terms = [term for column in model.numeric.values() for term in (column.value, column.missing) if term is not None]
    assert min(term.scale for term in terms) >= 0.01
    assert load_model(model.kind, model.to_files()) == model
