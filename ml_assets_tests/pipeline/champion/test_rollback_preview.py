"""What a rollback is previewed on: matured examples alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd

from ml_assets.pipeline.champion.rollback_preview import compared_drops, keep_matured_labels
from ml_assets_tests.rehearsal import flagship


def test_early_label_of_an_example_that_has_not_matured_says_nothing_of_either_model() -> None:
    moments = [datetime(2013, 6, number, 8, tzinfo=UTC) for number in (1, 2, 3)]
    rows = pd.DataFrame({"example_id": ["a", "b", "c"], "prediction_at": moments, "label": [0.0, np.nan, 1.0]})

    kept = keep_matured_labels(rows, moments[1])

    assert kept["label"].isna().tolist() == [False, True, True]
    assert rows["label"].tolist()[2] == 1.0  # the given rows stay as they are


def test_fourteen_matured_drops_are_compared_however_long_labels_take_to_mature() -> None:
    spec = flagship()
    slow = spec.model_copy(update={"labels": spec.labels.model_copy(update={"matures_after": timedelta(days=30)})})
    newest = date(2013, 6, 30)

    drops = compared_drops(slow, newest)

    assert drops[-14:] == slow.calendar.drops_between(newest - timedelta(days=13), newest)
    assert drops[:14] == slow.calendar.drops_between(date(2013, 5, 18), date(2013, 5, 31))
    assert len(drops) == 28
