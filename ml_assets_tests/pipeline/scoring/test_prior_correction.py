"""The prior shift of a drop rests on what had landed, was known and had matured by its batch, and on nothing later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import cast

import duckdb
import numpy as np
import pandas as pd
import pytest

from ml_assets.pipeline.scoring.prior_correction import PriorCorrector
from ml_assets.serving.prior_shift import NO_SHIFT, PriorShift
from ml_assets.spec.prior_correction import PriorCorrection
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.model_store import ModelBundle
from ml_assets.training.constant import Constant
from ml_assets_tests.rehearsal import small_spec

DAYS, A_DAY = 30, 40
DROP = 24  # of the thirty, in days from the first
FIRST = date(2013, 1, 1)


def spec_of(**rule: object) -> UseCaseSpec:
    spec = small_spec()
    correction = PriorCorrection.model_validate({"window": "28d", "shrink_days": 2, **rule})
    return spec.model_copy(update={"model": spec.model.model_copy(update={"prior_correction": correction})})


SPEC = spec_of()
CALENDAR = SPEC.calendar


def drop(number: int) -> date:
    return FIRST + timedelta(days=number)


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Examples of thirty drops, few of them positive, each with a label that is known and landed a day later."""
    rng = np.random.default_rng(0)
    number = np.arange(DAYS).repeat(A_DAY)
    features = pd.DataFrame(
        {
            "batch_date": [drop(int(each)) for each in number],
            "example_id": [f"{each:02d}-{place}" for each in range(DAYS) for place in range(A_DAY)],
            "prediction_at": [CALENDAR.batch_at(drop(int(each))) for each in number],
        }
    )
    labels = pd.DataFrame(
        {
            "batch_date": [drop(int(each) + 1) for each in number],
            "example_id": features["example_id"],
            "label": (rng.random(number.size) < 0.1).astype(int),
            "known_at": [CALENDAR.batch_at(drop(int(each) + 1)) - timedelta(hours=1) for each in number],
        }
    )
    return features, labels


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def shift(
    connection: duckdb.DuckDBPyConnection, labels: pd.DataFrame, spec: UseCaseSpec = SPEC, trained: int = -1,
    number: int = DROP,
) -> PriorShift:  # fmt: skip
    """Give the shift of a drop for a model that says a third, trained until a drop."""
    features, _ = tables()
    for name, frame in (("features_7", features), ("labels", labels)):
        rows = connection.from_df(frame).project("* REPLACE (CAST(batch_date AS DATE) AS batch_date)")
        connection.execute(f"DROP VIEW IF EXISTS {name}")
        rows.create_view(name)
    until = CALENDAR.batch_at(drop(trained)) if trained >= 0 else datetime.fromisoformat("2012-12-01T00:00:00+00:00")
    model = cast("ModelBundle", type("Bundle", (), {"trained_until": until.isoformat(), "model": Constant(0.3)})())
    return PriorCorrector(connection, spec).shift_of(drop(number), "m", model, 7)


def test_positives_that_became_rarer_lower_the_scores_of_the_drop(connection: duckdb.DuckDBPyConnection) -> None:
    _, labels = tables()

    found = shift(connection, labels)

    # matured are the drops up to two days before, and the day on which a drop's examples are predicted is its own
    assert found.n_days == len([n for n in range(DAYS) if CALENDAR.batch_at(drop(n)) <= SPEC.matured_by(drop(DROP))])
    assert found.n == found.n_days * A_DAY
    assert found.shift == found.learned < -0.5


def test_no_label_that_was_known_landed_or_matured_later_changes_the_shift(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    _, labels = tables()
    plain = shift(connection, labels)
    batch = CALENDAR.batch_at(drop(DROP))
    later = labels.loc[(labels["known_at"] > batch) | (labels["batch_date"] > drop(DROP))].assign(label=1)
    early = labels.loc[labels["batch_date"] <= drop(10)].assign(label=1)
    known_later = early.assign(known_at=batch + timedelta(seconds=1))
    landed_later = early.assign(batch_date=drop(DROP + 1), known_at=batch - timedelta(hours=2))
    immature = labels.loc[labels["batch_date"] == drop(DROP)].assign(label=1)
    poisons = {"later": later, "corrected later": known_later, "landed later": landed_later, "immature": immature}

    found = {name: shift(connection, pd.concat([labels, poison])) for name, poison in poisons.items()}

    assert found == dict.fromkeys(poisons, plain)
    assert shift(connection, pd.concat([labels, early.assign(batch_date=drop(12))])) != plain  # the poison is one


def test_correction_of_a_label_that_came_in_time_counts_alone(connection: duckdb.DuckDBPyConnection) -> None:
    _, labels = tables()
    wrong = labels.assign(label=1 - labels["label"])
    corrected = labels.assign(batch_date=[each + timedelta(days=1) for each in labels["batch_date"]])

    found = shift(connection, pd.concat([corrected, wrong]).sample(frac=1, random_state=0))

    assert found == shift(connection, labels)


def test_rows_that_the_model_was_trained_on_teach_no_shift(connection: duckdb.DuckDBPyConnection) -> None:
    _, labels = tables()

    assert shift(connection, labels, trained=10).n_days == shift(connection, labels).n_days - 11
    assert shift(connection, labels, trained=20) == NO_SHIFT


def test_window_bounds_how_far_back_labels_are_looked_at(connection: duckdb.DuckDBPyConnection) -> None:
    _, labels = tables()

    assert shift(connection, labels, spec_of(window="9d")).n_days in (9, 10)


def test_without_a_rule_or_before_anything_matured_there_is_no_shift(connection: duckdb.DuckDBPyConnection) -> None:
    _, labels = tables()
    without = SPEC.model_copy(update={"model": SPEC.model.model_copy(update={"prior_correction": None})})

    assert shift(connection, labels, without) == NO_SHIFT
    assert shift(connection, labels, number=0) == NO_SHIFT
    assert shift(connection, labels, number=1) == NO_SHIFT
