from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest

from ml_assets.features.outcome_leakage import LeakageSign
from ml_assets.features.split_overlap import compare_ranking, report_entities, report_near_duplicates, report_twins
from ml_assets.features.target_leakage import score_cheaply
from ml_assets.features.training_sample import DrawnRows, Words, read_drawn

DAYS, A_DAY, HELD_FROM, WIDE = 24, 50, 16, 20
FEATURES = [f"x{place}" for place in range(WIDE)]


def made_up(seed: int = 3) -> pd.DataFrame:
    """Give a training set of twenty numbers, of which the first says something of the label, and a text."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(DAYS), A_DAY)
    numbers = rng.normal(size=(day.size, WIDE))
    frame = pd.DataFrame(numbers, columns=FEATURES)
    frame["x1"] = [f"word {value}" for value in rng.integers(0, 9, day.size)]
    frame.loc[rng.random(day.size) < 0.2, "x2"] = np.nan
    frame["label"] = (numbers[:, 0] + rng.normal(size=day.size) > 0.4).astype(np.int64)
    frame["split"] = np.where(day < HELD_FROM, "train", "holdout")
    frame["batch_date"] = [date(2013, 1, 1) + timedelta(days=int(each)) for each in day]
    frame["prediction_at"] = [datetime(2013, 1, 1, 9, tzinfo=UTC) + timedelta(days=int(each)) for each in day]
    frame["example_id"] = [f"e{place:05}" for place in range(day.size)]
    frame["customer"] = np.arange(day.size) % 300
    frame["shop"] = [None if place % 10 == 0 else f"s{place % 4}" for place in range(day.size)]
    return frame


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'; SET threads = 1")
        yield opened


def lay(connection: duckdb.DuckDBPyConnection, frame: pd.DataFrame) -> DrawnRows:
    connection.register("given", frame)
    connection.execute("CREATE OR REPLACE TABLE training_set AS SELECT * EXCLUDE (customer, shop) FROM given")
    connection.execute("CREATE OR REPLACE VIEW _drawn AS SELECT * FROM training_set")
    connection.execute(
        "CREATE OR REPLACE TABLE _of AS SELECT batch_date, example_id, split, label, customer, shop FROM given"
    )
    return read_drawn(connection, FEATURES)


def near(connection: duckdb.DuckDBPyConnection, frame: pd.DataFrame) -> LeakageSign:
    rows = lay(connection, frame)
    found = report_near_duplicates(connection, rows, FEATURES, score_cheaply(rows, rows.columns))
    assert found is not None
    return found


def copies(frame: pd.DataFrame, count: int, apart: int, seed: int = 0) -> pd.DataFrame:
    """Replace the first `count` rows of the holdout by training rows with `apart` numbers changed, and their label."""
    rng = np.random.default_rng(seed)
    held, trained = np.flatnonzero(frame["split"] == "holdout")[:count], rng.permutation(HELD_FROM * A_DAY)[:count]
    copied = frame.copy()
    copied.loc[held, [*FEATURES, "label"]] = frame.loc[trained, [*FEATURES, "label"]].to_numpy()
    for row in held:
        for name in rng.permutation([name for name in FEATURES if name != "x1"])[:apart]:
            copied.loc[row, name] = rng.normal() + 10.0
    numbers = [name for name in FEATURES if name != "x1"]
    return copied.astype({**dict.fromkeys(numbers, "float64"), "label": "int64"})


def test_twins_are_reported_with_what_remembering_them_would_gain(connection: duckdb.DuckDBPyConnection) -> None:
    lay(connection, copies(made_up(), 120, apart=0))

    found = report_twins(connection, FEATURES)

    assert (found.n, found.limit) == (120, None)
    assert found.says.startswith("120 of 400 rows of the holdout have a twin in training")
    assert found.says.endswith("AUC 1.000")


def test_rows_alone_have_no_twin(connection: duckdb.DuckDBPyConnection) -> None:
    lay(connection, made_up())

    assert report_twins(connection, FEATURES).says == "0 of 400 rows of the holdout have a twin in training"


@pytest.mark.parametrize("apart", [0, 1, 2])
def test_row_that_differs_in_a_tenth_of_the_features_is_a_near_duplicate(
    connection: duckdb.DuckDBPyConnection, apart: int
) -> None:
    found = near(connection, copies(made_up(), 120, apart))

    assert found.n == 120
    assert found.says.startswith(
        "120 of 400 rows of the holdout are equal to a training row in 18 of 20 features or more"
    )
    assert "the labels of those rank them with AUC 1.000" in found.says


@pytest.mark.parametrize("apart", [3, 6])
def test_row_that_differs_in_more_is_none(connection: duckdb.DuckDBPyConnection, apart: int) -> None:
    assert near(connection, copies(made_up(), 120, apart)).n == 0


def test_near_duplicates_are_the_same_in_any_number_of_threads(connection: duckdb.DuckDBPyConnection) -> None:
    frame = copies(made_up(), 90, 2)
    alone = near(connection, frame)
    connection.execute("SET threads = 4")

    assert near(connection, frame) == alone


def test_features_that_are_all_the_same_or_null_are_no_near_duplicates(connection: duckdb.DuckDBPyConnection) -> None:
    frame = made_up().assign(**dict.fromkeys(FEATURES[3:], 1.0), x0=np.nan)
    rows = lay(connection, frame)

    found = report_near_duplicates(connection, rows, [*FEATURES[3:], "x0"], np.zeros(400))

    assert found is None


def test_entity_that_training_has_met_is_counted_and_a_null_is_none(connection: duckdb.DuckDBPyConnection) -> None:
    frame = made_up()
    frame.loc[frame.index[-40:], "customer"] = np.arange(10_000, 10_040)
    rows = lay(connection, frame)
    score = score_cheaply(rows, rows.columns)

    customer, shop, both = report_entities(connection, rows, [("customer",), ("shop",), ("customer", "shop")], score)

    assert (customer.column, customer.n, customer.value, customer.limit) == ("customer", 360, 0.9, None)
    assert "the rest, 40, are too few" in customer.says
    assert shop.says.startswith("360 of 360 rows of the holdout are of one that training has met")  # 40 have none
    assert (both.column, both.n) == ("customer + shop", 324)


def test_what_an_entity_is_worth_is_told_where_some_are_new(connection: duckdb.DuckDBPyConnection) -> None:
    frame = made_up()
    held = frame["split"] == "holdout"
    frame.loc[held & (frame.index % 2 == 0), "customer"] += 100_000
    is_new = frame["customer"] >= 100_000
    # of those that were met, a feature says the outcome; of the others it says nothing
    frame["x0"] = np.where(is_new, frame["x3"], frame["label"] * 4.0 + frame["x3"])
    rows = lay(connection, frame)

    (found,) = report_entities(connection, rows, [("customer",)], score_cheaply(rows, rows.columns))

    said = found.says.partition("all columns together rank these with AUC ")[2]
    assert float(said[:5]) > 0.9
    assert "the other 200 with 0." in said
    assert float(said.partition("difference +")[2][:5]) > 0.2


def test_difference_is_of_pairs_within_drops_with_an_error_by_drops() -> None:
    drops, label = np.repeat(np.arange(8), 40), np.tile([0.0, 1.0], 160)
    is_met = np.tile([True, True, False, False], 80)
    score = np.where(is_met, label, 0.5) + drops.astype(np.float64)  # the drop itself must say nothing

    found = compare_ranking(drops, label, score, is_met)

    assert (found.met, found.new, found.error) == (1.0, 0.5, 0.0)


def test_columns_are_read_as_numbers_hours_and_words(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "CREATE TABLE training_set AS SELECT 'e' || i AS example_id, DATE '2013-01-01' AS batch_date, 'train' AS "
        "split, TIMESTAMPTZ '2013-01-01 12:00:00+00' AS prediction_at, 1 AS label, TIMESTAMPTZ '2013-01-01 "
        "15:00:00+00' AS at, DATE '2013-01-01' AS day, 'infinity'::TIMESTAMP AS never, i = 1 AS is_one, "
        "2.5::DECIMAL(9, 2) AS price, [i] AS listed, CASE WHEN i > 0 THEN 'a' END AS word FROM range(2) AS t(i)"
    )
    connection.execute("CREATE VIEW _drawn AS SELECT * FROM training_set")

    read = read_drawn(connection, ["at", "day", "never", "is_one", "price", "listed", "word"]).columns

    numbers = {name: values.tolist() for name, values in read.items() if not isinstance(values, Words)}
    assert numbers["at"] == [3.0, 3.0]
    assert numbers["day"] == [-12.0, -12.0]
    assert np.isnan(numbers["never"]).all()
    assert (numbers["is_one"], numbers["price"]) == ([0.0, 1.0], [2.5, 2.5])
    listed, word = read["listed"], read["word"]
    assert isinstance(listed, Words)
    assert isinstance(word, Words)
    assert (listed.names, word.places.tolist(), word.names) == (("[0]", "[1]"), [-1, 0], ("a",))


def test_large_set_is_looked_at_by_a_sample_of_both_splits(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "CREATE TABLE training_set AS SELECT 'e' || i AS example_id, DATE '2013-01-01' AS batch_date, CASE WHEN i < "
        "1000 THEN 'holdout' ELSE 'train' END AS split, TIMESTAMPTZ '2013-01-01 12:00:00+00' AS prediction_at, i % "
        "2 AS label, i::DOUBLE AS x FROM range(91000) AS t(i)"
    )
    connection.execute("CREATE VIEW _drawn AS SELECT * FROM training_set")

    rows = read_drawn(connection, ["x"])

    assert rows.trained == 90_000
    assert 15_000 < rows.is_train.sum() < 21_000
    assert (~rows.is_train).sum() == rows.held.size == 1_000
