from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from ml_assets.demo.flight_tables import package_file
from ml_assets.spec.model import ModelCandidate
from ml_assets.training.candidate_parameters import FitOptions, candidate_parameters
from ml_assets.training.feature_matrix import FeatureColumns, learn_columns
from ml_assets.training.linear_model import FittedLogisticRegression
from ml_assets.training.logistic_regression import (
    DEFAULTS,
    fit_logistic_regression,
    numbers_of,
    pipeline_frame,
    unfitted_pipeline,
)
from ml_assets_tests.training.conftest import fit_request

Rows = tuple[pd.DataFrame, np.ndarray]
CANDIDATE = ModelCandidate(name="linear", kind="logistic_regression", parameters={"min_frequency": 20})
ONE_FIT = """
import hashlib
from ml_assets_tests.training.conftest import CANDIDATES, made_up_flights
from ml_assets.training.estimators import fit_candidate
frame, labels = made_up_flights()
for kind in sorted(CANDIDATES):
    for name, content in fit_candidate(CANDIDATES[kind], frame, labels, seed=3).to_files().items():
        print(kind, name, hashlib.sha256(content).hexdigest())
"""


def _fit(
    rows: Rows, candidate: ModelCandidate = CANDIDATE, options: FitOptions | None = None
) -> FittedLogisticRegression:
    more = {} if options is None else {"options": options}
    return fit_logistic_regression(fit_request(candidate, rows[0], rows[1].astype(float), seed=0, **more))


def _pipeline(candidate: ModelCandidate, columns: FeatureColumns) -> Pipeline:
    parameters = candidate_parameters(candidate, DEFAULTS)
    regression = LogisticRegression(
        C=parameters["C"], max_iter=int(parameters["max_iter"]), random_state=0, solver="newton-cholesky"
    )
    return unfitted_pipeline(regression, columns, int(parameters["min_frequency"]))


def _largest_difference(candidate: ModelCandidate, training: Rows, scored: pd.DataFrame) -> float:
    """Fit scikit-learn's pipeline; compare its probabilities with those of the numbers read out of it."""
    columns = learn_columns(training[0])
    pipeline = _pipeline(candidate, columns).fit(pipeline_frame(training[0], columns), training[1].astype(int))

    found = numbers_of(FittedLogisticRegression, pipeline, columns).predict(scored)

    return float(np.abs(found - pipeline.predict_proba(pipeline_frame(scored, columns))[:, 1]).max())


@pytest.fixture(scope="module")
def real_flights() -> Rows:
    """Twenty thousand flights of January with the weather of their hour: nulls, rare destinations, text and numbers."""
    named = ["carrier", "origin", "dest", "hour", "distance", "time_hour", "arr_delay"]
    flights = pd.read_csv(package_file("flights.csv.zip"), usecols=named, nrows=20_000)
    weather = pd.read_csv(package_file("weather.csv")).drop(columns=["year", "month", "day", "hour"])
    rows = flights.merge(weather, on=["origin", "time_hour"], how="left").assign(constant=1.0, never=np.nan)
    return rows.drop(columns=["time_hour", "arr_delay"]), (rows["arr_delay"] >= 15).to_numpy()


@pytest.mark.parametrize("min_frequency", [1, 50, 2000])
def test_scores_of_real_flights_are_those_of_the_scikit_learn_pipeline(real_flights: Rows, min_frequency: int) -> None:
    frame, labels = real_flights
    candidate = CANDIDATE.model_copy(update={"parameters": {"min_frequency": min_frequency}})
    storm = frame.iloc[:50].assign(wind_speed=1048.0, dest="XYZ", carrier=None, distance=-1.0, constant=9.0, never=2.0)

    found = _largest_difference(candidate, (frame.iloc[:15_000], labels[:15_000]), pd.concat([frame, storm]))

    assert found <= 1e-12


NUMBERS = st.floats(-1e30, 1e30) | st.floats(-3, 3) | st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -0.0, 1e-20])
TEXTS = st.sampled_from(["a", "b", "c", "Zoë", "", None])
KINDS = {
    "number": NUMBERS,
    "flag": st.booleans(),
    "constant": st.just(7.25),
    "never": st.just(np.nan),
    "text": TEXTS,
    "no_text": st.none(),
}


@st.composite
def frames(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give rows to train on, and rows to score with values and texts that training need not have."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4))
    n = draw(st.integers(4, 25))
    training, scored = {}, {}
    for place, kind in enumerate(kinds):
        values = draw(st.lists(KINDS[kind], min_size=n, max_size=n))
        others = draw(st.lists(TEXTS | st.text(max_size=3) if "text" in kind else NUMBERS, min_size=6, max_size=6))
        training[f"{kind}_{place}"] = pd.Series(values, dtype=object if "text" in kind else None)
        scored[f"{kind}_{place}"] = pd.Series(others, dtype=object if "text" in kind else None)
    return pd.DataFrame(training), pd.DataFrame(scored)


@given(drawn=frames(), min_frequency=st.integers(1, 8))
def test_scores_of_any_rows_are_those_of_the_scikit_learn_pipeline(
    drawn: tuple[pd.DataFrame, pd.DataFrame], min_frequency: int
) -> None:
    frame, others = drawn
    columns = learn_columns(frame)
    assume(columns.numeric or any(columns.categories.values()))
    labels = np.arange(len(frame)) % 2
    candidate = CANDIDATE.model_copy(update={"parameters": {"min_frequency": min_frequency}})

    for scored in (frame, others):
        assert _largest_difference(candidate, (frame, labels), scored) <= 1e-12


def test_contributions_and_importance_are_those_of_the_pipelines_coefficients(training_rows: Rows) -> None:
    frame, labels = training_rows
    columns = learn_columns(frame)
    prepared = pipeline_frame(frame, columns)
    pipeline = _pipeline(CANDIDATE, columns).fit(prepared, labels)
    coefficients = pipeline.named_steps["regression"].coef_[0]
    weighed = np.asarray(pipeline[:-1].transform(prepared)) * coefficients

    parts, _ = numbers_of(FittedLogisticRegression, pipeline, columns).contributions(frame)
    importance = numbers_of(FittedLogisticRegression, pipeline, columns).importance()

    # in order: hour, wind, holiday, flag of an unknown wind, then AA, B6, UA and the rare ones
    np.testing.assert_allclose(parts["hour"], weighed[:, 0], atol=1e-12)
    np.testing.assert_allclose(parts["wind_speed_mph"], weighed[:, 1] + weighed[:, 3], atol=1e-12)
    np.testing.assert_allclose(parts["carrier"], weighed[:, 4:].sum(axis=1), atol=1e-12)
    assert list(parts) == list(importance) == list(frame.columns)
    assert importance["wind_speed_mph"] == pytest.approx(abs(coefficients[1]) + abs(coefficients[3]))
    assert importance["carrier"] == pytest.approx(np.abs(coefficients[4:]).sum())


def test_weights_of_rows_count_as_repeated_rows(training_rows: Rows) -> None:
    frame, labels = training_rows
    times = np.random.default_rng(0).integers(1, 3, len(frame))
    columns = FeatureColumns(("hour",), {})
    repeated = _fit((frame[["hour"]].loc[frame.index.repeat(times)], labels.repeat(times)))

    weighted = _fit((frame[["hour"]], labels), options=FitOptions(weights=times.astype(float)))

    assert weighted.columns == columns
    assert weighted.predict(frame) == pytest.approx(repeated.predict(frame), abs=0.01)
    assert weighted != _fit((frame[["hour"]], labels))


def test_the_same_fit_gives_the_same_bytes_in_two_processes() -> None:
    one, two = (_hashes_of_a_fit_in_another_process(seed) for seed in ("1", "2"))

    assert one == two
    assert [line.rsplit(" ", 1)[0] for line in one] == [
        "group_history groups.json",
        "group_history columns.json",
        "logistic_regression linear_model.json",
        "xgboost booster.ubj",
        "xgboost columns.json",
    ]


def _hashes_of_a_fit_in_another_process(hash_seed: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", ONE_FIT]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return ended.stdout.splitlines()


def test_rare_unseen_and_unknown_texts_share_one_column(training_rows: Rows) -> None:
    model = _fit(training_rows)
    row = training_rows[0].iloc[[100]]

    rare, unseen, unknown = (model.predict(row.assign(carrier=carrier))[0] for carrier in ("OO", "??", None))

    assert rare == unseen == unknown
    assert model.predict(row.assign(carrier="B6"))[0] > unknown


def test_features_that_are_all_unknown_are_refused(training_rows: Rows) -> None:
    with pytest.raises(ValueError, match="every feature is unknown"):
        _fit((training_rows[0][["gate"]], training_rows[1]))


def test_value_beyond_what_training_saw_counts_as_the_nearest_it_saw(training_rows: Rows) -> None:
    features, _ = training_rows
    model = _fit(training_rows)
    extreme, nearest = features.head(1).copy(), features.head(1).copy()
    extreme["wind_speed_mph"] = 1048.0
    nearest["wind_speed_mph"] = features["wind_speed_mph"].replace(np.inf, np.nan).max()

    assert model.predict(extreme).tolist() == model.predict(nearest).tolist()
