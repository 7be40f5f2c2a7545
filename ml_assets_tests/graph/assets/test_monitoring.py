"""Shadows and reports on thirteen real drops: a first champion, a refusal, a second champion."""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import replace
from datetime import date
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from ml_assets.reports.pictures import loss_by_day_png
from ml_assets.stats.binary import LOG_LOSS
from ml_assets_tests.rehearsal import Rehearsal, checks_of, day, go_on_from, rehearse, small_spec

pytestmark = pytest.mark.xdist_group("performance")  # one worker runs the shared history once

FIRST_AS_OF, REFUSED_AS_OF, SECOND_AS_OF, LAST = 8, 10, 11, 13
REPORTS = ("predictions/shadow_predictions", "monitoring/performance_report")
TABLES = ("shadow_predictions", "performance_report", "performance_verdicts")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """Run all drops, promote as of the 8th and the 11th and refuse as of the 10th, then score and report at once."""
    state = rehearse(tmp_path_factory.mktemp("performance"), last=LAST)
    monitoring = state.spec.monitoring.model_copy(update={"slices": ("origin",)})
    state = replace(state, spec=state.spec.model_copy(update={"monitoring": monitoring}))
    state.ingest(1, LAST)
    state.retrain(FIRST_AS_OF, candidate="logistic_regression", gate="disabled")
    state.retrain(REFUSED_AS_OF, candidate="logistic_regression", spec=small_spec(min_gain=0.9))
    state.retrain(SECOND_AS_OF, candidate="logistic_regression", gate="disabled")
    state.batch(FIRST_AS_OF + 1, LAST, only=("predictions",))
    state.run_assets(REPORTS, 1, LAST)
    return state


def report(state: Rehearsal, first: int, last: int) -> dg.ExecuteInProcessResult:
    """Run both assets on a range of drops, through the graph: what their checks say there."""
    return state.graph.batch(first, last, only=REPORTS)


def test_first_champion_shadows_every_served_drop_and_a_refusal_those_until_the_next_promotion(
    history: Rehearsal,
) -> None:
    models = {row["as_of"]: row["model_version"] for row in history.rows("champion")}
    first, refused = models[day(FIRST_AS_OF)], models[day(REFUSED_AS_OF)]

    found: dict[date, set[tuple[str, str]]] = defaultdict(set)
    for row in history.rows("shadow_predictions", "SELECT DISTINCT batch_date, role, model_version FROM t"):
        found[row["batch_date"]].add((row["role"], row["model_version"]))

    assert found == {
        **{day(number): {("first_champion", first)} for number in range(FIRST_AS_OF + 1, LAST + 1)},
        day(SECOND_AS_OF): {("first_champion", first), ("last_refused", refused)},
    }


def test_first_champion_says_to_the_bit_what_it_said_while_it_served(history: Rehearsal) -> None:
    query = f"SELECT example_id, score FROM t WHERE batch_date <= '{day(SECOND_AS_OF)}'"

    served = {row["example_id"]: row["score"] for row in history.rows("predictions", query)}
    shadow = history.rows("shadow_predictions", f"{query} AND role = 'first_champion'")

    assert len(served) > 2_000
    assert {row["example_id"]: row["score"] for row in shadow} == served


def test_drop_by_drop_gives_the_same_tables_as_all_at_once(history: Rehearsal, tmp_path: Path) -> None:
    again = go_on_from(history, tmp_path)
    for number in range(FIRST_AS_OF + 1, LAST + 1):
        again.run_assets(REPORTS, number, number)

    assert {table: again.content(table) for table in TABLES} == {table: history.content(table) for table in TABLES}


def test_row_is_what_its_predictions_and_the_labels_known_by_its_drop_say(history: Rehearsal) -> None:
    of_day = f"SELECT example_id, score, baseline_score FROM t WHERE batch_date = '{day(10)}'"
    scores = {row.pop("example_id"): row for row in history.rows("predictions", of_day)}
    labels = {row["example_id"]: row["label"] for row in history.rows("labels") if row["batch_date"] <= day(12)}
    known = [(scores[name], labels[name]) for name in scores if name in labels]

    whole = "SELECT * FROM t WHERE slice_column IS NULL"
    rows = [row for row in history.rows("performance_report", whole) if row["batch_date"] == day(12)]

    by_role = {row["role"]: row for row in rows}
    assert sorted(by_role) == ["baseline", "champion", "first_champion"]
    for role, column in (("champion", "score"), ("baseline", "baseline_score")):
        losses = [-np.log(said[column] if label else 1 - said[column]) for said, label in known]
        assert by_role[role]["log_loss"] == pytest.approx(float(np.mean(losses)))
        assert (by_role[role]["n"], by_role[role]["n_unresolved"]) == (len(known), len(scores) - len(known))
        assert by_role[role]["prediction_batch_date"] == day(10)
    assert by_role["first_champion"]["auc"] == by_role["champion"]["auc"]


def test_slices_of_the_declaration_add_up_to_the_whole(history: Rehearsal) -> None:
    query = (
        "SELECT role, sum(n) FILTER (WHERE slice_column = 'origin') AS parts, sum(n) FILTER (WHERE slice_column IS "
        "NULL) AS whole, count(DISTINCT slice_value) AS origins, bool_or(isnan(log_loss)) AS has_nan FROM t GROUP BY 1"
    )

    rows = {row.pop("role"): row for row in history.rows("performance_report", query)}

    assert sorted(rows) == ["baseline", "champion", "first_champion", "last_refused"]
    assert all(row["parts"] == row["whole"] for row in rows.values())
    assert {row["origins"] for row in rows.values()} == {3}
    assert not any(row["has_nan"] for row in rows.values())


def test_verdict_counts_only_days_of_the_model_that_serves(history: Rehearsal) -> None:
    query = "SELECT batch_date, state, n_days, model_version, gain_at_gate, threshold FROM t ORDER BY batch_date"

    verdicts = {row.pop("batch_date").day: row for row in history.rows("performance_verdicts", query)}

    assert {number: (row["state"], row["n_days"]) for number, row in verdicts.items() if number <= 11} == {
        **dict.fromkeys(range(1, FIRST_AS_OF + 1), ("no champion", 0)),
        **dict.fromkeys((9, 10), ("not enough data", 0)),
        11: ("not enough data", 1),
    }
    assert (verdicts[12]["n_days"], verdicts[13]["n_days"]) == (0, 0)  # the second champion serves from the 12th
    assert verdicts[11]["model_version"] != verdicts[12]["model_version"]
    promoted = history.rows("champion", f"SELECT * FROM t WHERE as_of = '{day(SECOND_AS_OF)}'")[0]
    gain = 1 - promoted["candidate_log_loss"] / promoted["baseline_log_loss"]
    assert verdicts[12]["gain_at_gate"] == pytest.approx(gain)
    assert verdicts[12]["threshold"] == pytest.approx(gain * history.spec.retraining.min_gain_kept)


def test_check_says_not_enough_data_before_anything_else(history: Rehearsal, tmp_path: Path) -> None:
    again = go_on_from(history, tmp_path)

    check = checks_of(report(again, 11, 11))["performance_report:performance"]

    assert check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert (check.description or "").startswith("not enough data: ")
    assert check.metadata["state"].value == "not enough data"


def test_champion_that_lost_its_gain_fails_the_check_and_the_run_goes_on(history: Rehearsal, tmp_path: Path) -> None:
    # the first champion was ahead of the baseline on its window: the threshold is far above any gain
    kept = history.spec.retraining.model_copy(update={"min_gain_kept": 1e6})
    gate = history.spec.model.gate.model_copy(update={"min_days": 2, "min_examples": 200})
    model = history.spec.model.model_copy(update={"gate": gate})
    demanding = history.spec.model_copy(update={"retraining": kept, "model": model})
    again = replace(go_on_from(history, tmp_path), spec=demanding)
    _forget_verdicts_from(again, day(SECOND_AS_OF))  # the first champion goes on

    result = report(again, 12, LAST)  # to the newest drop: the check judges no other

    check = checks_of(result)["performance_report:performance"]
    assert result.success
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "of 3 days, " in (check.description or "")
    since = f"SELECT state, n_days FROM t WHERE batch_date >= '{day(12)}' ORDER BY batch_date"
    assert again.rows("performance_verdicts", since) == [
        {"state": "failed", "n_days": 2},
        {"state": "failed", "n_days": 3},
    ]


def _forget_verdicts_from(state: Rehearsal, as_of: date) -> None:
    schema = state.lake.files("champion").schema
    kept = [row for row in state.rows("champion") if row["as_of"] < as_of]
    state.lake.replace("champion", pa.Table.from_pylist(kept, schema))


def test_shadow_that_was_tampered_with_is_left_out_and_named(history: Rehearsal, tmp_path: Path) -> None:
    state = go_on_from(history, tmp_path)
    first = state.rows("champion", "SELECT model_version FROM t ORDER BY sequence LIMIT 1")[0]["model_version"]
    model = next((state.paths.models / state.spec.name / first / "model").iterdir())
    model.write_bytes(model.read_bytes() + b" ")

    result = report(state, 11, LAST)

    check = checks_of(result)["shadow_predictions:shadows_scored"]
    assert result.success
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert (check.description or "").startswith(f"3 of 3 drops lack a shadow. {first}: ")
    assert "found sha256" in (check.description or "")
    left = state.rows("shadow_predictions", f"SELECT DISTINCT role FROM t WHERE batch_date > '{day(10)}'")
    assert left == [{"role": "last_refused"}]


@pytest.mark.parametrize("until", ["2013-04-01", "2014-01-01"])
def test_picture_of_a_quarter_or_a_year_is_a_small_png_of_dialog_width(until: str) -> None:
    days = np.arange("2013-01-01", until, dtype="datetime64[D]")
    noise = np.random.default_rng(0).random((3, days.size))
    lines = {name: (days, 0.4 + row / 3) for name, row in zip(("champion", "baseline", "first"), noise, strict=True)}

    png = loss_by_day_png(LOG_LOSS, lines)

    assert struct.unpack(">II", png[16:24]) == (360, 290)
    assert 3_000 < len(png) <= 30_000
    assert len(loss_by_day_png(LOG_LOSS, {"champion": (days[:1], np.array([0.5]))})) > 2_000
