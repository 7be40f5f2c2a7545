from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.behaviours import Behaviour
from ml_assets.training.applicability_domain import Envelope
from ml_assets.training.behaviour_trials import TrialOfBehaviour, try_behaviours
from ml_assets.training.estimators import fit_candidate
from ml_assets.training.model_kind import FittedModel
from ml_assets_tests.training.conftest import CANDIDATES, made_up_flights


class ByHour:
    """A score that hangs on the hour alone; unknown hours are a half, and a gate that is said is an error."""

    kind = "by_hour"
    feature_names = ("hour", "gate")

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        if "Z9" in set(features["gate"].dropna()):
            raise ValueError("no such gate: Z9")
        hours = features["hour"].to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isnan(hours), 0.5, np.clip(hours / 24, 0, 1))

    def to_files(self) -> dict[str, bytes]:
        return {}

    def importance(self) -> dict[str, float]:
        return {}

    def contributions(self, features: pd.DataFrame) -> None:
        assert list(features)


ROWS = pd.DataFrame(
    {
        "carrier": ["AA", "B6", None, "UA"] * 25,
        "hour": np.arange(100) % 20 + 2,
        "wind_mph": np.linspace(0, 50, 100),
        "is_holiday": [True, False, False, False] * 25,
        "gate": pd.Series([None] * 100, dtype=object),
    },
    index=np.arange(500, 600),  # positions are not labels
)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def tried(
    connection: duckdb.DuckDBPyConnection,
    rows: pd.DataFrame = ROWS,
    model: FittedModel | None = None,
    envelope: Envelope | None = None,
    **declared: Any,
) -> TrialOfBehaviour:
    behaviour = Behaviour.model_validate({"name": "tried", **declared})
    (found,) = try_behaviours([behaviour], model or ByHour(), envelope, rows, connection, 0)
    return found


def test_change_that_must_not_matter_is_kept_when_it_does_not(connection: duckdb.DuckDBPyConnection) -> None:
    found = tried(connection, kind="invariance", change={"carrier": "'ZZ'", "wind_mph": "wind_mph * 9"}, max_change=0)

    assert (found.state, found.n, found.measured, found.threshold) == ("kept", 100, 0.0, 0.0)


def test_change_that_matters_is_measured_by_its_mean(connection: duckdb.DuckDBPyConnection) -> None:
    change = {"hour": "CASE WHEN is_holiday THEN hour + 1 ELSE hour END"}

    broken = tried(connection, kind="invariance", change=change, max_change=0.01)
    kept = tried(connection, kind="invariance", change=change, max_change=0.0105)

    assert broken.measured == pytest.approx(0.25 / 24)
    assert (broken.state, kept.state) == ("broken", "kept")


def test_change_is_tried_where_it_is_said_and_cast_to_what_the_feature_is(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    found = tried(
        connection, kind="invariance", where="carrier = 'B6' AND wind_mph > 25", change={"hour": "hour + 2.4"},
        max_change=1,
    )  # fmt: skip

    expected = ((ROWS["carrier"] == "B6") & (ROWS["wind_mph"] > 25)).sum()
    assert (found.n, found.measured) == (expected, pytest.approx(2 / 24))


def test_sql_with_braces_is_read_as_sql(connection: duckdb.DuckDBPyConnection) -> None:
    change = {"carrier": "regexp_replace(carrier, '^[A-Z]{2}$', 'ZZ')", "wind_mph": "struct_extract({'a': 1.0}, 'a')"}

    found = tried(connection, kind="invariance", change=change, max_change=0)

    assert (found.state, found.message) == ("kept", "the score moves by 0.0000 in the mean, allowed are 0.0000")


@pytest.mark.parametrize(("direction", "state", "share"), [("up", "kept", 0.95), ("down", "broken", 0.05)])
def test_direction_counts_the_scores_that_do_not_go_the_other_way(
    direction: str, state: str, share: float, connection: duckdb.DuckDBPyConnection
) -> None:
    change = {"hour": "CASE WHEN hour = 21 THEN hour - 3 ELSE hour + 2 END"}  # of twenty hours one falls

    found = tried(connection, kind="direction", change=change, direction=direction, share=0.95)

    assert (found.state, found.measured) == (state, pytest.approx(share))


def test_direction_forgives_what_is_within_its_tolerance(connection: duckdb.DuckDBPyConnection) -> None:
    declared = {"kind": "direction", "change": {"hour": "hour - 1"}, "direction": "up"}

    assert tried(connection, **declared, tolerance=0.042).state == "kept"
    assert tried(connection, **declared, tolerance=0.041).state == "broken"


def test_cases_fall_on_their_side_of_the_median_and_those_that_do_not_are_numbered(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    cases = [
        {"values": {"hour": 20, "carrier": "UA"}, "label": "high"},
        {"values": {"hour": 3}, "label": "low"},
        {"values": {"hour": 4}, "label": "high"},
    ]

    found = tried(connection, kind="minimum", cases=cases, share=0.6)

    assert (found.state, found.n, found.measured) == ("kept", 3, pytest.approx(2 / 3))
    assert found.message == "2 of 3 cases are on their side of the median score 0.4792; not case 3"
    assert tried(connection, kind="minimum", cases=cases, share=0.7).state == "broken"


def test_perturbed_inputs_move_the_score_by_what_they_are(connection: duckdb.DuckDBPyConnection) -> None:
    missing = tried(connection, kind="perturbation", missing=["hour", "is_holiday", "carrier"], max_change=1)
    unseen = tried(connection, kind="perturbation", unseen=["carrier"], max_change=0)
    readings = ROWS.assign(hour=ROWS["hour"].astype(float))
    once, again = (tried(connection, readings, kind="perturbation", noise=0.5, max_change=1) for _ in range(2))

    assert missing.measured == pytest.approx(np.abs(0.5 - ROWS["hour"] / 24).mean())
    assert (unseen.state, unseen.measured) == ("kept", 0.0)
    assert once == again


@pytest.mark.parametrize("kind", sorted(CANDIDATES))
def test_no_perturbation_is_an_error_to_a_candidate(kind: str, connection: duckdb.DuckDBPyConnection) -> None:
    frame, labels = made_up_flights()
    model = fit_candidate(CANDIDATES[kind], frame, labels, seed=0)
    everything: list[dict[str, Any]] = [
        {"missing": list(frame.columns)}, {"unseen": ["carrier", "gate"]}, {"noise": 3},
    ]  # fmt: skip

    found = [tried(connection, frame, model, kind="perturbation", max_change=1, **each) for each in everything]

    assert [each.state for each in found] == ["kept"] * 3
    assert [each.n for each in found] == [len(frame)] * 3


def test_noise_moves_readings_and_leaves_whole_numbers(connection: duckdb.DuckDBPyConnection) -> None:
    readings = ROWS.assign(hour=ROWS["hour"].astype(float))

    assert tried(connection, kind="perturbation", noise=1, max_change=1).measured == 0
    assert tried(connection, readings, kind="perturbation", noise=1, max_change=1).measured > 0.1


def test_error_inside_predict_is_a_broken_behaviour_that_says_it(connection: duckdb.DuckDBPyConnection) -> None:
    found = tried(connection, kind="invariance", change={"gate": "'Z9'"}, max_change=1)

    assert (found.state, found.message) == ("broken", "ValueError: no such gate: Z9")
    assert np.isnan(found.measured)


def test_sql_that_fails_on_the_rows_is_broken_and_the_next_behaviour_is_still_tried(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    wrong = Behaviour.model_validate(
        {"name": "wrong", "kind": "invariance", "change": {"hour": "CAST(carrier AS INTEGER)"}, "max_change": 1}
    )
    sound = Behaviour.model_validate(
        {"name": "sound", "kind": "invariance", "change": {"wind_mph": "0"}, "max_change": 0}
    )

    found = try_behaviours([wrong, sound], ByHour(), None, ROWS, connection, 0)

    assert [(each.name, each.state) for each in found] == [("wrong", "broken"), ("sound", "kept")]
    assert found[0].message.startswith("ConversionException: ")


def test_far_out_inputs_have_to_be_abstained_from(connection: duckdb.DuckDBPyConnection) -> None:
    declared = {"kind": "out_of_range", "change": {"wind_mph": "1048"}, "share": 1}

    abstains = tried(connection, envelope=Envelope({"wind_mph": (0, 100)}), **declared)
    scores = tried(connection, envelope=Envelope({"wind_mph": (0, 2000)}), **declared)
    never = tried(connection, **declared)

    assert (abstains.state, abstains.measured) == ("kept", 1.0)
    assert (scores.state, scores.measured) == ("broken", 0.0)
    assert (never.state, never.message) == ("broken", "the model never abstains: model.abstain is not declared")


@pytest.mark.parametrize(
    "declared",
    [
        {"kind": "invariance", "where": "carrier = 'ZZ'", "change": {"hour": "1"}, "max_change": 1},
        {"kind": "out_of_range", "where": "carrier = 'ZZ'", "change": {"hour": "1"}},
        {"kind": "perturbation", "where": "carrier = 'ZZ'", "noise": 1, "max_change": 1},
    ],
)
def test_behaviour_without_a_row_to_try_it_on_is_neither_kept_nor_broken(
    declared: dict[str, Any], connection: duckdb.DuckDBPyConnection
) -> None:
    without = tried(connection, **declared)
    empty = tried(connection, ROWS.iloc[:0], **{**declared, "where": ""})

    assert (without.state, without.n) == ("not enough data", 0)
    assert (empty.state, empty.n) == ("not enough data", 0)


def test_cases_without_a_window_to_call_usual_are_not_enough_data(connection: duckdb.DuckDBPyConnection) -> None:
    found = tried(connection, ROWS.iloc[:0], kind="minimum", cases=[{"values": {"hour": 3}, "label": "low"}])

    assert found.state == "not enough data"


def test_rows_are_not_changed_by_a_trial(connection: duckdb.DuckDBPyConnection) -> None:
    before = ROWS.copy()

    tried(connection, kind="invariance", change={"hour": "hour + 1"}, max_change=1)
    tried(connection, kind="perturbation", noise=1, missing=["carrier"], max_change=1)

    pd.testing.assert_frame_equal(before, ROWS)
    assert connection.sql("SHOW TABLES").fetchall() == []
