from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import Rung
from ml_assets.training.canonical_skops import dump_canonical
from ml_assets.training.logistic_regression import (
    COLUMNS_FILE,
    PIPELINE_FILE,
    FittedLogisticRegression,
    _pipeline_frame,
    fit_logistic_regression,
    load_logistic_regression,
)

Rows = tuple[pd.DataFrame, np.ndarray]
RUNG = Rung(name="linear", kind="logistic_regression", parameters={"min_frequency": 20})


def _fit(rows: Rows, rung: Rung = RUNG) -> FittedLogisticRegression:
    return fit_logistic_regression(rung, rows[0], rows[1].astype(float), seed=0, threads=1)


def test_predictions_are_those_of_the_saved_pipeline(training_rows: Rows) -> None:
    model = _fit(training_rows)

    expected = model.pipeline.predict_proba(_pipeline_frame(training_rows[0], model.columns))[:, 1]

    assert model.predict(training_rows[0]) == pytest.approx(expected, abs=1e-12)


def test_rare_unseen_and_unknown_texts_share_one_column(training_rows: Rows) -> None:
    model = _fit(training_rows)
    row = training_rows[0].iloc[[100]]

    rare, unseen, unknown = (model.predict(row.assign(carrier=carrier))[0] for carrier in ("OO", "??", None))

    assert rare == unseen == unknown
    assert model.predict(row.assign(carrier="B6"))[0] > unknown


def test_importance_adds_up_all_weights_by_the_column_they_came_from(training_rows: Rows) -> None:
    model = _fit(training_rows)
    weights = np.abs(model.pipeline.named_steps["regression"].coef_[0])

    found = model.importance()

    assert sum(found.values()) == pytest.approx(weights.sum())
    assert found["hour"] == pytest.approx(weights[0])  # the first numeric column, never unknown: one weight
    assert found["gate"] == 0
    assert max(found, key=lambda name: found[name]) in ("hour", "carrier")


@pytest.mark.parametrize("columns", [["hour"], ["carrier"], ["carrier", "hour"], ["wind_speed_mph", "gate"]])
def test_any_mix_of_columns_saves_and_loads(training_rows: Rows, columns: list[str]) -> None:
    frame = training_rows[0][columns]
    model = _fit((frame, training_rows[1]))

    loaded = load_logistic_regression(model.to_files())

    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))


def test_features_that_are_all_unknown_are_refused(training_rows: Rows) -> None:
    with pytest.raises(ValueError, match="every feature is unknown"):
        _fit((training_rows[0][["gate"]], training_rows[1]))


def test_a_pipeline_with_another_type_is_refused(training_rows: Rows) -> None:
    # skops itself trusts MaxAbsScaler; the list of this module does not.
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MaxAbsScaler

    model = _fit(training_rows)
    steps = [*model.pipeline.steps[:1], ("more", MaxAbsScaler()), *model.pipeline.steps[1:]]
    files = {**model.to_files(), PIPELINE_FILE: dump_canonical(Pipeline(steps))}

    with pytest.raises(ValueError, match=r"not allowed: sklearn\.preprocessing\._data\.MaxAbsScaler"):
        load_logistic_regression(files)


def test_the_columns_are_beside_the_pipeline(training_rows: Rows) -> None:
    model = _fit(training_rows)

    assert sorted(model.to_files()) == sorted([COLUMNS_FILE, PIPELINE_FILE])
    assert load_logistic_regression(model.to_files()).columns == replace(model).columns


def test_value_beyond_what_training_saw_counts_as_the_nearest_it_saw(training_rows: Rows) -> None:
    features, _ = training_rows
    model = _fit(training_rows)
    extreme, nearest = features.head(1).copy(), features.head(1).copy()
    extreme["wind_speed_mph"] = 1048.0
    nearest["wind_speed_mph"] = features["wind_speed_mph"].replace(np.inf, np.nan).max()

    assert model.predict(extreme).tolist() == model.predict(nearest).tolist()
