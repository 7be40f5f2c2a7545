from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

import ml_assets
from ml_assets.monitoring.loss_rise import LossRise, Rises
from ml_assets.monitoring.performance import (
    ROLES,
    ScoredExamples,
    first_prediction_date,
    judged_window,
    measure_performance,
    read_scored,
)
from ml_assets.monitoring.performance_verdict import judge_performance
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.monitoring import Costs, MonitoringSpec
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.binary import BINARY
from ml_assets.stats.not_computed import collecting

APRIL_1, APRIL_2, APRIL_3, APRIL_4 = (date(2013, 4, number) for number in (1, 2, 3, 4))
MONITORING = MonitoringSpec(slices=("origin",), min_slice=3, costs=Costs(false_alarm=1, missed=3))


@pytest.fixture(scope="module")
def spec() -> UseCaseSpec:
    """Give the flagship's batches at 04:00 New York and its labels that mature after two days, watched as above."""
    flagship = load_use_case(Path(ml_assets.__file__).parent / "defs" / "flight_delays")
    gate = flagship.model.gate.model_copy(update={"min_days": 3, "min_examples": 6, "resamples": 200})
    parts = {"monitoring": MONITORING, "model": flagship.model.model_copy(update={"gate": gate})}
    return flagship.model_copy(update=parts)


def scored_of(*rows: tuple[date, date | None, float | None, float | None, float, str | None], **versions: str) -> Any:
    """Give scored examples from prediction date, drop matured in, label, score, baseline's score and origin."""
    dates, matured_in, labels, scores, baseline, origins = zip(*rows, strict=True)
    unscored = np.full(len(rows), np.nan)
    by_role = {"champion": np.array(scores, dtype=float), "baseline": np.array(baseline)}
    return ScoredExamples(
        prediction_dates=np.array(dates, dtype="datetime64[D]"),
        matured_in=np.array(matured_in, dtype="datetime64[D]"),
        labels=np.array(labels, dtype=float),
        scores={role: by_role.get(role, unscored) for role in ROLES},
        slices={"origin": np.array(origins, dtype=object)},
        model_versions={(day, role): versions.get(f"on_{day:%d}", "m") for day in dates for role in by_role},
    )


DAY = scored_of(
    (APRIL_1, APRIL_3, 1, 0.9, 0.5, "EWR"),
    (APRIL_1, APRIL_3, 0, 0.6, 0.5, "EWR"),
    (APRIL_1, APRIL_3, None, 0.8, 0.5, "EWR"),
    (APRIL_1, APRIL_3, 1, 0.1, 0.5, "EWR"),
    (APRIL_1, APRIL_3, 0, 0.2, 0.5, "JFK"),
    (APRIL_1, APRIL_4, 1, 0.95, 0.5, None),
)


def rows_of(scored: ScoredExamples, *drops: date, capacity: int = 3) -> list[dict[str, Any]]:
    return measure_performance(BINARY, scored, drops, MONITORING, capacity)


def test_champion_and_baseline_are_measured_on_what_matured_in_the_drop() -> None:
    rows = rows_of(DAY, APRIL_3)

    champion, baseline = (row for row in rows if row.get("slice_column") is None)
    assert (champion["role"], baseline["role"]) == ("champion", "baseline")
    assert (champion["batch_date"], champion["prediction_batch_date"]) == (APRIL_3, APRIL_1)
    assert (champion["n"], champion["n_unresolved"], champion["label_share"]) == (4, 1, 0.5)
    assert champion["mean_score"] == pytest.approx((0.9 + 0.6 + 0.1 + 0.2) / 4)
    assert champion["auc"] == pytest.approx(2 / 4)  # 0.9 is above both negatives, 0.1 above neither
    loss = -sum(map(math.log, (0.9, 0.4, 0.1, 0.8))) / 4
    assert champion["log_loss"] == pytest.approx(loss)
    assert champion["log_loss_over_entropy"] == pytest.approx(loss / math.log(2))
    assert baseline["log_loss_over_entropy"] == pytest.approx(1)
    assert champion["brier"] == pytest.approx((0.01 + 0.36 + 0.81 + 0.04) / 4)


def test_precision_ranks_all_examples_of_the_day_and_counts_those_resolved_in_the_drop() -> None:
    on_the_list = {
        capacity: rows_of(DAY, APRIL_3, capacity=capacity)[0]["precision_at_capacity"] for capacity in (1, 3, 4)
    }

    # 0.95 leads the list but matures a drop later, 0.8 has no label: of 0.95, 0.9, 0.8, 0.6 two are known here
    assert on_the_list == {1: None, 3: 1.0, 4: 0.5}


def test_cost_is_that_of_acting_from_the_score_on_where_it_pays() -> None:
    champion, baseline = (row for row in rows_of(DAY, APRIL_3) if row.get("slice_column") is None)

    # 1 in vain against 3 missed: from 0.25 on. Acted on 0.9 and 0.6, one in vain; 0.1 was missed
    assert champion["cost"] == pytest.approx((1 + 3) / 4)
    assert baseline["cost"] == pytest.approx((1 + 1) / 4)


def test_slice_has_its_interval_and_one_too_small_its_counts_alone() -> None:
    newark, kennedy = (row for row in rows_of(DAY, APRIL_3) if row.get("slice_column") and row["role"] == "champion")

    losses = [-math.log(p) for p in (0.9, 0.4, 0.1)]
    mean, half = sum(losses) / 3, 1.645 * np.std(losses, ddof=1) / math.sqrt(3)
    assert (newark["slice_column"], newark["slice_value"], newark["n"]) == ("origin", "EWR", 3)
    assert newark["n_unresolved"] == 1
    assert (newark["log_loss_lower"], newark["log_loss_upper"]) == pytest.approx((mean - half, mean + half))
    assert "precision_at_capacity" not in newark
    assert (kennedy["slice_value"], kennedy["n"], kennedy["label_share"]) == ("JFK", 1, 0)
    assert "log_loss" not in kennedy
    assert "mean_score" not in kennedy


def test_undefined_is_null_and_an_unknown_feature_is_a_slice_of_its_own() -> None:
    whole, unknown, *_ = rows_of(DAY, APRIL_4)

    assert (whole["n"], whole["auc"], whole["log_loss_over_entropy"]) == (1, None, None)
    assert whole["log_loss"] == pytest.approx(-math.log(0.95))
    assert (unknown["slice_column"], unknown["slice_value"], unknown["n"]) == ("origin", None, 1)


def test_examples_without_any_label_are_counted_and_not_measured() -> None:
    whole, *_ = rows_of(scored_of((APRIL_1, APRIL_3, None, 0.4, 0.5, "EWR")), APRIL_3)

    assert (whole["n"], whole["n_unresolved"]) == (0, 1)
    measured = ("label_share", "mean_score", "auc", "log_loss", "brier", "ece", "cost", "precision_at_capacity")
    assert [whole[name] for name in measured] == [None] * 8


def test_what_has_not_matured_in_the_drops_asked_for_has_no_row() -> None:
    early = scored_of((APRIL_1, APRIL_3, 1, 0.4, 0.5, "EWR"), (APRIL_4, None, None, 0.4, 0.5, "EWR"))

    assert rows_of(early, APRIL_2, APRIL_4) == []
    assert {row["prediction_batch_date"] for row in rows_of(early, APRIL_2, APRIL_3)} == {APRIL_1}


def read(spec: UseCaseSpec, drops: Sequence[date], fallback: Sequence[date] = ()) -> dict[str, tuple[Any, ...]]:
    """Read three examples with several labels; give drop matured in, label and origin by score."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            """
            CREATE TABLE features AS FROM (VALUES
                (DATE '2013-04-01', 'a', TIMESTAMPTZ '2013-04-01 08:00:00Z', 'EWR'),
                (DATE '2013-04-01', 'c', TIMESTAMPTZ '2013-04-01 08:00:00Z', NULL),
                (DATE '2013-04-02', 'b', TIMESTAMPTZ '2013-04-01 08:00:00.000001Z', 'JFK')
            ) AS t(batch_date, example_id, prediction_at, origin);
            CREATE TABLE predictions AS SELECT batch_date, example_id, 'm' AS model_version,
                0.1::DOUBLE AS baseline_score,
                CASE example_id WHEN 'a' THEN 0.25 WHEN 'b' THEN 0.5 ELSE 0.75 END::DOUBLE AS score,
                0.9::DOUBLE AS model_score,
                NULL::VARCHAR AS abstained, 0.0::DOUBLE AS prior_shift, 'model' AS served_by FROM features;
            CREATE TABLE shadow_predictions AS
                SELECT batch_date, example_id, 'first_champion' AS role, 'n' AS model_version, 0.3::DOUBLE AS score
                FROM features WHERE example_id = 'a';
            CREATE TABLE labels AS FROM (VALUES
                (DATE '2013-04-02', 'a', 0, TIMESTAMPTZ '2013-04-02 01:00:00Z'),
                (DATE '2013-04-03', 'a', 1, TIMESTAMPTZ '2013-04-03 01:00:00Z'),
                (DATE '2013-04-04', 'a', 0, TIMESTAMPTZ '2013-04-04 01:00:00Z'),
                (DATE '2013-04-04', 'b', 1, TIMESTAMPTZ '2013-04-04 01:00:00Z'),
                (DATE '2013-04-04', 'c', 1, TIMESTAMPTZ '2013-04-04 01:00:00Z')
            ) AS t(batch_date, example_id, label, known_at)
            """
        )
        found = read_scored(connection, spec, drops, fallback)
    assert found.model_versions[APRIL_1, "first_champion"] == "n"
    assert np.array_equal(found.scores["first_champion"], [0.3, np.nan, np.nan], equal_nan=True)
    failed = [0.9 if day.item() in fallback else np.nan for day in found.prediction_dates]
    assert np.array_equal(found.scores["failed"], failed, equal_nan=True)
    ids = {0.25: "a", 0.5: "b", 0.75: "c"}
    columns = (found.matured_in.tolist(), found.labels.tolist(), found.slices["origin"])
    return {ids[score]: row for score, *row in zip(found.scores["champion"].tolist(), *columns, strict=True)}  # type: ignore[misc]


def test_example_matures_in_the_drop_whose_batch_is_exactly_its_moment_and_a_later_one_in_the_next(
    spec: UseCaseSpec,
) -> None:
    found = read(spec, [APRIL_3, APRIL_4])

    assert (found["a"][0], found["b"][0]) == (APRIL_3, APRIL_4)
    assert read(spec, [APRIL_3])["b"][0] is None


def test_where_the_baseline_served_as_fallback_the_models_own_scores_are_read_beside(spec: UseCaseSpec) -> None:
    assert read(spec, [APRIL_3, APRIL_4], fallback=[APRIL_2]).keys() == {"a", "b", "c"}


def test_newest_label_known_by_the_drop_counts_and_a_later_one_does_not(spec: UseCaseSpec) -> None:
    found = read(spec, [APRIL_3, APRIL_4])

    assert (found["a"][1], found["b"][1]) == (1, 1)
    assert math.isnan(found["c"][1])
    assert (found["a"][2], found["c"][2]) == ("EWR", None)


def test_window_ends_with_the_newest_day_of_which_all_has_matured(spec: UseCaseSpec) -> None:
    assert judged_window(spec, date(2013, 4, 20)) == (date(2013, 4, 5), date(2013, 4, 18))
    # two days after 04:00 of March 8 it is 05:00: clocks were put forward on the 10th
    assert judged_window(spec, date(2013, 3, 10))[1] == date(2013, 3, 7)
    assert first_prediction_date(spec, date(2013, 3, 10)) == date(2013, 2, 22)


def served(n_days: int, score: float, **versions: str) -> ScoredExamples:
    """Give days of a positive and a negative each, told apart by `score` and 1 - score; the baseline says 0.5."""
    days = [APRIL_1 + timedelta(days=number) for number in range(n_days)]
    rows = [
        (day, day + timedelta(days=2), label, score if label else 1 - score, 0.5, "EWR")
        for day in days
        for label in (1, 0)
    ]
    return scored_of(*rows, **versions)


def test_verdict_holds_what_the_baseline_lost_where_the_loss_at_the_gate_is_from(spec: UseCaseSpec) -> None:
    rises = Rises(LossRise(0.44, 7.0, 5.0), LossRise(-0.05, 0.0, 5.0))

    row = judge_performance(served(8, 0.8), spec, date(2013, 4, 10), "m", 0.4, rises)

    assert (row["loss_at_gate"], row["baseline_at_gate"]) == (0.44, pytest.approx(0.49))
    assert judge(served(8, 0.8), spec)["baseline_at_gate"] is None  # nothing was recorded before it served


def judge(scored: ScoredExamples, spec: UseCaseSpec, model: str | None = "m", gain: float = 0.4) -> dict[str, Any]:
    return judge_performance(scored, spec, date(2013, 4, 6), model, gain)


def test_champion_that_keeps_its_gain_is_ok(spec: UseCaseSpec) -> None:
    verdict = judge(served(4, 0.8), spec)

    gain = 1 - math.log(0.8) / math.log(0.5)
    assert verdict["state"] == "ok"
    assert (verdict["gain"], verdict["gain_lower"], verdict["gain_upper"]) == pytest.approx((gain, gain, gain))
    assert (verdict["threshold"], verdict["n"], verdict["n_days"]) == (pytest.approx(0.25 * 0.4), 8, 4)
    assert (verdict["label_share"], verdict["share_gap"]) == pytest.approx((0.5, 0))
    assert (verdict["window_from"], verdict["window_until"]) == (date(2013, 3, 22), APRIL_4)


def test_champion_whose_whole_interval_is_below_the_share_it_must_keep_has_failed(spec: UseCaseSpec) -> None:
    assert judge(served(4, 0.52), spec)["state"] == "failed"
    assert judge(served(4, 0.52), spec, gain=0.0)["state"] == "ok"  # nothing was promised, and it is above nothing
    assert judge(served(4, 0.45), spec, gain=0.0)["state"] == "failed"


def test_days_of_another_model_and_days_not_matured_do_not_count(spec: UseCaseSpec) -> None:
    whole = judge(served(9, 0.8), spec)

    assert (whole["n_days"], whole["n"]) == (4, 8)  # of nine days four have matured by April 6
    changed = judge(served(4, 0.8, on_01="old", on_02="old"), spec)
    assert (changed["state"], changed["n_days"], changed["n"]) == ("not enough data", 2, 4)


def test_no_days_at_all_are_not_enough_data_and_no_model_is_no_champion(spec: UseCaseSpec) -> None:
    nothing = judge(served(4, 0.8), spec, model="other")

    assert (nothing["state"], nothing["n"], nothing["gain"], nothing["ece"]) == ("not enough data", 0, None, None)
    assert judge(served(4, 0.8), spec, model=None)["state"] == "no champion"


def test_without_any_scored_example_there_is_no_row(spec: UseCaseSpec) -> None:
    early = scored_of((APRIL_1, APRIL_3, 1, 0.4, 0.5, "EWR"))
    empty = ScoredExamples(
        early.prediction_dates[:0], early.matured_in[:0], early.labels[:0],
        {role: scores[:0] for role, scores in early.scores.items()}, {"origin": early.slices["origin"][:0]}, {},
    )  # fmt: skip

    assert rows_of(empty, APRIL_3) == []
    assert judge(empty, spec)["state"] == "not enough data"


def test_labels_that_lie_below_the_scores_on_every_day_are_named_a_prior_shift(spec: UseCaseSpec) -> None:
    days = [APRIL_1 + timedelta(days=number) for number in range(4)]
    rows = [(day, day + timedelta(days=2), label, 0.6, 0.5, "EWR") for day in days for label in (1, 0, 0, 0)]

    shifted, usual = judge(scored_of(*rows), spec), judge(served(4, 0.8), spec)

    assert (shifted["prior_state"], shifted["share_gap"]) == ("shifted", pytest.approx(-0.35))
    assert usual["prior_state"] == "cannot tell"
    assert judge(served(1, 0.8), spec)["prior_state"] == "not enough data"


def test_measure_that_fails_is_null_and_the_others_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> float:
        raise ZeroDivisionError("no bins")

    whole = rows_of(DAY, APRIL_3)
    *others, calibration = BINARY.metrics
    failing_task = replace(BINARY, metrics=(*others, replace(calibration, of=failing)))
    monkeypatch.setattr("ml_assets_tests.monitoring.test_performance.BINARY", failing_task)
    with collecting() as failed:
        found = rows_of(DAY, APRIL_3)

    assert [each.measure for each in failed] == ["ece"]
    assert [{**row, "ece": None} for row in whole] == [{**row, "ece": None} for row in found]
    assert all(row.get("ece") is None for row in found)
