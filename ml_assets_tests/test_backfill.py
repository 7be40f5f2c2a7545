"""A feature that is added later: old drops keep what they were served with, and are computed again on demand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from ml_assets.cli.console import console
from ml_assets.cli.operate.backfill import BackfillOptions, run_backfill
from ml_assets.cli.operate.runs import print_warnings
from ml_assets.graph.runs.launch import outcome_of
from ml_assets.pipeline.audit.skew import NEW_VERSION, UNEXPLAINED, compare_with_served
from ml_assets.spec.features import RowExpression
from ml_assets_tests.rehearsal import Rehearsal, day, failures_of, go_on_from, rehearse

pytestmark = pytest.mark.xdist_group("backfill")

AS_OF, ADDED, LAST = 8, 10, 11  # the champion; the first drop with the new feature; the last landed
TRAINING_SET = ("training/training_set",)
NEW = RowExpression.model_validate({"name": "is_far", "sql": "distance_mi > 1000"})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """Ten drops with a champion that served two of them."""
    state = rehearse(tmp_path_factory.mktemp("backfill"), last=LAST)
    state.ingest(1, AS_OF)
    state.retrain(AS_OF, candidate="logistic_regression", gate="disabled")
    state.batch(AS_OF + 1, ADDED - 1)
    return state


def with_feature(state: Rehearsal) -> Rehearsal:
    features = state.spec.features
    more = features.model_copy(update={"expressions": (*features.expressions, NEW)})
    return replace(state, spec=state.spec.model_copy(update={"features": more}))


def versions_by_drop(state: Rehearsal) -> dict[int, int]:
    rows = state.rows("features", "SELECT day(batch_date) AS day, any_value(_feature_set) AS s FROM t GROUP BY ALL")
    return {row["day"]: row["s"] for row in rows}


@pytest.mark.slow  # the whole story; the tests below are its parts
def test_added_feature_is_backfilled_trained_on_and_served_and_what_was_served_stays(
    served: Rehearsal, tmp_path: Path
) -> None:
    state = with_feature(go_on_from(served, tmp_path))
    before = state.values("predictions", AS_OF + 1, ADDED - 1)
    state.batch(ADDED, ADDED)
    assert versions_by_drop(state) == dict.fromkeys(range(1, ADDED), 1) | {ADDED: 2}

    refused = state.retrain(ADDED, candidate="logistic_regression", gate="disabled", raise_on_error=False)
    assert not refused.success
    said = failures_of(refused)["training_set"]
    assert "hold other versions of is_far than are declared now" in said
    assert "ml-assets backfill flight_delays --features" in said

    run_backfill(state.spec, state.state, BackfillOptions(day(1), day(ADDED), step=4))
    assert versions_by_drop(state) == dict.fromkeys(range(1, ADDED + 1), 2)
    assert state.rows("features", "SELECT count(*) AS n FROM t WHERE is_far IS NULL")[0]["n"] == 0

    state.batch(AS_OF + 1, ADDED)  # run again: the champion reads what it read when it served them
    assert state.values("predictions", AS_OF + 1, ADDED - 1).equals(before)
    read = state.rows("predictions", "SELECT day(batch_date) AS d, any_value(_features_version) AS v FROM t GROUP BY 1")
    newest = state.lake.version("features")
    assert newest is not None
    assert all(row["v"] < newest for row in read if row["d"] < ADDED)

    state.retrain(ADDED, candidate="logistic_regression", gate="disabled")
    state.batch(LAST, LAST)
    (row,) = state.rows("predictions", f"SELECT DISTINCT model_version FROM t WHERE batch_date = '{day(LAST)}'")
    assert row["model_version"].startswith(str(day(ADDED)))
    assert "is_far" in state.lake.metadata("training_set")["plan"]["features"]


def test_training_refuses_drops_that_hold_other_features_than_are_declared(served: Rehearsal, tmp_path: Path) -> None:
    state = with_feature(go_on_from(served, tmp_path))

    refused = state.retrain(AS_OF, only=TRAINING_SET, raise_on_error=False)

    assert not refused.success
    said = failures_of(refused)["training_set"]
    assert "hold other versions of is_far than are declared now" in said
    assert "ml-assets backfill flight_delays --features" in said


def test_drop_that_is_run_again_keeps_its_features_until_they_are_backfilled(served: Rehearsal, tmp_path: Path) -> None:
    state = with_feature(go_on_from(served, tmp_path))
    before = {table: state.content(table, 1, ADDED - 1) for table in ("features", "examples", "predictions")}

    state.batch(ADDED - 2, ADDED)  # two closed drops and an open one

    assert versions_by_drop(state) == dict.fromkeys(range(1, ADDED), 1) | {ADDED: 2}
    assert state.rows("features", "SELECT count(is_far) AS n FROM t WHERE batch_date < '2013-01-10'") == [{"n": 0}]
    shown = {table: state.content(table, 1, ADDED - 1) for table in ("examples", "predictions")}
    assert shown == {table: before[table] for table in shown}


def test_backfill_that_was_killed_goes_on_with_what_is_left(served: Rehearsal, tmp_path: Path) -> None:
    state = with_feature(go_on_from(served, tmp_path))
    run_backfill(state.spec, state.state, BackfillOptions(day(1), day(4), step=31))
    done = state.lake.version("features")

    run_backfill(state.spec, state.state, BackfillOptions(day(1), day(ADDED), step=31))
    assert state.lake.version("features") == (done or 0) + 1
    run_backfill(state.spec, state.state, BackfillOptions(day(1), day(ADDED), step=31))
    assert state.lake.version("features") == (done or 0) + 1


def test_training_on_a_mixture_is_a_persons_choice(served: Rehearsal, tmp_path: Path) -> None:
    state = with_feature(go_on_from(served, tmp_path))
    state.batch(ADDED, ADDED)

    state.retrain(ADDED, candidate="logistic_regression", gate="disabled", mix_features=True, only=TRAINING_SET)

    known = state.rows("training_set", "SELECT count(*) FILTER (is_far IS NULL) AS missing, count(*) AS n FROM t")[0]
    assert 0 < known["missing"] <= known["n"]


def test_champion_does_not_score_features_that_mean_something_else(served: Rehearsal, tmp_path: Path) -> None:
    state = go_on_from(served, tmp_path)
    features = state.spec.features
    other = [each.model_copy(update={"sql": "distance_mi + 1"}) if each.name == "distance_mi" else each
             for each in features.expressions]  # fmt: skip
    changed = features.model_copy(update={"expressions": tuple(other)})
    state = replace(state, spec=state.spec.model_copy(update={"features": changed}))

    result = state.batch(ADDED, ADDED, raise_on_error=False)

    assert not result.success
    said = " ".join(failures_of(result).values())
    assert "was trained on other versions of distance_mi than drop 2013-01-10 holds" in said
    assert state.rows("predictions", f"SELECT 1 FROM t WHERE batch_date = '{day(ADDED)}'") == []


def test_column_that_the_examples_gained_is_backfilled_with_its_values(served: Rehearsal, tmp_path: Path) -> None:
    state = go_on_from(served, tmp_path)
    spec = state.spec
    examples = spec.examples.model_copy(
        update={"sql": f"SELECT *, distance_mi * 2 AS twice_mi FROM ({spec.examples.sql.strip().rstrip(';')})"}
    )
    twice = RowExpression.model_validate({"name": "twice", "sql": "twice_mi"})
    features = spec.features.model_copy(update={"expressions": (*spec.features.expressions, twice)})
    state = replace(state, spec=spec.model_copy(update={"examples": examples, "features": features}))

    run_backfill(state.spec, state.state, BackfillOptions(day(1), day(ADDED), step=31))

    wrong = "SELECT count(*) AS n FROM t WHERE twice IS DISTINCT FROM 2 * distance_mi"
    assert state.rows("features", wrong)[0]["n"] == 0


@pytest.mark.slow  # a backfill, two drops and a retraining through the graph
def test_training_takes_what_was_served_or_says_why_not_and_a_changed_value_stops_it(
    served: Rehearsal, tmp_path: Path
) -> None:
    state = with_feature(go_on_from(served, tmp_path))
    run_backfill(state.spec, state.state, BackfillOptions(day(1), day(ADDED - 1), step=31))
    state.batch(ADDED, LAST)
    state.retrain(LAST, only=TRAINING_SET)
    compared = compare_with_served(state.spec, state.state)

    assert compared.drops == 1  # the ninth; those after it have not matured
    assert compared.examples > 500
    assert [(skew.feature, skew.why, skew.examples) for skew in compared.skews] == [
        ("is_far", NEW_VERSION, compared.examples)
    ]

    with duckdb.connect() as connection:
        rows = state.lake.relation(connection, "features", (day(ADDED - 1), day(ADDED - 1)))
        changed = rows.project("* REPLACE (distance_mi + 100 AS distance_mi)").to_arrow_table()
    state.lake.replace_drops("features", changed, [day(ADDED - 1)])
    stopped = state.graph.retrain(LAST, candidate="logistic_regression", gate="disabled", raise_on_error=False)
    compared = compare_with_served(state.spec, state.state)

    assert [(skew.feature, skew.why, skew.largest) for skew in compared.skews] == [
        ("distance_mi", UNEXPLAINED, 100.0),
        ("is_far", NEW_VERSION, None),
    ]
    (leakage,) = [each for each in stopped.get_asset_check_evaluations() if each.check_name == "leakage"]
    assert (stopped.success, leakage.passed) == (False, False)
    assert "distance_mi" in str(leakage.metadata["could not be known"].value)
    with console.capture() as printed:  # what `retrain` prints
        print_warnings(outcome_of("retrain", stopped))
    first, *parts = printed.get().splitlines()
    assert first == "served_as_trained 2 features differ from what was served, 1 of them unexplained"
    assert [part.split(",")[0] for part in parts] == ["  distance_mi: unexplained", "  is_far: another definition"]
    assert parts[0].endswith("examples of 1 drops, by 100 at most")
