from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.spec.model import ModelCandidate
from ml_assets.training.linear_model import (
    LINEAR_MODEL_FILE,
    FittedLogisticRegression,
    NumericColumn,
    ScaledTerm,
    TextColumn,
)
from ml_assets.training.logistic_regression import fit_logistic_regression, load_logistic_regression
from ml_assets_tests.training.conftest import fit_request

Rows = tuple[pd.DataFrame, np.ndarray]
CANDIDATE = ModelCandidate(name="linear", kind="logistic_regression", parameters={"min_frequency": 20})
FINITE = st.floats(allow_nan=False, allow_infinity=False)
# 10 mph is the middle of the range; the mean row has 8; an unknown speed counts as 5 and is flagged
BY_HAND = FittedLogisticRegression(
    names=("carrier", "wind_mph"),
    intercept=-1.0,
    numeric={
        "wind_mph": NumericColumn(
            median=5.0,
            value=ScaledTerm(minimum=0.0, maximum=20.0, mean=0.4, scale=0.1, coefficient=2.0),
            missing=ScaledTerm(minimum=0.0, maximum=1.0, mean=0.25, scale=0.5, coefficient=-3.0),
        )
    },
    text={"carrier": TextColumn(coefficients={"AA": 0.5, "UA": -0.5}, rare=("OO",), other=0.125)},
)


def _fit(rows: Rows) -> FittedLogisticRegression:
    return fit_logistic_regression(fit_request(CANDIDATE, rows[0], rows[1].astype(float), seed=0))


def test_log_odds_are_added_up_by_the_documented_formula() -> None:
    rows = pd.DataFrame({"carrier": ["AA", "OO", None, "??"], "wind_mph": [10.0, 1048.0, -9.0, np.nan]})

    parts, base = BY_HAND.contributions(rows)

    present = -3 * (0 - 0.25) / 0.5
    expected = [2 * (0.5 - 0.4) / 0.1 + present, 2 * (1 - 0.4) / 0.1 + present, 2 * (0 - 0.4) / 0.1 + present,
                2 * (0.25 - 0.4) / 0.1 - 3 * (1 - 0.25) / 0.5]  # fmt: skip
    assert parts["wind_mph"] == pytest.approx(expected)
    assert parts["carrier"].tolist() == [0.5, 0.125, 0.125, 0.125]
    assert base.tolist() == [-1.0] * 4
    log_odds = base + parts["wind_mph"] + parts["carrier"]
    assert BY_HAND.predict(rows) == pytest.approx(1 / (1 + np.exp(-log_odds)))


def test_importance_adds_up_all_coefficients_of_a_column() -> None:
    assert BY_HAND.importance() == {"carrier": 0.5 + 0.5 + 0.125, "wind_mph": 2.0 + 3.0}


def test_no_rows_have_no_scores_and_no_contributions() -> None:
    none = pd.DataFrame({"carrier": pd.Series([], dtype=object), "wind_mph": pd.Series([], dtype=float)})

    parts, base = BY_HAND.contributions(none)

    assert BY_HAND.predict(none).tolist() == base.tolist() == parts["carrier"].tolist() == []


def test_most_important_column_of_made_up_flights_is_one_that_matters(training_rows: Rows) -> None:
    found = _fit(training_rows).importance()

    assert list(found) == list(training_rows[0].columns)
    assert found["gate"] == 0
    assert max(found, key=lambda name: found[name]) in ("hour", "carrier")


@pytest.mark.parametrize("columns", [["hour"], ["carrier"], ["carrier", "hour"], ["wind_speed_mph", "gate"]])
def test_any_mix_of_columns_saves_and_loads(training_rows: Rows, columns: list[str]) -> None:
    frame = training_rows[0][columns]
    model = _fit((frame, training_rows[1]))

    loaded = load_logistic_regression(model.to_files())

    assert loaded == model
    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))


@given(intercept=FINITE, coefficients=st.dictionaries(st.text(), FINITE, max_size=5), other=FINITE)
def test_every_finite_number_and_every_text_reads_back_to_the_bit(
    intercept: float, coefficients: dict[str, float], other: float
) -> None:
    model = FittedLogisticRegression(("carrier",), intercept, {}, {"carrier": TextColumn(coefficients, (), other)})

    loaded = load_logistic_regression(model.to_files())

    assert loaded == model
    assert loaded.to_files() == model.to_files()


def _without_the_scale(saved: dict[str, Any]) -> None:
    del saved["numeric"]["wind_mph"]["value"]["scale"]


def _with_a_scale_of_zero(saved: dict[str, Any]) -> None:
    saved["numeric"]["wind_mph"]["value"]["scale"] = 0.0


def _with_a_coefficient_that_is_nan(saved: dict[str, Any]) -> None:
    saved["text"]["carrier"]["coefficients"]["AA"] = float("nan")


def _with_an_infinite_intercept(saved: dict[str, Any]) -> None:
    saved["intercept"] = float("inf")


def _with_a_text_for_a_number(saved: dict[str, Any]) -> None:
    saved["numeric"]["wind_mph"]["median"] = "5"


def _with_a_list_for_a_number(saved: dict[str, Any]) -> None:
    saved["numeric"]["wind_mph"]["missing"]["mean"] = [0.25, 0.5]


def _with_a_key_too_many(saved: dict[str, Any]) -> None:
    saved["numeric"]["wind_mph"]["mode"] = 1.0


def _without_a_column(saved: dict[str, Any]) -> None:
    del saved["text"]["carrier"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without_the_scale, r"numeric\.wind_mph\.value\.scale: Field required"),
        (_with_a_scale_of_zero, r"numeric\.wind_mph\.value\.scale: Input should be greater than 0"),
        (_with_a_coefficient_that_is_nan, r"text\.carrier\.coefficients\.AA: Input should be a finite number"),
        (_with_an_infinite_intercept, r"intercept: Input should be a finite number"),
        (_with_a_text_for_a_number, r"numeric\.wind_mph\.median: Input should be a valid number"),
        (_with_a_list_for_a_number, r"numeric\.wind_mph\.missing\.mean: Input should be a valid number"),
        (_with_a_key_too_many, r"numeric\.wind_mph\.mode: Unexpected keyword argument"),
        (_without_a_column, r"all: .*names are \['carrier', 'wind_mph'\], but columns are \['wind_mph'\]"),
    ],
)
def test_malformed_file_is_refused_by_file_and_key(damage: Callable[[dict[str, Any]], None], message: str) -> None:
    saved = json.loads(BY_HAND.to_files()[LINEAR_MODEL_FILE])
    damage(saved)

    with pytest.raises(ValueError, match=rf"^linear_model\.json: {message}"):
        load_logistic_regression({LINEAR_MODEL_FILE: json.dumps(saved).encode()})


def test_file_that_is_no_json_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^linear_model\.json: all: Invalid JSON"):
        load_logistic_regression({LINEAR_MODEL_FILE: BY_HAND.to_files()[LINEAR_MODEL_FILE][:-9]})


def test_model_of_an_older_version_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"older version of ml_assets saved this model.*`ml-assets retrain`"):
        load_logistic_regression({"pipeline.skops": b"PK", "columns.json": b"{}"})


def test_scoring_imports_no_scikit_learn() -> None:
    files = {name: content.decode() for name, content in BY_HAND.to_files().items()}
    script = f"""
import sys
import pandas as pd
from ml_assets.training.estimators import load_model
model = load_model("logistic_regression", {{name: text.encode() for name, text in {files!r}.items()}})
model.predict(pd.DataFrame({{"carrier": ["AA"], "wind_mph": [3.0]}}))
print([name for name in ("sklearn", "skops", "xgboost") if name in sys.modules])
"""

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert ended.stdout.strip() == "[]"
