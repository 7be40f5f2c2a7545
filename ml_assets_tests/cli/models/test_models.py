"""What people do about models, from the terminal: approve, reject, roll back, ask what served and why."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from ml_assets.cli.console import console
from ml_assets.cli.models import commands as models
from ml_assets.decisions.reasons import spell_reason
from ml_assets.graph.automation.alerts import reconcile
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.delta_log import Forgotten, write_forgotten
from ml_assets_tests.rehearsal import Rehearsal, _forgetful_instance, day, failures_of, go_on_from
from ml_assets_tests.served import (
    DRAWING,
    FIRST_AS_OF,
    JUDGING,
    RECORD,
    SECOND_AS_OF,
    SPEC,
    run,
    served_by,
    served_spec,
)

pytestmark = pytest.mark.xdist_group("models")  # one worker runs the shared history once

APPROVAL = served_spec(approval=True)
NAME = SPEC.name


@dataclass(frozen=True)
class Waiting:
    """A candidate that waits for a person, and what a dry run before it left."""

    state: Rehearsal
    first: str
    after_dry_run: list[dict[str, Any]]
    served_after_dry_run: dict[int, str]

    @property
    def waits(self) -> str:
        return self.state.rows("champion", RECORD)[-1]["model_version"]


@dataclass(frozen=True)
class Two:
    """Two champions, the second of them a blend as of the 13th that scored the 14th."""

    state: Rehearsal
    first: str
    second: str


@pytest.fixture(scope="module")
def waiting(served: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Waiting:
    """Retrain as of the 13th in a dry run, then with a person to be asked; score the 14th after each."""
    state = go_on_from(served, tmp_path_factory.mktemp("waiting"))
    first = state.rows("champion", RECORD)[0]["model_version"]
    state.retrain(SECOND_AS_OF, candidate="logistic_regression", gate="dry_run", only=(*DRAWING, *JUDGING))
    state.score(14, 14)
    record, served_then = state.rows("champion", RECORD), served_by(state)
    state.retrain(SECOND_AS_OF, candidate="logistic_regression", spec=APPROVAL, only=(*JUDGING, "models/model_card"))
    state.score(14, 14)
    return Waiting(state, first, record, served_then)


@pytest.fixture(scope="module")
def two(served: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Two:
    state = go_on_from(served, tmp_path_factory.mktemp("two"))
    state.retrain(SECOND_AS_OF, candidate="blend", gate="disabled")
    state.retrain(SECOND_AS_OF, only=("models/model_card",))
    state.score(14, 14)
    first, second = (row["model_version"] for row in state.rows("champion", RECORD))
    return Two(state, first, second)


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_width", 240)


def at(state: Rehearsal, monkeypatch: pytest.MonkeyPatch, spec: UseCaseSpec = SPEC) -> Rehearsal:
    """Let the commands work on this state, and read this declaration."""
    monkeypatch.setenv("ML_ASSETS_DATA", str(state.root))
    monkeypatch.setattr(models, "read_use_case", lambda _: spec)
    return state


def said(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def refused(result: Result) -> str:
    """Give what a command says on its way out: it ends with 1, and no trace of Python is shown."""
    assert result.exit_code == 1, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return " ".join(result.stderr.split())


def alias(state: Rehearsal) -> str:
    """Give the model that MLflow calls champion."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{state.paths.mlflow / 'mlflow.db'}")
    return client.get_model_version_by_alias(NAME, "champion").tags["model_version"]


def test_dry_run_is_recorded_and_changes_nothing_that_serves(waiting: Waiting) -> None:
    promoted, dry = waiting.after_dry_run

    assert (promoted["verdict"], dry["verdict"]) == ("promoted", "dry_run")
    assert waiting.served_after_dry_run == dict.fromkeys(range(FIRST_AS_OF + 1, 15), waiting.first)


def test_candidate_that_waits_does_not_serve_and_the_alert_says_how_to_approve_it(
    waiting: Waiting, tmp_path: Path
) -> None:
    state = go_on_from(waiting.state, tmp_path)
    newest = state.rows("champion", "SELECT verdict, gate, reasons FROM t ORDER BY sequence")[-1]
    with _forgetful_instance() as instance:
        reconcile(APPROVAL, state.paths, instance, [], datetime(2026, 1, 1, tzinfo=UTC))

    (told,) = [each for each in AlertOutbox(state.paths).incidents(NAME) if each.kind == "awaiting_approval"]

    assert (newest["verdict"], newest["gate"]) == ("awaiting_approval", "enabled")
    assert all(reason["passed"] for reason in newest["reasons"])
    assert served_by(state) == dict.fromkeys(range(FIRST_AS_OF + 1, 15), waiting.first)
    assert f"{waiting.waits} awaits approval as of 2013-01-13" in told.message
    assert f"ml-assets approve {NAME} {waiting.waits}" in str(vars(told))


def test_approved_candidate_serves_the_drops_after_the_newest_run_and_the_record_keeps_who(
    waiting: Waiting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = at(go_on_from(waiting.state, tmp_path), monkeypatch, APPROVAL)
    asked = said(run("champion", NAME))

    told = said(run("approve", NAME, "--by", "ann", "--reason", "looked at the slices"))
    state.batch(15, 15)
    state.score(14, 14)

    assert f"ml-assets approve {NAME} {waiting.waits}" in asked
    assert "approved by ann; it serves from 2013-01-15 on" in told
    by_gate, by_person = state.rows("champion", RECORD)[-2:]
    assert (by_gate["verdict"], by_gate["decided_by"]) == ("awaiting_approval", "gate")
    assert by_person == {
        **by_gate, "sequence": 4, "verdict": "promoted", "decided_by": "ann", "serves_after": day(14),
        "note": "looked at the slices",
    }  # fmt: skip
    assert served_by(state) == {**dict.fromkeys(range(10, 15), waiting.first), 15: waiting.waits}
    assert alias(state) == waiting.waits
    assert "there is none" in refused(run("approve", NAME))
    assert "promoted by ann, serves from 2013-01-15 on" in said(
        run("explain", NAME, "prediction", any_example(state, 15))
    )
    assert "since then promoted by ann" in said(run("explain", NAME, "model", waiting.waits))


def test_rejected_candidate_never_serves(waiting: Waiting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = at(go_on_from(waiting.state, tmp_path), monkeypatch, APPROVAL)

    told = said(run("approve", NAME, waiting.waits, "--reject", "--by", "bob"))

    assert "rejected by bob; the champion before it goes on serving" in told
    newest = state.rows("champion", RECORD)[-1]
    assert (newest["verdict"], newest["decided_by"], newest["model_version"]) == ("refused", "bob", waiting.waits)
    assert f"2013-01-15 is served by {waiting.first}" in said(run("champion", NAME, "--drop", "2013-01-15"))
    assert "there is none" in refused(run("approve", NAME))
    assert "was rejected by bob" in refused(run("approve", NAME, waiting.waits))

    back = said(run("approve", NAME, waiting.waits, "--by", "ann", "--reason", "looked again"))

    assert "approved by ann; it serves from 2013-01-15 on" in back
    assert f"2013-01-15 is served by {waiting.waits}" in said(run("champion", NAME, "--drop", "2013-01-15"))


def test_what_does_not_wait_cannot_be_approved_and_the_nearest_name_is_said(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(waiting.state, monkeypatch, APPROVAL)

    told = refused(run("approve", NAME, waiting.waits[:-1]))
    early = refused(run("approve", NAME, "--from", "2013-01-13"))

    assert f"a model that waits for approval: {waiting.waits}; nearest: {waiting.waits}" in told
    assert "found 2013-01-13; allowed: a drop after 2013-01-13, which it was trained as of" in early


def test_rollback_previews_what_flips_and_changes_nothing_unless_confirmed(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = at(two.state, monkeypatch)
    before = state.content("champion")

    result = run("rollback", NAME, answer="n\n")

    assert "nothing was changed" in refused(result)
    shown = " ".join(result.stdout.split())
    assert f"from {two.second} to {two.first}" in shown
    assert "of the 20 on the list would be others" in shown
    assert f"of {len(scores_of(state, 14))} examples fall on the other side of the threshold" in shown
    assert "no example of the drops compared has matured by 2013-01-14 with a label" in shown
    assert state.content("champion") == before


def test_rollback_to_a_drop_already_run_and_back_gives_its_predictions_back_byte_for_byte(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = at(go_on_from(two.state, tmp_path), monkeypatch)
    content, values = state.content("predictions"), state.values("predictions", 10, 14)
    listed = (state.paths.delivered / NAME / "worklist" / "2013-01-14.csv").read_bytes()

    away = said(run("rollback", NAME, "--from", "2013-01-14", "--by", "ann", "--reason", "odd lists", answer="y\n"))
    state.score(14, 14)
    rolled = served_by(state)
    assert state.content("predictions") != content
    back = said(run("rollback", NAME, "--from", "2013-01-14", "--yes"))
    state.score(14, 14)

    assert f"{two.first} serves from 2013-01-14 on, decided by ann" in away
    assert f"{two.second} serves from 2013-01-14 on" in back
    assert rolled == dict.fromkeys(range(10, 15), two.first)
    assert served_by(state)[14] == two.second
    assert state.content("predictions") == content
    assert state.values("predictions", 10, 14).equals(values)
    assert (state.paths.delivered / NAME / "worklist" / "2013-01-14.csv").read_bytes() == listed
    assert [row["verdict"] for row in state.rows("champion", RECORD)] == ["promoted"] * 4


def test_retraining_run_again_after_a_rollback_changes_neither_what_serves_nor_the_alias(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = at(go_on_from(two.state, tmp_path), monkeypatch)
    said(run("rollback", NAME, "--yes"))
    assert alias(state) == two.first

    state.retrain(SECOND_AS_OF, candidate="blend", gate="disabled", only=JUDGING)

    assert len(state.rows("champion", RECORD)) == 3
    assert f"2013-01-15 is served by {two.first}" in said(run("champion", NAME, "--drop", "2013-01-15"))
    assert alias(state) == two.first


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--to", "{second}"), "{second} serves already"),
        (("--to", "{first}x"), "nearest: {first}"),
        (("--from", "2013-01-09"), "found 2013-01-09; allowed: a drop after 2013-01-09"),
        (("--from", "2012-12-31"), "allowed: a drop of the calendar"),
    ],
)
def test_rollback_that_cannot_be_is_explained(
    arguments: tuple[str, str], told: str, two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(two.state, monkeypatch)
    names = {"first": two.first, "second": two.second}

    result = run("rollback", NAME, *(each.format(**names) for each in arguments), "--yes")
    found = refused(result)

    assert result.stdout == ""  # before anything is compared or asked
    assert told.format(**names) in found
    assert len(two.state.rows("champion", RECORD)) == 2


def test_champion_whose_features_are_gone_stops_no_retraining_and_is_not_gone_back_to(
    served: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = go_on_from(served, tmp_path)
    kept = [each for each in SPEC.features.expressions if each.name != "carrier_trend"]
    without = SPEC.model_copy(update={"features": SPEC.features.model_copy(update={"expressions": tuple(kept)})})
    (first,) = state.rows("champion", RECORD)

    state.retrain(SECOND_AS_OF, candidate="logistic_regression", spec=without)
    state.retrain(SECOND_AS_OF, spec=without, only=("models/model_card",))
    (verdict,) = state.rows("evaluation")
    at(state, monkeypatch, without)
    told = refused(run("rollback", NAME, "--yes"))
    card = said(run("explain", NAME, "model", verdict["model_version"]))

    reason = "kept champion_cannot_score: the champion can score nothing any more, and is not compared"
    spelt = [spell_reason(each) for each in verdict["reasons"]]
    assert [each for each in spelt if each.startswith(reason) and each.endswith(" are carrier_trend")]
    assert (verdict["verdict"], verdict["champion_before"]) == ("promoted", first["model_version"])
    assert verdict["champion_auc"] is None
    assert any(each.startswith("kept newer_than_champion") for each in spelt)
    assert f"{first['model_version']} was trained on other versions of carrier_trend than are declared now" in told
    assert f"{first['model_version']} can score nothing any more" in card
    assert len(state.rows("champion", RECORD)) == 2


def test_candidate_whose_features_are_declared_otherwise_by_now_is_not_approved(
    waiting: Waiting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = go_on_from(waiting.state, tmp_path)
    kept = [each for each in APPROVAL.features.expressions if each.name != "carrier_trend"]
    without = APPROVAL.features.model_copy(update={"expressions": tuple(kept)})
    at(state, monkeypatch, APPROVAL.model_copy(update={"features": without}))

    told = refused(run("approve", NAME))

    assert f"{waiting.waits} was trained on other versions of carrier_trend than are declared now" in told


def test_evidence_beside_another_champion_is_not_judged_by(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = at(go_on_from(two.state, tmp_path), monkeypatch)
    rows = state.lake.files("evaluation_slices").schema.empty_table()
    state.lake.replace("evaluation_slices", rows, {"model_version": two.second, "champion": "another"})

    result = state.retrain(SECOND_AS_OF, only=("models/evaluation",), raise_on_error=False)

    said = failures_of(result)["evaluation"]
    assert f"evaluation_slices is of {two.second} beside another, and asked is {two.second} beside {two.first}" in said


def test_model_tampered_with_after_it_was_compared_is_not_judged(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = at(go_on_from(two.state, tmp_path), monkeypatch)
    state.retrain(SECOND_AS_OF, gate="dry_run", only=("models/evaluation",))
    path = state.paths.models / NAME / two.first / "manifest.json"
    path.write_bytes(b" " + path.read_bytes())

    result = state.retrain(SECOND_AS_OF, gate="dry_run", only=("models/evaluation",), raise_on_error=False)

    assert "recorded when the gate saw it" in failures_of(result)["evaluation"]


def test_candidate_is_not_judged_on_the_audit_of_another_training_set(served: Rehearsal, tmp_path: Path) -> None:
    state = go_on_from(served, tmp_path)
    audit = state.lake.files("training_set_audit").schema.empty_table()
    state.lake.replace("training_set_audit", audit, {"training_set_version": 99})

    result = state.retrain(FIRST_AS_OF, only=("models/evaluation",), raise_on_error=False)

    assert "the audit is of version 99, and the candidate was trained on version 0" in failures_of(result)["evaluation"]


def test_first_champion_has_none_before_it_to_go_back_to(served: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    at(served, monkeypatch)

    assert "is the first champion: there is none before it" in refused(run("rollback", NAME, "--yes"))


def test_champion_of_a_drop_is_told_as_it_is_known_now_and_as_it_was_known_then(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(go_on_from(two.state, tmp_path), monkeypatch)
    said(run("rollback", NAME, "--from", "2013-01-14", "--yes", "--by", "ann", "--reason", "storms"))
    record = json.loads(run("champion", NAME, "--json").stdout)
    moments = [row["recorded_at"] for row in record]

    def served(number: int, *known_at: str) -> Any:
        asked = ("champion", NAME, "--drop", str(day(number)), "--json", *known_at)
        found = json.loads(run(*asked).stdout)
        return found and found["model_version"]

    assert [row["serves_from"] for row in record] == ["2013-01-10", "2013-01-14", "2013-01-14"]
    assert [served(number) for number in (9, 13, 14, 15)] == [None, two.first, two.first, two.first]
    assert [served(14, "--known-at", moment) for moment in moments] == [two.first, two.second, two.first]
    assert served(14, "--known-at", "2012-01-01T00:00Z") is None
    assert "from 2013-01-14 on, promoted by ann: storms" in said(run("champion", NAME, "--drop", "2013-01-15"))
    assert "without a zone" in refused(run("champion", NAME, "--known-at", "2013-01-14T04:00"))


def test_champion_is_made_again_with_the_same_bytes(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    at(two.state, monkeypatch)

    found = json.loads(run("reproduce", NAME, two.second, "--json").stdout)

    assert found["is_equal"] is True
    assert found["sha256"] == found["recorded_sha256"]
    assert found["training_set_hash"] == found["recorded_training_set_hash"]
    assert (found["differing"], found["libraries"]) == ([], {})


def test_champion_whose_inputs_are_no_longer_kept_is_made_again_from_its_stored_training_set(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = at(go_on_from(two.state, tmp_path), monkeypatch)
    for table in ("features", "labels"):
        write_forgotten(state.lake.folder / table, Forgotten(first=10**6))  # as after `retention.versions`

    result = run("reproduce", NAME, two.second)

    assert result.exit_code == 0, result.output
    assert "equal, byte for byte" in said(result)
    assert "read as stored: what features, labels held then is no longer kept" in said(result)


def test_model_of_another_seed_than_it_says_is_told_apart_by_its_files(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    import pyarrow as pa

    state = at(go_on_from(two.state, tmp_path), monkeypatch)
    path = state.paths.models / NAME / two.second / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["recipe"]["seed"] += 1
    path.write_text(json.dumps(manifest, sort_keys=True, indent=1))
    forged = hashlib.sha256(path.read_bytes()).hexdigest()  # the record is forged with it: only training again tells
    rows = state.rows("champion")
    for row in rows:
        row["artifact_sha256"] = forged if row["model_version"] == two.second else row["artifact_sha256"]
    state.lake.replace("champion", pa.Table.from_pylist(rows, state.lake.files("champion").schema))

    result = run("reproduce", NAME, two.second)

    assert result.exit_code == 1
    told = " ".join(result.stdout.split())
    assert "different: manifest.json, model/xgboost/booster.ubj" in told
    assert "Traceback" not in result.output


@pytest.mark.parametrize("change", ["seed", "file"])
def test_tampered_model_is_explained_without_a_trace(
    change: str, two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = at(go_on_from(two.state, tmp_path), monkeypatch)
    folder = state.paths.models / NAME / two.second
    path = folder / ("manifest.json" if change == "seed" else "model/xgboost/booster.ubj")
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"seed": ', b'"seed": 1') if change == "seed" else content + b"\0")

    for command in (("reproduce", NAME, two.second), ("rollback", NAME, "--yes")):
        told = refused(run(*command))
        assert str(path) in told
        assert "recorded when the gate saw it" in told
    assert len(state.rows("champion", RECORD)) == 2


def test_prediction_is_explained_by_parts_that_add_up_and_by_where_they_came_from(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = at(two.state, monkeypatch)
    example = any_example(state, 14)
    (stored,) = state.rows("predictions", f"SELECT * FROM t WHERE example_id = '{example}'")

    found = json.loads(run("explain", NAME, "prediction", example, "--drop", "2013-01-14", "--json").stdout)

    whole = found["base"] + sum(row["log_odds"] or 0 for row in found["features"])
    assert whole == pytest.approx(found["model_on_scale"], abs=1e-5)
    assert found["model_on_scale"] == pytest.approx(math.log(stored["model_score"] / (1 - stored["model_score"])))
    assert found["prediction"]["model_version"] == two.second
    assert found["why"] == "promoted by gate, serves from 2013-01-14 on"
    assert found["of"] == len(scores_of(state, 14))
    listed = state.rows("worklist", f"SELECT rank FROM t WHERE example_id = '{example}'")
    assert found["rank_on_list"] == (listed[0]["rank"] if listed else None)
    assert found["rank"] == 1 + sum(score > stored["score"] for score in scores_of(state, 14))
    shares = {row["feature"]: row for row in found["features"]}
    assert shares["carrier_late_share_1d"]["source"] == "flight_outcomes by carrier"
    sizes = [abs(row["log_odds"] or 0) for row in found["features"]]
    assert sizes == sorted(sizes, reverse=True)


def test_prediction_that_is_not_there_is_explained(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    at(two.state, monkeypatch)

    assert "found no prediction of 'nobody'" in refused(run("explain", NAME, "prediction", "nobody"))
    assert "allowed: prediction, model, retrain" in refused(run("explain", NAME, "forecast", "x"))
    assert "no verdict was given as of 2013-01-12" in refused(run("explain", NAME, "retrain", "2013-01-12"))


def test_explained_retraining_names_every_reason(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    at(two.state, monkeypatch)

    told = said(run("explain", NAME, "retrain", "2013-01-13"))

    (entry,) = two.state.rows("champion", f"SELECT reasons FROM t WHERE as_of = '{day(13)}'")
    assert all(" ".join(spell_reason(reason).split()) in told for reason in entry["reasons"])
    assert f"against {two.first}" in told


def test_model_card_answers_what_data_how_good_for_whom_bad_and_what_changed(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = at(two.state, monkeypatch)
    card = (state.paths.model_cards(NAME) / f"{two.second}.md").read_text()
    training = state.rows("training_set", "SELECT split, count(*) AS n FROM t GROUP BY 1 ORDER BY 1 DESC")
    (loss,) = state.rows("evaluation_measures", "SELECT * FROM t WHERE role = 'candidate' AND measure = 'log_loss'")
    worst = state.rows(
        "evaluation_slices", "SELECT * FROM t WHERE kind = 'declared' AND n >= 100 ORDER BY log_loss DESC LIMIT 1"
    )[0]
    parts = dict(part.split("\n", 1) for part in card.split("## ")[1:])

    assert [f"| {row['split']} | {row['n']:,} |" in parts["What data"] for row in training] == [True, True]
    assert f"| log loss | {loss['estimate']:.4f} ({loss['lower']:.4f} to {loss['upper']:.4f}) |" in parts["How good"]
    assert f"| {worst['column']} {worst['value']} | {worst['n']} |" in parts["For whom bad"]
    assert f"Compared with {two.first}" in parts["What changed since the last one"]
    assert "The recipe differs in: candidates." in parts["What changed since the last one"]
    assert "promoted by gate, serving drops after 2013-01-13 (gate disabled)" in parts["Who or what decided"]
    page = (state.paths.model_cards(NAME) / f"{two.second}.html").read_text()
    assert "<script" not in page
    assert page.count("data:image/png;base64,") == 3
    assert "What changed since the last one" in said(run("explain", NAME, "model", two.second))


def test_measures_of_the_evidence_are_those_of_its_rows(two: Two) -> None:
    rows = two.state.rows("evaluation_measures")
    window = two.state.rows("evaluation", "SELECT n, candidate_log_loss, champion_auc FROM t")[0]
    found = {(row["role"], row["measure"]): row for row in rows}

    assert found["candidate", "log_loss"]["estimate"] == pytest.approx(window["candidate_log_loss"], abs=1e-12)
    assert found["champion", "auc"]["estimate"] == pytest.approx(window["champion_auc"], abs=1e-12)
    assert {row["n"] for row in rows} == {window["n"]}


def any_example(state: Rehearsal, number: int) -> str:
    where = f"WHERE batch_date = '{day(number)}' ORDER BY score DESC, example_id LIMIT 1"
    return state.rows("predictions", f"SELECT example_id FROM t {where}")[0]["example_id"]


def scores_of(state: Rehearsal, number: int) -> list[float]:
    return [
        row["score"] for row in state.rows("predictions", f"SELECT score FROM t WHERE batch_date = '{day(number)}'")
    ]
