from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ml_assets.decisions.incidents import Finding
from ml_assets.pipeline.monitoring.quality_over_time import quality_over_time
from ml_assets.pipeline.monitoring.replay_summary import summarize_replay
from ml_assets.spec.tables.models import CHAMPION
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import small_spec

SPEC = small_spec()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def said(code: str, message: str, *, passed: bool) -> dict[str, object]:
    return {"code": code, "passed": passed, "message": message}


def jan(number: int) -> date:
    return date(2013, 1, number)


STEPS = [[jan(number) for number in range(start, start + 5)] for start in (10, 15)]  # the 10th to the 19th


def write(lake: Lake, table: str, rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> None:
    lake.replace_drops(table, pa.Table.from_pylist(rows, schema), sorted({row["batch_date"] for row in rows}))


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> StatePaths:
    """Give the tables of ten drops and of one after them, with values that can be worked out by hand."""
    paths = StatePaths(tmp_path_factory.mktemp("state"))
    lake = Lake(paths.lake / SPEC.name)
    scores = [(10, "a", 0.8), (10, "b", 0.4), (17, "c", 0.9), (19, "d", 0.1), (20, "e", 0.5)]
    write(lake, "predictions", [
        {"batch_date": jan(day), "example_id": name, "score": score, "baseline_score": 0.5}
        for day, name, score in scores
    ])  # fmt: skip
    write(lake, "shadow_predictions", [
        {"batch_date": jan(day), "example_id": name, "role": role, "score": score}
        for day, name, _ in scores for role, score in (("first_champion", 0.25), ("last_refused", 0.75))
    ])  # fmt: skip
    labels = [
        (12, "a", 0, 11),
        (13, "a", 1, 12),
        (12, "b", 0, 11),
        (19, "c", 1, 18),
        (20, "d", 0, 20),
        (20, "c", 0, 20),
    ]
    write(lake, "labels", [
        {"batch_date": jan(day), "example_id": name, "label": label, "known_at": datetime(2013, 1, known, tzinfo=UTC)}
        for day, name, label, known in labels
    ])  # fmt: skip
    _write_monitoring(lake)
    _write_incidents(paths)
    return paths


def _write_monitoring(lake: Lake) -> None:
    readings = [
        (11, "feed", "feed/weather rows", 0.5, "ok"), (12, "feed", "feed/weather.temp_f center", 3.0, "alarm"),
        (13, "feed", "feed/weather.temp_f center", 2.0, "alarm"), (18, "before", "before/carrier", 0.25, "ok"),
        (18, "before", "before/origin", 9.0, "not enough data"), (20, "feed", "feed/weather rows", 50.0, "alarm"),
    ]  # fmt: skip
    write(lake, "drift_report", [
        {"batch_date": jan(day), "family": family, "monitor": monitor, "value": 7.0, "z": -4 * ratio, "threshold": 4.0,
         "ratio": ratio, "state": state}
        for day, family, monitor, ratio, state in readings
    ])  # fmt: skip
    nothing = dict.fromkeys(("trigger", "reason", "monitor", "measurement", "threshold"))
    retrain = {"action": "retrain", "trigger": "drift", "reason": "they moved", "monitor": "before/carrier",
               "measurement": 8.0, "threshold": 4.0}  # fmt: skip
    asked = {14: retrain, 12: {**nothing, "action": "fix_upstream"}}
    write(lake, "decisions", [
        {"batch_date": jan(day), **asked.get(day, {**nothing, "action": "nothing"})} for day in range(10, 21)
    ])  # fmt: skip
    verdicts = [
        (5, "promoted", "disabled", None, []), (8, "promoted", "enabled", 0.02, [said("auc", "fine", passed=True)]),
        (9, "refused", "enabled", -0.5, []),
        (14, "refused", "enabled", math.nan, [said("ece", "fine", passed=True), said("gain", "-1 %", passed=False)]),
        (19, "promoted", "enabled", 0.1, []), (20, "promoted", "enabled", 0.1, []),
    ]  # fmt: skip
    lake.append("champion", arrow_rows(CHAMPION, [
        {"as_of": jan(day), "serves_after": jan(day), "sequence": number, "decided_by": "gate", "serves": "model",
         "candidate": "xgboost", "model_version": f"m{day}",
         "artifact_sha256": "", "verdict": verdict, "gate": gate, "gain": gain, "gain_lower": gain,
         "gain_upper": gain, "reasons": reasons}
        for number, (day, verdict, gate, gain, reasons) in enumerate(verdicts, 1)
    ]))  # fmt: skip


def _write_incidents(paths: StatePaths) -> None:
    outbox = AlertOutbox(paths)
    found = Finding("feed/weather", "broken_feed", "error", "it is off", 3.0, 1.0, "nothing", "here")
    for day in (9, 12, 20):
        outbox.reconcile(SPEC.name, ["feed/"], str(jan(day)), [found] if day != 9 else [], NOW)
    outbox.reconcile(SPEC.name, ["feed/"], "2013-01-21", [], NOW)
    failed = Finding("run/x", "failed_run", "error", "", None, None, "", "")
    outbox.reconcile(SPEC.name, ["run/"], NOW.isoformat(), [failed], NOW)


@pytest.fixture(scope="module")
def summary(paths: StatePaths) -> dict[str, Any]:
    spent = [{"land": 1.0, "batch": 10.0}, {"batch": 5.0, "retrain": 2.0}]
    return summarize_replay(SPEC, paths, STEPS, seconds=spent, scheduled=[jan(19)])


def test_quality_is_by_the_newest_label_known_at_the_last_drop(summary: dict[str, Any]) -> None:
    first, second = summary["weeks"]

    assert (summary["first"], summary["last"], summary["steps"]) == ("2013-01-10", "2013-01-19", 2)
    assert (first["week"], first["n"], second["week"], second["n"]) == ("2013-01-08", 2, "2013-01-15", 1)
    assert first["champion"]["log_loss"] == pytest.approx(-math.log(0.8 * 0.6) / 2)
    assert first["first_champion"]["log_loss"] == pytest.approx(-math.log(0.25 * 0.75) / 2)
    assert first["baseline"]["log_loss"] == pytest.approx(math.log(2))
    assert second["champion"] == {
        "log_loss": pytest.approx(-math.log(0.9)), "auc": None, "ece": pytest.approx(0.1), "precision_at_capacity": 1,
    }  # fmt: skip
    (month,) = summary["months"]
    assert (month["month"], month["n"], month["n_predicted"], month["champion"]["auc"]) == ("2013-01", 3, 4, 1)
    assert summary["mean"]["auc_above_first_champion"] == pytest.approx(0.5)


def test_weeks_are_those_of_the_command_performance_wherever_a_replay_begins(
    summary: dict[str, Any], paths: StatePaths
) -> None:
    state = UseCaseState(SPEC.name, paths)

    for first in (None, jan(10), jan(12)):
        found = quality_over_time(SPEC, state, first, jan(19))
        assert {week["week"] for week in found["weeks"]} <= {week["week"] for week in summary["weeks"]}, first
        assert {event["week"] for event in found["events"]} <= {"2013-01-01", "2013-01-08", "2013-01-15"}, first


def test_drift_is_the_monitor_furthest_over_its_threshold_in_each_week(summary: dict[str, Any]) -> None:
    feed, before = summary["drift"]

    assert feed == {
        "week": "2013-01-08", "family": "feed", "ratio": 3.0, "monitor": "feed/weather.temp_f center",
        "batch_date": "2013-01-12", "value": 7.0, "z": -12.0, "threshold": 4.0, "alarms": 2,
    }  # fmt: skip
    assert (before["week"], before["monitor"], before["ratio"]) == ("2013-01-15", "before/carrier", 0.25)


def test_verdicts_of_the_drops_come_after_the_champion_that_served_before(summary: dict[str, Any]) -> None:
    found = [(row["as_of"], row["verdict"], row["asked_by"]["trigger"]) for row in summary["retrainings"]]

    assert found == [
        ("2013-01-08", "promoted", "by hand"),
        ("2013-01-14", "refused", "drift"),
        ("2013-01-19", "promoted", "schedule"),
    ]
    refused = summary["retrainings"][1]
    assert refused["asked_by"] == {"trigger": "drift", "reason": "they moved", "monitor": "before/carrier",
                                   "measurement": 8.0, "threshold": 4.0}  # fmt: skip
    assert (refused["gain"], refused["broken"]) == (None, ["gain: -1 %"])


def record(paths: StatePaths, rows: list[dict[str, Any]]) -> None:
    common = {"verdict": "promoted", "decided_by": "gate", "serves": "model", "gate": "enabled", "candidate": "xgboost",
              "artifact_sha256": "", "reasons": None}  # fmt: skip
    given = [{**common, "sequence": number, "serves_after": row["as_of"], **row} for number, row in enumerate(rows, 1)]
    Lake(paths.lake / SPEC.name).replace("champion", arrow_rows(CHAMPION, given))


def test_what_asked_for_a_retraining_is_what_was_recorded(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    fallback = {"decided_by": "fallback", "serves": "baseline", "serves_after": jan(18), "note": "m12 has failed"}
    record(paths, [
        {"as_of": jan(11), "model_version": "m11", "asked_by": "by hand"},
        {"as_of": jan(12), "model_version": "m12", "asked_by": "performance"},
        {"as_of": jan(13), "model_version": "m13", "asked_by": "schedule"},
        {"as_of": jan(14), "model_version": "m14", "asked_by": "staleness"},
        {"as_of": jan(12), "model_version": "m12", **fallback},
    ])  # fmt: skip
    decided = [
        {"batch_date": jan(day), "action": "retrain", "trigger": "performance", "reason": "it lost", "monitor": "loss",
         "measurement": 8.0, "threshold": 4.0}
        for day in range(11, 15)
    ]  # fmt: skip
    write(Lake(paths.lake / SPEC.name), "decisions", decided)

    found = summarize_replay(SPEC, paths, STEPS)["retrainings"]

    asked = [(row["drop"], row["asked_by"]["trigger"], row["asked_by"]["reason"]) for row in found]
    assert asked == [
        ("2013-01-11", "by hand", None),
        ("2013-01-12", "performance", "it lost"),
        ("2013-01-13", "schedule", "a plain schedule"),
        ("2013-01-14", "staleness", None),
        ("2013-01-18", "fallback", "m12 has failed"),
    ]


def test_weeks_are_compared_by_what_has_matured_alone(summary: dict[str, Any]) -> None:
    # labels mature after two days: of the second week c has matured by the 19th, and was scored well; d has not
    assert summary["compared_weeks"] == 2
    assert summary["worse_weeks"] == []


def test_decisions_incidents_and_seconds_are_those_of_the_drops(summary: dict[str, Any]) -> None:
    assert summary["decisions"] == {"nothing": 8, "fix_upstream": 1, "retrain": 1}
    (incident,) = summary["incidents"]
    assert (incident["monitor"], incident["opened_at"], incident["closed_at"]) == (
        "feed/weather", "2013-01-12", "2013-01-21",
    )  # fmt: skip
    assert summary["seconds"] == {"land": 1.0, "batch": 15.0, "retrain": 2.0, "total": 18.0}
    json.dumps(summary, allow_nan=False)


def test_before_any_run_everything_is_empty_and_still_json(tmp_path: Path) -> None:
    summary = summarize_replay(SPEC, StatePaths(tmp_path), STEPS)

    assert summary["compared_weeks"] == 0
    empty = ("weeks", "worse_weeks", "months", "drift", "retrainings", "decisions", "incidents", "seconds")
    assert [summary[name] for name in empty] == [[], [], [], [], [], {}, [], {}]
    assert summary["mean"]["champion"] == {"log_loss": None, "auc": None}
    json.dumps(summary, allow_nan=False)
    assert list(tmp_path.iterdir()) == []
