from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import Rung
from ml_assets.stats.classification import auc
from ml_assets.training.estimators import FittedModel, feature_importance, fit_rung, load_model, needs_both_classes

Rows = tuple[pd.DataFrame, np.ndarray]


def _fit(rung: Rung, rows: Rows) -> FittedModel:
    return fit_rung(rung, rows[0], rows[1], seed=1)


def test_every_rung_ranks_better_than_chance_with_probabilities(rung: Rung, training_rows: Rows) -> None:
    model = _fit(rung, training_rows)

    found = model.predict(training_rows[0])

    assert model.kind == rung.kind
    assert found.dtype == np.float64
    assert auc(training_rows[1], found) > 0.7
    assert found.mean() == pytest.approx(training_rows[1].mean(), abs=0.05)


def test_a_loaded_model_predicts_the_same_to_the_bit(rung: Rung, training_rows: Rows) -> None:
    model = _fit(rung, training_rows)

    loaded = load_model(model.kind, model.to_files())

    np.testing.assert_array_equal(loaded.predict(training_rows[0]), model.predict(training_rows[0]))
    assert loaded.feature_names == model.feature_names
    assert loaded.to_files() == model.to_files()


def test_training_twice_gives_the_same_bytes(rung: Rung, training_rows: Rows) -> None:
    assert _fit(rung, training_rows).to_files() == _fit(rung, training_rows).to_files()


def test_a_row_is_scored_the_same_alone_and_among_others(rung: Rung, training_rows: Rows) -> None:
    model, frame = _fit(rung, training_rows), training_rows[0]
    together = model.predict(frame)

    alone = [model.predict(frame.iloc[[row]])[0] for row in range(20, 45)]

    assert alone == together[20:45].tolist()
    np.testing.assert_array_equal(model.predict(frame.iloc[::-1])[::-1], together)


def test_missing_columns_are_named_and_extra_ones_ignored(rung: Rung, training_rows: Rows) -> None:
    model, frame = _fit(rung, training_rows), training_rows[0]

    with pytest.raises(ValueError, match="feature columns are missing: carrier, hour"):
        model.predict(frame.drop(columns=["carrier", "hour"]))
    more = frame[frame.columns[::-1]].assign(scheduled_at=pd.Timestamp("2013-04-01", tz="UTC"))
    np.testing.assert_array_equal(model.predict(more), model.predict(frame))


def test_an_unseen_category_counts_as_unknown(rung: Rung, training_rows: Rows) -> None:
    model, row = _fit(rung, training_rows), training_rows[0].iloc[[50]]

    assert model.predict(row.assign(carrier="??")).tolist() == model.predict(row.assign(carrier=None)).tolist()


def test_infinity_counts_as_unknown(rung: Rung, training_rows: Rows) -> None:
    model, row = _fit(rung, training_rows), training_rows[0].iloc[[50]]
    unknown = model.predict(row.assign(wind_speed_mph=np.nan, hour=np.nan))

    assert np.isfinite(unknown).all()
    for infinity in (np.inf, -np.inf):
        found = model.predict(row.assign(wind_speed_mph=infinity, hour=infinity))
        assert found.tolist() == unknown.tolist()


def test_frames_are_not_changed(rung: Rung, training_rows: Rows) -> None:
    before = training_rows[0].copy(deep=True)

    _fit(rung, training_rows).predict(training_rows[0])

    pd.testing.assert_frame_equal(training_rows[0], before)


def test_no_rows_to_score_give_no_scores(rung: Rung, training_rows: Rows) -> None:
    model = _fit(rung, training_rows)

    assert model.predict(training_rows[0].iloc[:0]).tolist() == []


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "there are no training rows"),
        ([np.nan] * 3, "all 3 training labels are missing"),
        ([0, 1, np.nan], "1 of 3 training labels are missing: unknown is not negative"),
        ([0, 1, 2], "must be 0 or 1: 1 are not"),
    ],
)
def test_rows_that_teach_nothing_are_refused(
    rung: Rung, labels: list[float], message: str, training_rows: Rows
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_rung(rung, training_rows[0].iloc[: len(labels)], np.array(labels), seed=1)


def test_one_class_teaches_nothing_to_what_learns_and_is_counted_by_what_counts(
    rung: Rung, training_rows: Rows
) -> None:
    rows, labels = training_rows[0].iloc[:3], np.ones(3)
    if not needs_both_classes(rung):
        assert set(fit_rung(rung, rows, labels, seed=1).predict(rows)) == {1.0}
        return
    with pytest.raises(ValueError, match="all 3 training labels are 1: one class alone"):
        fit_rung(rung, rows, labels, seed=1)


def test_rows_and_labels_of_different_length_are_refused(rung: Rung, training_rows: Rows) -> None:
    with pytest.raises(ValueError, match="600 rows of features and labels of shape"):
        fit_rung(rung, training_rows[0], training_rows[1][:-1], seed=1)


def test_importance_names_every_column_where_it_exists(rung: Rung, training_rows: Rows) -> None:
    found = feature_importance(_fit(rung, training_rows))

    assert list(found) == ([] if rung.kind == "group_history" else list(training_rows[0].columns))


def test_an_unknown_kind_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ValueError, match=r"no kind of model 'xgbost' \(did you mean 'xgboost'\?\)"):
        load_model("xgbost", {})
