from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.training.applicability_domain import Envelope, learn_envelope

TRAINED = pd.DataFrame({"wind_mph": [0.0, 40.0, np.nan], "gauge": [5.0, 5.0, 5.0], "dry": [0.0, 0.0, 0.0],
                        "carrier": ["AA", None, "UA"], "unknown": [np.nan] * 3})  # fmt: skip
numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)


def test_range_is_widened_by_its_own_width_and_by_size_where_nothing_varied() -> None:
    envelope = learn_envelope(TRAINED, beyond=2)

    assert envelope.ranges == {"wind_mph": (-80.0, 120.0), "gauge": (-5.0, 15.0), "dry": (-2.0, 2.0)}


def test_row_names_what_lies_outside_and_what_is_unknown_lies_inside() -> None:
    envelope = learn_envelope(TRAINED, beyond=2)
    rows = pd.DataFrame(
        {"wind_mph": [120.0, 120.1, None, np.inf], "gauge": [15.0, 16.0, np.nan, -6.0], "dry": [0.0] * 4}
    )

    assert envelope.outside(rows) == [None, "wind_mph, gauge", None, "wind_mph, gauge"]
    assert envelope.outside(rows.iloc[:0]) == []


def test_feature_that_is_not_there_is_an_error_and_no_abstention() -> None:
    with pytest.raises(ValueError, match="missing: gauge, dry"):
        learn_envelope(TRAINED, beyond=1).outside(TRAINED[["wind_mph"]])


@given(values=numbers, beyond=st.floats(0, 5))
def test_training_rows_lie_inside_and_the_envelope_reads_back(values: list[float], beyond: float) -> None:
    rows = pd.DataFrame({"x": values})

    envelope = learn_envelope(rows, beyond)

    assert envelope.outside(rows) == [None] * len(rows)
    assert Envelope.from_files(envelope.to_files()) == envelope


@given(values=numbers, near=st.floats(0, 2), more=st.floats(0, 3))
def test_wider_envelope_abstains_from_no_row_that_a_narrower_one_scores(
    values: list[float], near: float, more: float
) -> None:
    trained, rows = pd.DataFrame({"x": values}), pd.DataFrame({"x": np.linspace(-2e6, 2e6, 41)})

    narrow = learn_envelope(trained, near).outside(rows)
    wide = learn_envelope(trained, near + more).outside(rows)

    assert [row for row in range(len(rows)) if narrow[row] is None and wide[row] is not None] == []
