"""A champion that has failed: the fallback serves the next drop, is told, and ends with the next promotion."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ml_assets.decisions.findings import finding_of_verdict, findings_of_drop
from ml_assets.pipeline.champion.decisions import PersonDecision, find_promoted, record_of, roll_back
from ml_assets.pipeline.champion.rollback_preview import preview_rollback
from ml_assets.pipeline.evaluation.comparison import compare
from ml_assets.stats.binary import BINARY
from ml_assets.stores.model_store import ModelBundle, ModelStore
from ml_assets.training.constant import Constant
from ml_assets_tests.rehearsal import Rehearsal, checks_of, day, go_on_from, rehearse

SCORED = "SELECT batch_date, any_value(served_by) AS served_by, count(DISTINCT served_by) AS n, " \
    "bool_and(score = baseline_score) AS is_baseline FROM t GROUP BY ALL ORDER BY 1"  # fmt: skip


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """Eight drops, a champion, and another that says the same of everybody: a disabled gate let both through."""
    made = rehearse(tmp_path_factory.mktemp("fallback"), last=12)
    made.batch(1, 8)
    made.retrain(7, candidate="logistic_regression", gate="disabled")
    made.retrain(8, candidate="constant", gate="disabled")
    return made


def test_champion_that_scores_constants_is_replaced_by_the_baseline_until_the_next_promotion(
    history: Rehearsal, tmp_path: Path
) -> None:
    again = go_on_from(history, tmp_path)

    first = again.batch(9, 9)
    assert checks_of(first)["decisions:champion_stands"].passed  # one drop may be of one kind
    second = again.batch(10, 10)
    again.batch(10, 10)  # once more: nothing is recorded twice

    assert not checks_of(second)["decisions:champion_stands"].passed
    _, champion, fallback = record_of(again.state)
    assert (fallback["decided_by"], fallback["serves"], fallback["serves_after"]) == ("fallback", "baseline", day(10))
    assert fallback["model_version"] == champion["model_version"]  # the one before is not surely better
    assert fallback["note"].endswith("the baseline serves until the next promotion")
    told = finding_of_verdict("flight_delays", fallback)
    assert (told.kind, told.severity) == ("fallback", "info")
    assert "the same score" in told.message

    again.batch(11, 11)
    scored = again.rows("predictions", SCORED)[-3:]
    assert [row["served_by"] for row in scored] == ["model", "model", "baseline"]
    assert scored[-1]["is_baseline"]
    decision = max(again.rows("decisions"), key=lambda row: row["batch_date"])
    assert (decision["action"], decision["trigger"], decision["fallback_since"]) == ("retrain", "performance", day(11))
    findings = findings_of_drop(
        "flight_delays", str(day(11)), task=BINARY, ledger=[], alarms=[], performance=None, stale=[], decision=decision
    )
    assert [each.kind for each in findings] == ["champion_failed"]

    again.retrain(11, candidate="logistic_regression")
    assert again.rows("evaluation")[0]["verdict"] == "promoted"
    found = compare(again.state)
    assert found.champion is not None
    served_instead = found.champion.judged_baseline.predict(found.window)
    assert found.scores["champion"].tolist() == served_instead.tolist()  # not those of what has failed
    after = again.batch(12, 12)
    assert again.rows("predictions", SCORED)[-1]["served_by"] == "model"
    assert checks_of(after)["decisions:champion_stands"].passed


@pytest.mark.slow
def test_champion_without_finite_scores_stops_no_batch_and_fails_in_its_first_drop(
    history: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = go_on_from(history, tmp_path)
    change_loaded(monkeypatch, "constant", model=Constant(float("nan")))

    again.batch(9, 9)

    assert again.rows("predictions", SCORED)[-1]["served_by"] == "baseline"
    assert "are not valid" in record_of(again.state)[-1]["note"]


@pytest.mark.slow
def test_earlier_champion_that_is_better_serves_again(
    history: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = go_on_from(history, tmp_path)
    change_loaded(monkeypatch, "constant", baseline=Constant(0.9))

    again.batch(9, 10)

    good, _, fallback = record_of(again.state)
    assert (fallback["decided_by"], fallback["serves"]) == ("fallback", "model")
    assert fallback["model_version"] == good["model_version"]
    assert "serves again until the next promotion" in fallback["note"]


@pytest.mark.slow
def test_a_person_ends_the_fallback(history: Rehearsal, tmp_path: Path) -> None:
    again = go_on_from(history, tmp_path)
    again.batch(9, 10)
    failed = record_of(again.state)[-1]["model_version"]

    entry, current = find_promoted(again.spec, again.state, failed)
    found = preview_rollback(again.spec, again.state, entry, current)
    roll_back(again.spec, again.state, entry, PersonDecision("ann", "it is mended", datetime(2013, 1, 11, tzinfo=UTC)))

    assert found is not None
    assert found.rows["now"].nunique() > found.rows["then"].nunique() == 1  # the baseline, and what says one thing
    newest = record_of(again.state)[-1]
    assert (newest["model_version"], newest["serves"], newest["decided_by"]) == (failed, "model", "ann")


@pytest.mark.slow
def test_with_no_fallback_declared_the_champion_goes_on_and_the_check_says_so(
    history: Rehearsal, tmp_path: Path
) -> None:
    again = go_on_from(history, tmp_path)
    model = again.spec.model.model_copy(update={"fallback": "none"})
    again = replace(again, spec=again.spec.model_copy(update={"model": model}))

    run = again.batch(9, 10)

    assert not checks_of(run)["decisions:champion_stands"].passed
    assert len(record_of(again.state)) == 2


def change_loaded(monkeypatch: pytest.MonkeyPatch, candidate: str, **changes: Constant) -> None:
    """Change what is loaded of models of a candidate."""
    load = ModelStore.load

    def changed(self: ModelStore, model_version: str, artifact_sha256: str) -> ModelBundle:
        bundle = load(self, model_version, artifact_sha256)
        return replace(bundle, **changes) if bundle.candidate == candidate else bundle  # type: ignore[arg-type]

    monkeypatch.setattr(ModelStore, "load", changed)
