from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml_assets.training.feature_matrix import (
    FeatureColumns,
    code_matrix,
    learn_columns,
    numeric_matrix,
    text_matrix,
)


def _frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "dest": np.array(["SFO", None, "ATL"], dtype=object),
            "delay_min": [1.5, np.nan, -np.inf],
            "is_late": np.array([True, None, False], dtype=object),
            "seats": pd.array([10, None, 30], dtype="Int64"),
        }
    )


def test_kinds_and_categories_are_learned_from_the_values() -> None:
    columns = learn_columns(_frame())

    assert columns.names == ("dest", "delay_min", "is_late", "seats")
    assert columns.categories == {"dest": ("ATL", "SFO")}
    assert columns.numeric == ("delay_min", "is_late", "seats")


def test_unknown_and_not_finite_numbers_become_nan() -> None:
    frame = _frame()

    found = numeric_matrix(frame, learn_columns(frame))

    np.testing.assert_array_equal(found, [[1.5, 1, 10], [np.nan] * 3, [np.nan, 0, 30]])


def test_a_number_beyond_float32_is_unknown() -> None:
    frame = pd.DataFrame({"x": [1e300, 3e38, -1e39]})

    found = numeric_matrix(frame, learn_columns(frame))

    np.testing.assert_array_equal(found, [[np.nan], [3e38], [np.nan]])


def test_an_unknown_and_an_unseen_text_are_the_same() -> None:
    columns = learn_columns(_frame())
    scored = pd.DataFrame({"dest": ["LAX", None, "SFO"], "delay_min": 0, "is_late": 0, "seats": 0})

    assert code_matrix(scored, columns).tolist() == [[-1], [-1], [1]]
    assert text_matrix(scored, columns).tolist() == [[None], [None], ["SFO"]]


@pytest.mark.parametrize("dtype", ["object", "category", "string"])
def test_the_way_pandas_stores_text_does_not_matter(dtype: str) -> None:
    frame = pd.DataFrame({"dest": pd.Series(["SFO", None, "ATL"]).astype(dtype)})  # pyright: ignore[reportCallIssue, reportArgumentType]

    columns = learn_columns(frame)

    assert columns.categories == {"dest": ("ATL", "SFO")}
    assert code_matrix(frame, columns).tolist() == [[1], [-1], [0]]


def test_a_column_wholly_unknown_when_scored_keeps_its_kind() -> None:
    columns = learn_columns(_frame())
    scored = pd.DataFrame({"dest": [np.nan], "delay_min": [None], "is_late": [None], "seats": [None]})

    assert np.isnan(numeric_matrix(scored, columns)).all()
    assert code_matrix(scored, columns).tolist() == [[-1]]


def test_a_column_of_another_kind_than_at_fit_is_refused() -> None:
    columns = learn_columns(_frame())

    with pytest.raises(ValueError, match="'delay_min' was numeric when the model was fitted and holds string"):
        numeric_matrix(_frame().assign(delay_min="12"), columns)
    with pytest.raises(ValueError, match="'dest' was text when the model was fitted and holds integer"):
        code_matrix(_frame().assign(dest=12), columns)


def test_missing_and_repeated_columns_are_named() -> None:
    columns = learn_columns(_frame())

    with pytest.raises(ValueError, match="feature columns are missing: dest, seats"):
        numeric_matrix(_frame()[["delay_min", "is_late"]], columns)
    with pytest.raises(ValueError, match="more than once: seats"):
        numeric_matrix(pd.concat([_frame(), _frame()[["seats"]]], axis=1), columns)


@pytest.mark.parametrize("values", [pd.to_datetime(["2013-01-01"], utc=True), pd.Series(["a", 1], dtype=object)])
def test_a_column_neither_numbers_nor_text_is_refused(values: object) -> None:
    with pytest.raises(ValueError, match="feature column 'x' holds"):
        learn_columns(pd.DataFrame({"x": values}))


def test_columns_read_back_as_written() -> None:
    columns = learn_columns(_frame())

    assert FeatureColumns.from_json(columns.to_json()) == columns
