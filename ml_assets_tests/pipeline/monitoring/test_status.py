from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ml_assets.cli.operate.status import refused_sentence
from ml_assets.decisions.incidents import Finding
from ml_assets.pipeline.champion.decisions import record_of
from ml_assets.pipeline.monitoring.incidents import reconcile_incidents
from ml_assets.pipeline.monitoring.status import content_hashes, count_drops, facts_of, newest_verdict, refused_examples
from ml_assets.spec.tables.features import CLOSED_DROPS
from ml_assets.spec.tables.models import CHAMPION
from ml_assets.spec.tables.monitoring import DECISIONS, PERFORMANCE_VERDICTS
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.lake import Lake, MissingTableError
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.stores.write_lock import write_lock
from ml_assets_tests.rehearsal import day, flagship

SPEC = flagship()
NOW = datetime(2013, 1, 9, tzinfo=UTC)
DROPS = [day(number) for number in range(1, 6)]


@pytest.fixture
def state(tmp_path: Path) -> UseCaseState:
    return UseCaseState(SPEC.name, StatePaths(tmp_path))


def land(state: UseCaseState, *drops: date) -> None:
    for drop in drops:
        folder = state.landing / str(drop)
        folder.mkdir(parents=True)
        (folder / "schedule.csv").write_text("flight_id\n")


def ledger(state: UseCaseState, rows: list[dict[str, Any]]) -> None:
    counts = {"landed": 10, "validated": 8, "quarantined": 2, "reasons": ["late x2"]}
    state.lake.replace_drops("drops", pa.Table.from_pylist([{**counts, **row} for row in rows]), DROPS)


def close(state: UseCaseState, examples: dict[date, int]) -> None:
    table = pa.table({"batch_date": list(examples), "examples": list(examples.values())})
    state.lake.replace_drops(CLOSED_DROPS.name, table, list(examples))


def promote(state: UseCaseState, *after: date) -> None:
    rows = [
        {"sequence": number, "verdict": "promoted", "model_version": f"m{number}", "artifact_sha256": "a",
         "as_of": drop, "serves_after": drop, "gate": "enabled", "candidate_log_loss": 0.5, "_recorded_at": NOW}
        for number, drop in enumerate(after, 1)
    ]  # fmt: skip
    state.lake.replace("champion", arrow_rows(CHAMPION, rows))


def predict(state: UseCaseState, by: dict[date, str]) -> None:
    table = pa.table({"batch_date": list(by), "model_version": list(by.values())})
    state.lake.replace_drops("predictions", table, list(by))


def next_of(state: UseCaseState) -> list[str]:
    return list(facts_of(SPEC, state)["next"])


def test_nothing_landed_asks_for_the_first_drop_and_writes_nothing(state: UseCaseState) -> None:
    facts = facts_of(SPEC, state)

    assert (facts["landed"], facts["run"], facts["champion"], facts["decision"]) == (None, None, None, None)
    assert list(facts["next"]) == ["ml-assets land flight_delays --help"]
    assert not state.paths.root.joinpath("lake").exists()


def test_first_stretch_of_drops_that_were_not_run_comes_next(state: UseCaseState) -> None:
    land(state, *DROPS)
    close(state, {day(1): 3, day(4): 3})

    facts = facts_of(SPEC, state)

    assert facts["run"] == {"first": day(1), "last": day(4), "drops": 2}
    assert facts["landed_not_run"] == [day(2), day(3), day(5)]
    assert list(facts["next"]) == ["ml-assets batch flight_delays --from 2013-01-02 --to 2013-01-03"]


def test_what_is_missing_comes_before_everything_else(state: UseCaseState) -> None:
    land(state, *DROPS)
    ledger(state, [
        {"batch_date": day(2), "source": "weather", "state": "missing"},
        {"batch_date": day(1), "source": "weather", "state": "refused"},
        {"batch_date": day(3), "source": "planes", "state": "missing_accepted"},
    ])  # fmt: skip

    facts = facts_of(SPEC, state)

    assert facts["missing"] == ["weather of 2013-01-02"]
    assert facts["missing_accepted"] == ["planes of 2013-01-03"]
    assert facts["refused"] == ["weather of 2013-01-01: late x2"]
    assert list(facts["next"]) == ["ml-assets batch flight_delays --from 2013-01-02 --to 2013-01-05"]


def test_run_that_ended_without_a_commit_is_named_and_one_that_goes_on_is_not(state: UseCaseState) -> None:
    land(state, day(1))
    lake = Lake(state.lake.folder)
    lake.begin("killed-run")

    killed = facts_of(SPEC, state)["unfinished"]
    with write_lock(state.paths.locks, SPEC.name):
        going_on = facts_of(SPEC, state)["unfinished"]
    lake.commit()

    assert (killed, going_on, facts_of(SPEC, state)["unfinished"]) == ("killed-run", None, None)


def test_without_a_champion_training_comes_next(state: UseCaseState) -> None:
    land(state, *DROPS)
    close(state, dict.fromkeys(DROPS, 3))

    assert next_of(state) == ["ml-assets retrain flight_delays --as-of 2013-01-05"]


def test_drops_of_another_champion_than_serves_them_are_scored_next(state: UseCaseState) -> None:
    land(state, *DROPS)
    close(state, dict.fromkeys(DROPS, 3) | {day(4): 0})
    promote(state, day(1), day(2))
    predict(state, {day(2): "m1", day(3): "m1", day(5): "m2"})

    facts = facts_of(SPEC, state)

    assert "the file is gone" in facts["champion"].pop("damage")  # no model was made here
    assert facts["champion"] == {"model_version": "m2", "as_of": day(2), "serves_from": day(3), "gate": "enabled",
                                 "log_loss": 0.5, "auc": None}  # fmt: skip
    assert facts["not_scored_by_champion"] == [day(3)]
    assert facts["predictions"] == {"first": day(2), "last": day(5), "rows": 3}
    assert [row["model_version"] for row in facts["verdicts"]] == ["m2", "m1"]
    assert list(facts["next"]) == ["ml-assets batch flight_delays --from 2013-01-03 --to 2013-01-03"]


def test_when_all_is_scored_the_next_drop_is_waited_for(state: UseCaseState) -> None:
    land(state, *DROPS)
    close(state, dict.fromkeys(DROPS, 3))
    promote(state, day(1))
    predict(state, dict.fromkeys(DROPS[1:], "m1"))

    assert next_of(state) == ["ml-assets batch flight_delays --from 2013-01-06 --to 2013-01-06"]


def test_a_retraining_that_the_newest_decision_asks_for_comes_next_until_its_candidate_is_judged(
    state: UseCaseState,
) -> None:
    land(state, *DROPS)
    close(state, dict.fromkeys(DROPS[:4], 3))
    promote(state, day(1))
    asked = {"batch_date": day(4), "action": "retrain", "reason": "its loss has risen"}
    state.lake.replace_drops("decisions", arrow_rows(DECISIONS, [asked]), [day(4)])
    batch = "ml-assets batch flight_delays --from 2013-01-05 --to 2013-01-05"

    assert next_of(state) == ["ml-assets retrain flight_delays --as-of 2013-01-04", batch]
    promote(state, day(1), day(4))
    assert next_of(state) == [batch]


def test_incidents_are_listed_by_what_is_worst(state: UseCaseState) -> None:
    outbox = AlertOutbox(state.paths)
    for number, severity in enumerate(("warning", "info", "error"), 1):
        finding = Finding(f"monitor_{number}", "kind", severity, "said", None, None, "doing", "look")
        outbox.reconcile(SPEC.name, [f"monitor_{number}"], str(day(number)), [finding], NOW)

    assert [each["severity"] for each in facts_of(SPEC, state)["incidents"]] == ["error", "warning", "info"]


def test_quality_is_the_newest_verdict_and_a_column_of_later_versions_is_null(state: UseCaseState) -> None:
    assert facts_of(SPEC, state)["quality"] is None
    rows = [{"batch_date": drop, "state": "ok", "model_version": f"m{drop.day}", "gain": 0.1} for drop in DROPS[:2]]
    kept = arrow_rows(PERFORMANCE_VERDICTS, rows).drop_columns(["loss_now", "first_gain"])
    state.lake.replace_drops("performance_verdicts", kept, DROPS[:2])

    found = facts_of(SPEC, state)["quality"]

    assert (found["batch_date"], found["model_version"], found["loss_now"], found["first_gain"]) == (
        day(2), "m2", None, None,
    )  # fmt: skip


def test_failed_champion_is_told_until_the_fallback_that_serves(state: UseCaseState) -> None:
    promote(state, day(1))
    decided = [{"batch_date": drop, "action": "retrain", "failure": why} for drop, why in
               ((day(2), None), (day(3), "it says the same of everybody"))]  # fmt: skip
    state.lake.replace_drops("decisions", arrow_rows(DECISIONS, decided), [day(2), day(3)])

    before = facts_of(SPEC, state)
    record = record_of(state)
    fallback = {"sequence": 2, "decided_by": "fallback", "serves": "baseline", "serves_after": day(3), "note": "failed"}
    state.lake.append("champion", arrow_rows(CHAMPION, [record[0] | fallback]))
    after = facts_of(SPEC, state)

    assert (before["failure"], before["fallback"]) == ("it says the same of everybody", None)
    assert after["fallback"] == {"since": day(4), "serves": "baseline", "model_version": "m1", "why": "failed"}


def test_rows_of_each_source_are_counted_in_the_range_alone(state: UseCaseState) -> None:
    states = {drop: "refused" if drop == day(2) else "admitted" for drop in DROPS}
    ledger(state, [{"batch_date": drop, "source": "weather", "state": found} for drop, found in states.items()])

    (row,) = count_drops(state, day(2), day(4))

    assert row == {"source": "weather", "admitted": 2, "refused": 1, "missing": 0, "landed": 30, "validated": 24,
                   "quarantined": 6}  # fmt: skip
    assert count_drops(UseCaseState("other", state.paths), day(1), day(2)) == []


def test_before_the_first_verdict_there_is_none(state: UseCaseState) -> None:
    assert newest_verdict(state) is None


def test_hash_of_a_table_that_was_never_written_is_refused(state: UseCaseState) -> None:
    assert content_hashes(SPEC, state, None, None) == {}
    with pytest.raises(MissingTableError, match="features"):
        content_hashes(SPEC, state, ["features"], None)


def test_rows_that_made_no_example_are_counted_by_reason(state: UseCaseState) -> None:
    reasons = ["outcome_already_known", "example_seen_before", "outcome_already_known"]
    state.lake.replace_drops("quarantine_examples", pa.table({"batch_date": DROPS[:3], "reason": reasons}), DROPS[:3])

    assert facts_of(SPEC, state)["examples_refused"] == {"outcome_already_known": 2, "example_seen_before": 1}
    assert refused_examples(state, (DROPS[1], DROPS[1])) == {"example_seen_before": 1}
    assert refused_sentence("uc", refused_examples(state)) == (
        "3 rows made no example: outcome_already_known 2, example_seen_before 1; they are in uc.quarantine_examples"
    )


def test_champion_whose_files_are_gone_is_named_with_the_file_and_opens_an_incident_until_they_are_back(
    state: UseCaseState,
) -> None:
    promote(state, day(2))
    file = state.models.folder / "m1" / "manifest.json"

    gone = facts_of(SPEC, state)["champion"]["damage"]
    reconcile_incidents(SPEC, state.paths, [], [], NOW)
    (opened,) = [each for each in AlertOutbox(state.paths).incidents(SPEC.name) if each.kind == "damaged_model"]

    assert gone == f"{file}: the file is gone; its model cannot serve"
    assert (opened.message, opened.closed_at) == (gone, None)

    file.parent.mkdir(parents=True)
    file.write_bytes(b'{"files": {}}')
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    record = read_rows(state.lake, "champion", None)
    state.lake.replace("champion", arrow_rows(CHAMPION, [{**row, "artifact_sha256": sha256} for row in record]))
    reconcile_incidents(SPEC, state.paths, [], [], NOW + timedelta(seconds=10))

    assert facts_of(SPEC, state)["champion"]["damage"] is None
    assert not [each for each in AlertOutbox(state.paths).incidents(SPEC.name, open_only=True)
                if each.kind == "damaged_model"]  # fmt: skip
